"""Who is who below one root: engine, spawner, the shims that wait, a container's shim; and who appears below whom."""

from __future__ import annotations

import os
import signal
import time
from collections.abc import Callable
from pathlib import Path

from leaks import check
from proa import jsontext

PROGRAM = "proa.hull.spawner"


def engine(run: Path) -> int:
    """Pid of the engine that holds RUN's lock, 0 if none runs."""
    try:
        pid = int((run / "engine.lock").read_text() or 0)
    except OSError:
        return 0
    return pid if "proa.engine.main" in arguments(pid) and parent(pid) >= 0 else 0


def spawner(run: Path) -> int:
    """Pid of the engine's spawner. Raises AssertionError: there is none."""
    owner = engine(run)
    found = [pid for pid in check.pids() if parent(pid) == owner and PROGRAM in arguments(pid)]
    assert owner and found, "no spawner"
    return found[0]


def children(pid: int) -> list[int]:
    """The live children of ``pid``."""
    return [one for one in check.pids() if parent(one) == pid]


def waits(pid: int) -> bool:
    """Whether a shim waits for its container: one that carries something has its loop."""
    return PROGRAM in arguments(pid) and "anon_inode:[eventpoll]" not in check.descriptors(pid)


def shim(run: Path, id: str) -> int:
    """Pid of a container's shim, by its state.json. Raises OSError."""
    return int(state(run, id)["shim"])


def state(run: Path, id: str) -> dict[str, int]:
    """RUN/containers/ID/state.json. Raises OSError: nothing runs yet."""
    value = jsontext.loads((run / "containers" / id / "state.json").read_bytes())
    assert isinstance(value, dict)
    return value


def kill(pid: int) -> None:
    """SIGKILL, and wait until it has ended; one that has ended already is fine."""
    assert pid > 1
    try:
        descriptor = os.pidfd_open(pid)
    except ProcessLookupError:
        return
    try:
        signal.pidfd_send_signal(descriptor, signal.SIGKILL)
    except ProcessLookupError:
        pass
    finally:
        os.close(descriptor)
    until(lambda: parent(pid) < 0, 10)


def appear(parents: set[int], seconds: float) -> int:
    """The first process below one of ``parents``, which have none yet; seen within some 50 microseconds. Raises
    AssertionError."""
    end = time.monotonic() + seconds
    while time.monotonic() < end:
        for pid in parents:
            below = _below(pid)
            if below:
                return int(below[0])
    raise AssertionError("nothing was started")


def _below(pid: int) -> list[bytes]:
    try:
        fd = os.open(f"/proc/{pid}/task/{pid}/children", os.O_RDONLY)
        try:
            return os.read(fd, 4096).split()
        finally:
            os.close(fd)
    except OSError:
        return []  # it has ended


def parent(pid: int) -> int:
    """Parent of a live process; -1 if it has ended."""
    try:
        fields = Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
        return -1 if fields[0] in (b"Z", b"X") else int(fields[1])
    except (OSError, IndexError):
        return -1


def program(pid: int) -> str:
    """Name of the file that a process runs, "" if it has ended."""
    try:
        return os.path.basename(os.readlink(f"/proc/{pid}/exe"))
    except OSError:
        return ""


def arguments(pid: int) -> str:
    """Its command line."""
    try:
        return Path(f"/proc/{pid}/cmdline").read_bytes().decode("utf-8", "replace")
    except OSError:
        return ""


def until(condition: Callable[[], object], seconds: float, step: float = 0.002) -> None:
    """Return once ``condition`` holds. Raises AssertionError."""
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end, "it never happened"
        time.sleep(step)
