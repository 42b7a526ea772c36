"""Docker's own command, in two versions: Debian's, and the newest on this machine."""

from __future__ import annotations

import dataclasses
import re
import shutil
import subprocess
from pathlib import Path

from support import peers
from support.box import Box

NAMES = ("debian", "newest")


def client(name: str) -> Path:
    """Path of a client. Raises peers.Missing."""
    if name == "debian":
        return peers.tool("docker")
    found = shutil.which("docker")
    if found is None or _version(Path(found)) <= _version(peers.tool("docker")):
        raise peers.Missing("no docker client newer than Debian's is installed")
    return Path(found)


def _version(program: Path) -> tuple[int, ...]:
    shown = subprocess.run([program, "--version"], capture_output=True, text=True, env=peers.environment()).stdout
    number = re.search(r"version (\d+)\.(\d+)\.(\d+)", shown)
    return tuple(map(int, number.groups())) if number else (0,)


def through(name: str, box: Box, home: Path) -> Box:
    """The same engine, driven by a docker client that has no configuration of its own."""
    home.mkdir(exist_ok=True)
    env = {**peers.environment(), "DOCKER_CONFIG": str(home / "client"), "HOME": str(home), "TZ": "UTC"}
    return dataclasses.replace(box, command=[str(client(name)), "-H", f"unix://{box.socket}"], env=env)
