"""Docker's own clients, pointed at our engine and at dockerd."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from support import peers
from support.box import Box, through


def clients() -> dict[str, Path]:
    """Debian's client, and the one on the machine if it is another."""
    found = {}
    try:
        found["debian"] = peers.tool("docker")
    except peers.Missing:
        pass
    on_path = shutil.which("docker")
    if on_path:
        found["machine"] = Path(on_path).resolve()
    return found


@pytest.fixture(scope="session", params=["debian", "machine"])
def client(request: pytest.FixtureRequest) -> Path:
    """A docker client."""
    found = clients()
    if request.param not in found:
        pytest.skip("no such docker client here: " + request.param)
    return found[request.param]


@pytest.fixture
def ours(box: Box, client: Path) -> Box:
    """Our engine through docker's client."""
    return through(box, client)


@pytest.fixture
def theirs(docker_box: Box, client: Path) -> Box:
    """dockerd through the same client."""
    return through(docker_box, client)
