"""One engine of ours and one dockerd, each seen through each docker client."""

from __future__ import annotations

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
