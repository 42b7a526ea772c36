"""Thrashing: a group at its limit that only reads again what was taken from it, while the kernel kills nobody.

Each time it finds a page of some program's text to take, so there is "progress", and no end. On a host the pages of an
image mostly count for whoever read them first; here they are all the group's own, so what is an OOM kill there would be
minutes of standing still. So process 1 does it: pressure stall information (Documentation/accounting/psi.rst) says when
nothing in the group gets on, its statistics say that next to nothing is left to take.
"""

import os
import select
import time

from ....cgroup.contract import field

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from ....hull.loop import Loop

TRIGGER = b"full 500000 2000000\0"
"""All tasks wait for memory during 0.5 of 2 s. (A sort that thrashed did so half the time, the rest it unpacked.)"""

AGAIN = 6.0
"""Seconds within which it must be so a second time: a burst is none."""

SHARE = 8
"""What could still be taken must be less than the limit divided by this: else there is streaming, not thrashing."""

TURNS = 8
"""So often all of it must have been read again between the two times. (It was 40 times with many small programs, 100
with that sort.)"""

_PAGE = os.sysconf("SC_PAGE_SIZE")
_SIGKILL = 9


class Stall:
    """Watches the group at ``path``; ``killed`` is called when one of its programs was."""

    def __init__(self, loop: "Loop", path: str, killed: "Callable[[], None]") -> None:
        self._path = path
        self._killed = killed
        self._before = -AGAIN
        self._refaults = 0
        try:
            self._fd = os.open(f"{path}/memory.pressure", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            os.write(self._fd, TRIGGER)
        except OSError:
            return  # a kernel without: it goes on as slowly as it must
        loop.add(self._fd, self._stalled, select.EPOLLPRI)

    def _stalled(self, _events: int) -> None:
        stat, now = _read(f"{self._path}/memory.stat"), time.monotonic()
        before, self._before = self._before, now
        refaults, self._refaults = self._refaults, field(stat, "workingset_refault_file")
        again = self._refaults - refaults > TURNS * left(stat) // _PAGE
        if again and left(stat) < _limit(self._path) // SHARE and now - before < AGAIN:
            self._kill()

    def _kill(self) -> None:
        victim = worst(_read(f"{self._path}/cgroup.procs").split())
        if victim:
            os.kill(victim, _SIGKILL)
            self._killed()


def left(stat: str) -> int:
    """Bytes that could still be taken; ``stat`` is a memory.stat."""
    return field(stat, "file") - field(stat, "shmem") + field(stat, "slab_reclaimable")


def worst(pids: "Iterable[str]", proc: str = "/proc") -> int:
    """The process that the kernel would kill: the highest score, then the most memory; 0: none may be."""
    found = (0, 0, 0)
    for pid in pids:
        score = int(_read(f"{proc}/{pid}/oom_score") or 0)
        if score:
            resident = _read(f"{proc}/{pid}/statm").split()[1:2]
            found = max(found, (score, int(resident[0]) if resident else 0, int(pid)))
    return found[2]


def _limit(path: str) -> int:
    """The group's limit, at most what the machine has."""
    there = os.sysconf("SC_PHYS_PAGES") * _PAGE
    wanted = _read(f"{path}/memory.max").strip()
    return min(there, int(wanted)) if wanted.isdecimal() else there


def _read(path: str) -> str:
    """A small file; "" if it is gone."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return ""
    try:
        parts = []
        while data := os.read(fd, 1 << 16):
            parts.append(data)
        return b"".join(parts).decode("ascii", "replace")
    except OSError:
        return ""  # the process has just ended
    finally:
        os.close(fd)
