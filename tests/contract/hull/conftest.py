"""The hulls that keep the contract. Each test of this folder runs with each of them."""

from __future__ import annotations

import os
from collections.abc import Iterator

import pytest

from contract.hull import world as worlds
from contract.hull.world import World

KINDS = ["container"]


@pytest.fixture(params=KINDS)
def world(request: pytest.FixtureRequest) -> Iterator[World]:
    """A place to run containers in; afterwards nothing may be left of them."""
    made = worlds.make(request.param)
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
