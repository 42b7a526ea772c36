"""Things that can be made anew from stored blobs: layer trees, block images. Made once, whole or not at all, no fsync.

    with derived.making(place) as fresh:     None if ``place`` is there already
        if fresh is not None: … fill the path ``fresh`` …

A file system may lose what was written shortly before a power cut, though the name is there. So beside each thing
stands a note of the boot it was made in; made in another boot and never settled, it is made again. ``settle`` (when
the engine is idle) lets everything reach the disk and says so in the notes.
"""

from __future__ import annotations

import contextlib
import fcntl
import os
from typing import TYPE_CHECKING

from . import removal, room

if TYPE_CHECKING:
    from collections.abc import Iterator

_SETTLED = "settled"
_NOTE = ".note"
_FRESH = ".fresh-"
_LOCK = ".lock"


def boot() -> str:
    """This boot's id."""
    with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
        return file.read().strip()


def whole(place: str) -> bool:
    """Whether ``place`` is there and to be trusted."""
    try:
        with open(place + _NOTE, encoding="ascii") as file:
            note = file.read()
    except OSError:
        return False
    return note in (_SETTLED, boot()) and os.path.lexists(place)


@contextlib.contextmanager
def making(place: str) -> Iterator[str | None]:
    """Give a path to fill, which becomes ``place`` when the block ends well; None when ``place`` stands. Of two callers
    at once, threads or processes, one makes and the other waits."""
    if whole(place):
        yield None
        return
    with room.needed(os.path.dirname(place)):
        os.makedirs(os.path.dirname(place), mode=0o700, exist_ok=True)
    with room.needed(os.path.dirname(place)), _locked(place):
        if whole(place):
            yield None
            return
        removal.remove(place)
        fresh = f"{os.path.dirname(place)}/{_FRESH}{os.urandom(8).hex()}"
        try:
            yield fresh
            os.rename(fresh, place)
            _note(place, boot())
        finally:
            removal.remove(fresh)


def forget(place: str) -> None:
    """Remove a thing and its note. Nobody may be using it."""
    if not os.path.isdir(os.path.dirname(place)):
        return
    with _locked(place):
        with contextlib.suppress(FileNotFoundError):
            os.unlink(place + _NOTE)
        removal.remove(place)
        os.unlink(place + _LOCK)


def discard_unfinished(directory: str) -> None:
    """Remove what makers left that were killed. Only at start, before there are any."""
    with contextlib.suppress(FileNotFoundError):
        for entry in os.scandir(directory):
            if entry.name.startswith(_FRESH):
                removal.remove(entry.path)


def places(directory: str) -> list[str]:
    """Everything that was made, or half forgotten, in a directory: the paths that ``forget`` takes."""
    with contextlib.suppress(FileNotFoundError):
        names = {name.removesuffix(_NOTE).removesuffix(_LOCK) for name in os.listdir(directory)}
        return [f"{directory}/{name}" for name in sorted(names) if not name.startswith(".")]
    return []


def settle(directory: str) -> int:
    """Let everything made below ``directory`` reach the disk; returns how many things this concerned. Blocks long."""
    try:
        notes = [entry.path for entry in os.scandir(directory) if entry.name.endswith(_NOTE)]
    except FileNotFoundError:
        return 0
    waiting = [note for note in notes if whole(note.removesuffix(_NOTE)) and not _is_settled(note)]
    if waiting:
        os.sync()
    for note in waiting:
        if whole(note.removesuffix(_NOTE)):
            _note(note.removesuffix(_NOTE), _SETTLED)
    return len(waiting)


def _is_settled(note: str) -> bool:
    with open(note, encoding="ascii") as file:
        return file.read() == _SETTLED


def _note(place: str, text: str) -> None:
    fresh = f"{os.path.dirname(place)}/{_FRESH}{os.urandom(8).hex()}"
    with open(fresh, "x", encoding="ascii") as file:
        file.write(text)
    os.rename(fresh, place + _NOTE)


@contextlib.contextmanager
def _locked(place: str) -> Iterator[None]:
    fd = _lock(place + _LOCK)
    try:
        yield
    finally:
        os.close(fd)


def _lock(path: str) -> int:
    while True:
        fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        try:
            fcntl.flock(fd, fcntl.LOCK_EX)
            with contextlib.suppress(FileNotFoundError):
                if os.path.samestat(os.fstat(fd), os.stat(path)):
                    return fd
        except BaseException:
            os.close(fd)
            raise
        os.close(fd)  # whoever held it has removed it: another file is the lock now
