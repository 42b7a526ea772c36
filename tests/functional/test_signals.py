"""Signals to the foreground command go to the program."""

from __future__ import annotations

import signal
import subprocess
import sys

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


STARTER = """
import ctypes, os, signal, sys
ignore = ctypes.create_string_buffer(bytes([1]), 32)  # the kernel's sigaction: SIG_IGN
number = {"x86_64": 13, "aarch64": 134}[os.uname().machine]
for one in range(1, 65):
    if one not in (signal.SIGKILL, signal.SIGSTOP, signal.SIGCHLD):
        ctypes.CDLL(None).syscall(number, one, ignore, None, 8)
signal.pthread_sigmask(signal.SIG_BLOCK, signal.valid_signals())
os.execv(sys.argv[1], sys.argv[1:])
"""


def test_nothing_is_inherited_from_who_started_the_engine(proa_box: Box) -> None:
    """Whatever he ignores or blocks, the C library's own signals too."""
    if proa_box.hull == "floor":
        pytest.skip("the floor's launcher comes before the command")
    proa_box.cli("engine", "stop").ok()
    show = ["grep", "-E", "Sig(Ign|Blk)", "/proc/self/status"]
    words = ["run", "--rm", *proa_box.flags, IMAGE, *show]
    started = subprocess.run(
        [sys.executable, "-c", STARTER, *proa_box.command, *words], env=dict(proa_box.env), capture_output=True
    )
    none = ["SigBlk:\t" + "0" * 16, "SigIgn:\t" + "0" * 16]
    assert started.stdout.decode().splitlines() == none
    id = proa_box.detached(IMAGE, "sleep", "60")
    assert proa_box.cli("exec", id, *show).lines == none
