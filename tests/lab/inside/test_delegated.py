"""An engine that is not at the root of the tree: in a delegated scope, and in a view of the tree of its own."""

from __future__ import annotations

import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.box import IMAGE, Box, clean_environment, command
from support.box import _engine as running

SCOPE = ["systemd-run", "--scope", "--quiet", "--property=Delegate=yes", "--unit=lab-delegated"]
OWN_VIEW = (
    'mount -t tmpfs none /run/systemd && umount /sys/fs/cgroup && mount -t cgroup2 cgroup2 /sys/fs/cgroup && exec "$@"'
)
PLACE = Path("/sys/fs/cgroup/system.slice/lab-delegated.scope")


@pytest.fixture
def nested(image_tar: Path) -> Iterator[Box]:
    """An engine that takes its scope for the root, as one in a privileged container does: no systemd there."""
    root = Path(tempfile.mkdtemp(prefix="proa-"))
    flags = ["--isolation", "process", "--network", "none"]
    env = clean_environment(PROA_ROOT=str(root))
    box = Box("container", command(), env, flags, f"{root}/run/engine.sock", 30, root)
    started = [*SCOPE, "unshare", "--cgroup", "--mount", "sh", "-c", OWN_VIEW, "sh", *box.command, "info"]
    subprocess.run(started, env=env, check=True, stdout=subprocess.DEVNULL)
    try:
        with running(box, image_tar):
            yield box
    finally:
        shutil.rmtree(root, ignore_errors=True)


def test_limits_hold(nested: Box) -> None:
    nested.detached("--name", "c1", "-m", "64m", "--pids-limit", "33", "--cpus", "0.5", IMAGE, "sleep", "600")
    (group,) = PLACE.glob("proa-*/" + nested.inspect("c1", "{{.Id}}"))
    assert [(group / name).read_text().strip() for name in ("memory.max", "pids.max", "cpu.max")] == [
        str(64 << 20),
        "33",
        "50000 100000",
    ]
    assert nested.cli("exec", "c1", "cat", "/proc/self/cgroup").text == "0::/"


def test_the_engine_makes_room_and_gives_it_back(nested: Box) -> None:
    """Its processes move into a leaf, or no controller could be handed down; a scope that others share stays usable."""
    nested.run("-m", "64m", IMAGE, "true").ok()
    assert (PLACE / "cgroup.procs").read_text() == ""
    (leaf,) = PLACE.glob("proa-*.engine")
    assert len((leaf / "cgroup.procs").read_text().split()) >= 2
    nested.cli("engine", "stop").ok()
    nested.until(lambda: not PLACE.exists())
