"""What every other test in the lab takes for granted. Run once before they are, so that it is warm."""

from __future__ import annotations

import subprocess
import sys

from support.box import IMAGE, Box


def test_a_container_runs(box: Box) -> None:
    assert box.run(IMAGE, "echo", "hello").ok().text == "hello"
    box.detached("--name", "c1", IMAGE, "sleep", "600")
    assert box.cli("exec", "c1", "echo", "again").ok().text == "again"


def test_the_system_is_debians() -> None:
    assert sys.version_info[:2] == (3, 11)
    state = subprocess.run(["systemctl", "is-system-running"], capture_output=True, text=True).stdout
    assert state == "running\n"
