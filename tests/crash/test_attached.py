"""An attached client survives SIGKILL of the engine: stdin and output go on, in every hull."""

from __future__ import annotations

import hashlib
import os
import pty
import subprocess
import time

import pytest

from support.box import IMAGE, Box

from . import processes
from .plan import on
from .player import Player

NAME = "attached"
SIZE = 4 << 20
PIPE = {"stdin": subprocess.PIPE}
pytestmark = on("container", "vm", "floor")


@pytest.mark.parametrize("options", [(), ("--rm",)], ids=["kept", "removed"])
def test_stdin_and_output_go_on(player: Player, options: tuple[str, ...]) -> None:
    """Line by line: before, with no engine at all, and with the next one."""
    program = "while read line; do echo got $line; echo err $line >&2; done; exit 9"
    box = player.box
    client = player.client("run", "-i", *options, *box.flags, IMAGE, "sh", "-c", program, **PIPE)
    assert client.stdin and client.stdout and client.stderr
    for moment in ("before", "without", "after"):
        for number in range(20):
            client.stdin.write(f"{moment}{number}\n".encode())
            client.stdin.flush()
            assert client.stdout.readline() == f"got {moment}{number}\n".encode()
            assert client.stderr.readline() == f"err {moment}{number}\n".encode()
        if moment == "before":
            processes.kill(player.engine())
        elif moment == "without":
            box.cli("ps").ok()
    out, err = client.communicate(timeout=30 * box.slow)
    assert (client.returncode, out, err) == (9, b"", b"")


def test_much_goes_through_while_engines_die(player: Player) -> None:
    """A few MB in and out again, with an engine killed in the middle, twice."""
    box, data = player.box, os.urandom(SIZE)
    client = player.client("run", "-i", "--rm", *box.flags, IMAGE, "cat", **PIPE)
    assert client.stdin and client.stdout
    read = hashlib.sha256()
    part = SIZE // 64
    for number in range(64):
        client.stdin.write(data[number * part : (number + 1) * part])
        client.stdin.flush()
        read.update(client.stdout.read(part))
        if number in (10, 40):
            processes.kill(player.engine())
            if number == 10:
                box.cli("version").ok()
    out, err = client.communicate(timeout=30 * box.slow)
    assert (client.returncode, out, err) == (0, b"", b"")
    assert read.digest() == hashlib.sha256(data).digest()


def test_several_clients_and_one_that_joins_later(player: Player) -> None:
    """All see the same from the next engine's time on; its log has everything."""
    box, program = player.box, "while read x; do echo $x; [ $x != three ] || exit 4; done"
    id = box.detached("-i", "--name", NAME, IMAGE, "sh", "-c", program)
    first, second = (player.client("attach", NAME, **PIPE) for _ in range(2))
    assert first.stdin and first.stdout and second.stdin and second.stdout

    def say(line: bytes, clients: list[object]) -> None:
        assert first.stdin
        first.stdin.write(line)
        first.stdin.flush()
        for client in clients:
            assert client.stdout.readline() == line  # type: ignore[attr-defined]

    _attached(box, id, 2)
    say(b"one\n", [first, second])
    processes.kill(player.engine())
    say(b"two\n", [first, second])
    box.cli("version").ok()
    third = player.client("attach", NAME, **PIPE)
    _attached(box, id, 3)
    say(b"three\n", [first, second, third])
    for client in (first, second, third):
        out, err = client.communicate(timeout=30 * box.slow)
        assert (client.returncode, out, err) == (4, b"", b"")
    assert box.cli("logs", NAME).ok().lines == ["one", "two", "three"]


def _attached(box: Box, id: str, count: int) -> None:
    """Wait until so many clients were given to the shim; each is told of just before."""
    flags = ["--filter", "event=attach", "--filter", f"container={id}", "--since", "1h", "--until", "0s"]
    box.until(lambda: len(box.cli("events", *flags).ok().lines) == count)
    time.sleep(0.2)


def test_a_terminal_goes_on(player: Player) -> None:
    """Raw mode, size and detach keys are the shim's: the keys work with no engine there."""
    box, program = player.box, "while read line; do echo got $line; done"
    master, slave = pty.openpty()
    ends = {"stdin": slave, "stdout": slave, "stderr": slave}
    client = player.client("run", "-it", "--name", NAME, *box.flags, IMAGE, "sh", "-c", program, **ends)
    os.close(slave)
    try:
        os.write(master, b"one\n")
        _read_until(master, b"got one")
        processes.kill(player.engine())
        os.write(master, b"two\n")
        _read_until(master, b"got two")
        os.write(master, b"\x10\x11")
        assert client.wait(30 * box.slow) == 0
    finally:
        os.close(master)
    assert box.inspect(NAME, "{{.State.Status}}") == "running"


def _read_until(fd: int, mark: bytes) -> None:
    seen = b""
    while mark not in seen:
        try:
            seen += os.read(fd, 4096)
        except OSError:
            raise AssertionError(seen) from None
