"""A Box on the floor: every command, and so its engine, shims and machines, is started through floor/launch.py."""

from __future__ import annotations

import os
import shutil
import sys
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from leaks import check
from support import box as boxes

LAUNCH = Path(__file__).parents[1] / "floor" / "launch.py"
USER = 65534


@contextmanager
def floor(image_tar: Path) -> Iterator[boxes.Box]:
    """As ``support.box.proa``, by a user without any privilege. Asserts on leaks."""
    root = Path(tempfile.mkdtemp(prefix="proa-"))
    before = check.snapshot()
    os.chmod(root, 0o755)
    image = shutil.copy(image_tar, root / "image.tar")
    os.chmod(image, 0o644)
    env = boxes.clean_environment(PROA_ROOT=str(root))
    command = ["/usr/bin/python3", str(LAUNCH), "--uid", str(USER), "--home", str(root), "--", *boxes.command()]
    flags = ["--isolation", "vm", "--network", "none"]
    box = boxes.Box("floor", command, env, flags, f"{root}/run/engine.sock", 6, root)
    engine = ""
    try:
        box.cli("import", str(image), boxes.IMAGE, timeout=120).ok()
        engine = boxes._engine_id(box)
        yield box
    finally:
        box.clean()
        box.cli("engine", "stop", "--all", timeout=60)
        marks = [str(root), *([engine] if engine else [])]
        left = boxes._settled(before, marks) + check.left_in_run(root / "run")
        shutil.rmtree(root, ignore_errors=True)
    assert [str(leak) for leak in left] == []


def playable() -> str:
    """Why the floor cannot be played here, "" if it can."""
    if os.geteuid():
        return "only root can play the floor"
    for path in (sys.executable, boxes.command()[0]):
        if not all(folder.stat().st_mode & 0o005 == 0o005 for folder in Path(path).resolve().parents):
            return f"{path} cannot be read by the floor's user"
    return ""
