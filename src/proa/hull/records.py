"""The files that outlive everybody: RUN/containers/ID/state.json (what is) and ``exit`` (how it ended).

Renamed into place, so that a reader sees all or nothing; never synced: RUN ends with the boot.
"""

import errno
import os

from .. import jsontext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

STATE = "state.json"
EXIT = "exit"
SIZE_MAX = 1 << 20


def write(directory: str, name: str, value: "dict[str, Any]") -> None:
    """Put ``value`` in place. Raises OSError."""
    path = f"{directory}/{name}"
    fd = os.open(path + ".new", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        data = jsontext.dumps(value)
        if os.write(fd, data) != len(data):  # a file system that is all but full
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), path)
    finally:
        os.close(fd)
    os.rename(path + ".new", path)


def read(directory: str, name: str) -> "dict[str, Any] | None":
    """What ``write`` wrote; None if there is no such file or it is not ours."""
    try:
        fd = os.open(f"{directory}/{name}", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
    except OSError:
        return None
    try:
        value = jsontext.loads(os.read(fd, SIZE_MAX))
    except (OSError, ValueError):
        return None
    finally:
        os.close(fd)
    return value if isinstance(value, dict) else None


def started(pid: int) -> int:
    """When ``pid`` began, in clock ticks since the boot (proc(5), stat field 22); 0 if there is no such process.

    With the pid it names a process for good: pids are used again. One that has ended and waits to be reaped is none.
    """
    try:
        fd = os.open(f"/proc/{pid}/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return 0
    try:
        fields = os.read(fd, 4096).rpartition(b")")[2].split()
        return 0 if fields[0] in (b"Z", b"X") else int(fields[19])
    except (OSError, IndexError, ValueError):
        return 0
    finally:
        os.close(fd)


def boot() -> str:
    """This boot's id."""
    fd = os.open("/proc/sys/kernel/random/boot_id", os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, 64).decode("ascii").strip()
    finally:
        os.close(fd)
