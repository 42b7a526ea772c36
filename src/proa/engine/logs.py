"""``logs``: a container's json-file log as its clients want it, past and, while it runs, to come."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass
from typing import TypeVar

from ..dockerapi import frames
from ..hull import log
from .logfiles import LogFiles
from .times import rfc3339_nine

POLL_FIRST = 0.02
POLL_MAX = 0.1
"""Seconds between two looks at a log that somebody follows: prompt while it moves, cheap while it rests."""

T = TypeVar("T")
_KINDS = {"stdout": frames.STDOUT, "stderr": frames.STDERR}


@dataclass(frozen=True, slots=True)
class Query:
    """``since``, ``until`` in ns, 0 for none; ``tail`` negative for all; ``mux``: frames, else raw bytes."""

    stdout: bool = True
    stderr: bool = True
    since: int = 0
    until: int = 0
    tail: int = -1
    timestamps: bool = False
    follow: bool = False
    mux: bool = True


async def read(path: str, query: Query, alive: Callable[[], bool]) -> AsyncIterator[bytes]:
    """The log in pieces; with ``follow`` until the container is not ``alive`` and all was read."""
    files = LogFiles(path)
    shown = _Shown(query)
    try:
        await _in_thread(files.begin, query.tail)
        pause = POLL_FIRST
        while not shown.past:
            was_alive = alive()
            piece = await _in_thread(_next, files, shown)
            if piece is not None:
                pause = POLL_FIRST
                yield piece
                continue
            if not query.follow or not was_alive:
                return
            pause = await _more(files, alive, pause)
    finally:
        files.close()


async def _in_thread(work: Callable[..., T], *args: object) -> T:
    """Like to_thread, but cancelled only once ``work`` is done: it uses a file that is closed next."""
    task = asyncio.ensure_future(asyncio.to_thread(work, *args))
    try:
        return await asyncio.shield(task)
    except asyncio.CancelledError:
        await asyncio.wait({task})
        raise


async def _more(files: LogFiles, alive: Callable[[], bool], pause: float) -> float:
    """Wait until there may be more to read; the next pause."""
    while alive() and not files.behind:
        await asyncio.sleep(pause)
        pause = min(POLL_MAX, pause * 1.5)
    return pause


def _next(files: LogFiles, shown: _Shown) -> bytes | None:
    """The next lines as they are shown (b"" if all were filtered out); None when there are none for now."""
    lines = files.read()
    return shown.lines(lines) if lines else None


class _Shown:
    """Turns lines of the file into what a client sees. ``past``: the rest is later than ``until``."""

    def __init__(self, query: Query) -> None:
        self._query = query
        self._since = rfc3339_nine(query.since) if query.since else ""
        self._until = rfc3339_nine(query.until) if query.until else ""
        self._wanted = {name for name, on in (("stdout", query.stdout), ("stderr", query.stderr)) if on}
        self.past = False

    def lines(self, lines: bytes) -> bytes:
        parts: list[bytes] = []
        for record in _parse(lines):
            time = record.get("time", "")
            if self._until and time > self._until:
                self.past = True
                break
            stream = record.get("stream", "")
            if stream in self._wanted and time >= self._since:
                parts.append(self._one(stream, time, record.get("log", "")))
        return b"".join(parts)

    def _one(self, stream: str, time: str, text: str) -> bytes:
        data = text.encode("utf-8", "surrogateescape")
        if self._query.timestamps:
            data = f"{time} ".encode() + data
        return frames.pack(_KINDS[stream], data) if self._query.mux else data


def _parse(lines: bytes) -> list[dict[str, str]]:
    """Parsed lines; one that a crash cut short is left out."""
    try:
        return log.parse(lines)
    except ValueError:
        found = []
        for line in lines.splitlines():
            try:
                found += log.parse(line)
            except ValueError:
                continue
        return found
