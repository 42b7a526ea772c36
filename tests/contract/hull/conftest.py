"""The hulls that keep the contract. Each test of this folder runs with each of them."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator

import pytest

from contract.hull import world as worlds
from contract.hull.world import World
from proa.errors import HostCannot

KINDS = os.environ.get("PROA_TEST_HULLS", "container,vm").replace(",", " ").split()


@pytest.fixture(scope="session")
def vm_state() -> Iterator[str]:
    """STATE of all virtual machines here: they share a template. PROA_TEST_STATE: with other processes too."""
    if shared := os.environ.get("PROA_TEST_STATE"):
        yield shared
        return
    with tempfile.TemporaryDirectory(prefix="proa-", dir="/tmp") as directory:
        yield directory


@pytest.fixture(params=[kind for kind in KINDS if kind in worlds.WORLDS])
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """A place to run containers in; afterwards nothing may be left of them."""
    state = request.getfixturevalue("vm_state") if request.param == "vm" else ""
    if os.environ.get("PROA_MUTATE"):
        worlds.WORLDS[request.param].mutate = os.environ["PROA_MUTATE"]
    try:
        made = worlds.WORLDS[request.param](state)
    except HostCannot as problem:
        pytest.skip(problem.what)
    try:
        yield made
        assert left(made) == []
    finally:
        made.close()


def left(world: World) -> list[str]:
    """Paths of whatever is still there: RUN's directories, shims' sockets, cgroups."""
    places = [f"{world.places.run}/containers", f"{world.places.run}/s", *world.cgroups()]
    return [
        f"{place}/{name}"
        for place in places
        if os.path.isdir(place)
        for name in os.listdir(place)
        if _counts(place, name)
    ]


def _counts(place: str, name: str) -> bool:
    return not place.startswith("/sys/") or os.path.isdir(f"{place}/{name}")
