"""Signals to the foreground command go to the program."""

from __future__ import annotations

import signal
import subprocess

import pytest

from support.box import IMAGE, Box

TRAPS = "trap 'echo int; exit 11' INT; trap 'echo term; exit 12' TERM; trap 'echo hup; exit 13' HUP; echo ready; " + (
    "while :; do sleep 0.05; done"
)


def _foreground(box: Box, *command: str) -> subprocess.Popen[bytes]:
    process = box.popen("run", "--rm", *box.flags, "--name", "c1", IMAGE, *command, stdin=subprocess.DEVNULL)
    assert process.stdout is not None
    assert process.stdout.readline() == b"ready\n"
    return process


@pytest.mark.parametrize(
    ("number", "word", "code"),
    [(signal.SIGINT, b"int\n", 11), (signal.SIGTERM, b"term\n", 12), (signal.SIGHUP, b"hup\n", 13)],
)
def test_forwarded(box: Box, number: signal.Signals, word: bytes, code: int) -> None:
    process = _foreground(box, "sh", "-c", TRAPS)
    process.send_signal(number)
    assert process.communicate(timeout=30 * box.slow)[0] == word
    assert process.returncode == code


def test_process_one_ignores_what_it_does_not_handle(box: Box) -> None:
    """As on Linux: process 1 of a pid namespace is not ended by a default action."""
    process = _foreground(box, "sh", "-c", "echo ready; while :; do sleep 0.05; done")
    process.send_signal(signal.SIGTERM)
    with pytest.raises(subprocess.TimeoutExpired):
        process.wait(0.7)
    box.cli("kill", "c1").ok()
    process.communicate(timeout=30 * box.slow)
    assert process.returncode == 137


def test_killed_command_leaves_the_container(box: Box) -> None:
    process = _foreground(box, "sh", "-c", "echo ready; sleep 600")
    process.kill()
    process.communicate()
    assert box.inspect("c1", "{{.State.Running}}") == "true"
