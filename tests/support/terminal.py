"""A command line run in a terminal and in a pipe, and everything that can be seen of it from outside."""

from __future__ import annotations

import contextlib
import fcntl
import os
import re
import select
import struct
import subprocess
import termios
import time
from collections.abc import Sequence
from dataclasses import dataclass, field

from .box import Box

Keys = Sequence[tuple[bytes, bytes]]
"""What to wait for on the screen, and what to type then. Typed ``RESIZE`` changes the window instead."""
RESIZE = b"<resize>"
SIZE, NEW_SIZE = (24, 80), (40, 120)


REDRAWN = re.compile(rb"\x1b\[6n|\r/[\w/]* [#$] \x1b\[J|\^C|failed to resize (exec )?tty, using default size\r\n")
"""What busybox's shell prints when its terminal gets its size after its first prompt: docker's client sets the size
behind the start, so that either may come first. And a terminal's ^C, which races with what the program says to it; and
what docker's client says of a size that came too late for a program that has ended."""


@dataclass(frozen=True)
class Seen:
    """``code``: of the command (negative: a signal); ``modes``: whether the terminal is as it was before."""

    out: bytes
    err: bytes
    code: int
    modes: bool = True


@dataclass(frozen=True)
class Line:
    """One command line of the table. ``arguments``: BOX stands for the hull's flags. ``before``: commands run first.

    ``stdin`` is what the pipe has to give (None: nothing, closed), ``keys`` what is typed in the terminal.
    ``shell`` runs the line through sh, with $CLI for the command. ``unlike``: why bytes may differ (codes never may).
    ``core``: played on every hull, the slowest ones too.
    """

    name: str
    arguments: Sequence[str] = ()
    before: Sequence[Sequence[str]] = ()
    stdin: bytes | None = None
    keys: Keys = ()
    pipe: bool = True
    tty: bool = True
    shell: str = ""
    unlike: str = ""
    core: bool = False
    options: dict[str, object] = field(default_factory=dict)


def _expand(box: Box, arguments: Sequence[str]) -> list[str]:
    return [word for argument in arguments for word in (box.flags if argument == "BOX" else [argument])]


def _command(box: Box, line: Line) -> tuple[list[str], dict[str, str]]:
    flags = " ".join(box.flags)
    env = {**box.env, "FLAGS": flags, "CLI": " ".join(box.command)}
    if line.shell:
        return ["sh", "-c", line.shell], env
    return [*box.command, *_expand(box, line.arguments)], env


def prepare(box: Box, line: Line) -> None:
    """Run what must have been run before."""
    for arguments in line.before:
        box.cli(*_expand(box, arguments)).ok()


def in_pipe(box: Box, line: Line) -> Seen:
    """Run it with three pipes."""
    command, env = _command(box, line)
    done = subprocess.run(
        command,
        env=env,
        input=line.stdin,
        stdin=subprocess.DEVNULL if line.stdin is None else None,
        capture_output=True,
        timeout=60 * box.slow,
    )
    return Seen(done.stdout, done.stderr, done.returncode)


def in_terminal(box: Box, line: Line) -> Seen:
    """Run it as the foreground of a terminal of its own, type the keys, collect what is shown."""
    command, env = _command(box, line)
    controller, terminal = os.openpty()
    _resize(controller, SIZE)
    before = termios.tcgetattr(terminal)
    process = subprocess.Popen(
        ["setsid", "--ctty", "--wait", *command],
        env={**env, "TERM": "xterm"},
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
        start_new_session=True,
    )
    try:
        out = _converse(controller, process, list(line.keys), 60 * box.slow)
        after = termios.tcgetattr(terminal)
        return Seen(REDRAWN.sub(b"", out), b"", process.returncode, after == before)
    finally:
        if process.poll() is None:
            process.kill()
            process.wait()
        os.close(terminal)
        os.close(controller)


def _converse(
    controller: int, process: subprocess.Popen[bytes], keys: list[tuple[bytes, bytes]], seconds: float
) -> bytes:
    end = time.monotonic() + seconds
    shown, looked_at, heard = b"", 0, time.monotonic()
    while True:
        ended = process.poll() is not None
        ready, _, _ = select.select([controller], [], [], 0.02)
        if ready:
            heard = time.monotonic()
            with contextlib.suppress(OSError):
                shown += os.read(controller, 1 << 16)
        elif ended:
            return shown
        if keys and (at := shown.find(keys[0][0], looked_at)) >= 0 and _settled(shown, at, heard):
            looked_at = at + len(keys[0][0])
            _type(controller, keys.pop(0)[1])
        assert time.monotonic() < end, (shown[-2000:], keys)


def _settled(shown: bytes, at: int, heard: float) -> bool:
    """Whether a person would type now: a prompt is shown before the shell has its terminal as it wants it."""
    return len(shown) > at + 4096 or time.monotonic() > heard + 0.15


def _type(controller: int, keys: bytes) -> None:
    if keys == RESIZE:
        _resize(controller, NEW_SIZE)
    else:
        os.write(controller, keys)


def _resize(controller: int, size: tuple[int, int]) -> None:
    fcntl.ioctl(controller, termios.TIOCSWINSZ, struct.pack("HHHH", *size, 0, 0))


def shown(box: Box, line: Line, terminal: bool) -> Seen:
    """What a box shows, with no container before and after."""
    prepare(box, line)
    seen = in_terminal(box, line) if terminal else in_pipe(box, line)
    box.clean()
    return seen


def alike(line: Line, wanted: Seen, found: Seen) -> None:
    """Asserts that they do not differ, but for bytes that the line says may."""
    assert found.code == wanted.code
    assert (found.modes, wanted.modes) == (True, True), (found, wanted)
    if not line.unlike:
        assert found == wanted
