"""What a dead shim may have left, and its end: the processes of its container and their cgroup. Named by state.json.

Everything blocks; an engine calls it in a thread. A process is only ever signalled by a pidfd that was checked against
its start time, a cgroup is only touched below our own directory.
"""

import errno
import os
import time

from ..cgroup import choose
from . import records

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from typing import Any
else:
    import _signal

PATIENCE = 10.0
_SIGKILL = 9


def exist(state: "dict[str, Any]") -> bool:
    """Whether anything is left. A few stat(2)s: cheap enough to ask always."""
    if _alive(state):
        return True
    cgroup = state.get("cgroup") or {}
    parent, id = cgroup.get("parent"), state.get("id")
    return any(os.path.isdir(f"{mount}/{parent}/{id}") for mount in cgroup.get("mounts", {}).values())


def end(state: "dict[str, Any]") -> None:
    """Kill what runs, wait until it has ended, remove the cgroup. Raises OSError when that cannot be done."""
    kill(int(state.get("pid", 0)), int(state.get("pid_start", 0)))
    if state.get("cgroup"):
        group = choose.open(state["cgroup"], state["id"])
        group.kill()
    deadline = time.monotonic() + PATIENCE
    while _alive(state) and time.monotonic() < deadline:
        time.sleep(0.002)
    if state.get("cgroup"):
        group.close()
        group.remove()


def kill(pid: int, started: int) -> None:
    """SIGKILL the process that had this pid at this start time (hull/records); another one is left alone."""
    if pid <= 0 or not started:
        return
    try:
        pidfd = os.pidfd_open(pid)
    except OSError:
        return
    try:
        if records.started(pid) == started:
            _signal.pidfd_send_signal(pidfd, _SIGKILL)
    except ProcessLookupError:
        pass
    finally:
        os.close(pidfd)


def _alive(state: "dict[str, Any]") -> bool:
    pid, started = int(state.get("pid", 0)), int(state.get("pid_start", 0))
    return pid > 0 and started > 0 and records.started(pid) == started and not _spent(pid)


def _spent(pid: int) -> bool:
    """Whether it has given back its memory, descriptors and namespaces already, and only waits, as the init of a pid
    namespace does, for its last processes to be reaped: by process 1, once their shim is dead, which may take its time.
    """
    try:
        os.readlink(f"/proc/{pid}/ns/mnt")
    except OSError as problem:
        return problem.errno in (errno.ENOENT, errno.ESRCH)
    return False
