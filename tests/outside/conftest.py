"""One engine of ours and one dockerd, each seen through each docker client."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from outside import clients
from support import peers
from support.box import Box


@dataclass(frozen=True)
class Pair:
    """The same client on dockerd, which is right, and on our engine."""

    name: str
    docker: Box
    proa: Box


@pytest.fixture(params=clients.NAMES)
def pair(request: pytest.FixtureRequest, docker_box: Box, proa_box: Box, tmp_path: Path) -> Iterator[Pair]:
    """Both engines without a container before and after."""
    try:
        pair = Pair(request.param, *(clients.through(request.param, box, tmp_path) for box in (docker_box, proa_box)))
    except peers.Missing as problem:
        pytest.skip(str(problem))
    yield pair
    docker_box.clean()


OUTSIDE = os.environ.get("PROA_OUTSIDE_HULLS", "container").replace(",", " ").split()
"""The hulls that other people's clients are judged on: five hundred lines take twenty minutes in an emulated VM."""


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Leave out this folder's tests of hulls that were not asked for."""
    left = [
        item
        for item in items
        if "tests/outside/" in item.nodeid
        and any(f"[{hull}" in item.nodeid for hull in ("vm", "floor") if hull not in OUTSIDE)
    ]
    if left:
        config.hook.pytest_deselected(items=left)
        items[:] = [item for item in items if item not in set(left)]
