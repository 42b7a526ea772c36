"""Cgroup: where a container's processes are counted, limited, frozen and killed. Three implementations: v1, v2, none.

    group = choose.open(value, id)         value: the bundle's ``cgroup``; nothing is made yet
    group.create(resources)                directories and limits; HostCannot-like OSError says which file refused
    launch_init(flags, into=group.into())  born inside (version 2), or
    configure(…, joins=group.joins())      joining by itself (version 1): init writes 0 into each of these files
    group.join(pid)                        anyone else, from outside: QEMU
    group.update(resources)                new limits
    group.freeze(True)                     returns once all stand still
    group.kill()                           SIGKILL to all inside, frozen or not; False: not able here, kill init instead
    group.oom_kills()                      how many were killed for want of memory so far
    group.close()  group.remove()          descriptors go; then the directories, which must be empty by then

A group is owned by whoever created it. Another process opens the same group by the same value and id: everything but
``create`` works on what it finds there. What is missing (a controller, the whole tree) is left
out of ``create`` only if no limit asks for it.
"""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..oci.runtime import Resources


class Cgroup:
    """The contract, see above. Units: bytes, nanoseconds; file descriptors stay the group's."""

    version = 0
    hierarchies: "Sequence[str]" = ()
    """What a container's mount of type cgroup shows (runtime.messages.Order)."""

    def create(self, resources: "Resources") -> None:
        """Make the group with its limits. Raises OSError, its path the file that refused; nothing is left then."""
        raise NotImplementedError

    def into(self) -> int:
        """A version 2 directory to be born in (clone3), or -1."""
        return -1

    def joins(self) -> "Sequence[int]":
        """Files into which a process that joins by itself writes 0."""
        return ()

    def join(self, pid: int) -> None:
        """Move a process in, from outside."""
        raise NotImplementedError

    def update(self, resources: "Resources") -> None:
        """Set the limits that ``resources`` names; the others stay."""
        raise NotImplementedError

    def freeze(self, frozen: bool) -> None:
        """Stop all processes inside, or let them go on. Raises OSError (ETIMEDOUT: one would not stop)."""
        raise NotImplementedError

    def kill(self) -> bool:
        """Send SIGKILL to all inside; False where there is no group to find them by."""
        raise NotImplementedError

    def pids(self) -> "list[int]":
        """The processes inside, in this process's view."""
        raise NotImplementedError

    def oom_kills(self) -> int:
        """Processes killed so far because the memory limit was reached."""
        return 0

    def oom_fd(self) -> "tuple[int, int]":
        """(descriptor, poll events) that wake when memory runs out, or (-1, 0). Valid until ``close``."""
        return -1, 0

    def usage(self) -> "dict[str, int]":
        """What is known of: memory, memory_peak (bytes), cpu (ns), pids."""
        return {}

    def close(self) -> None:
        """Close the descriptors; the group stays."""

    def remove(self) -> None:
        """Remove the directories. Raises OSError (EBUSY) if processes stay inside for 2 s."""
        raise NotImplementedError


def need_positive(resources: "Resources") -> bool:
    """Whether any limit of memory, cpu or processes is asked for."""
    return any(resources.get(name) for name in ("memory", "cpu", "pids"))


def write(path: str, text: str) -> None:
    """One write(2) into a control file. Raises OSError with the path."""
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    except OSError as problem:
        problem.filename = path
        raise
    finally:
        os.close(fd)


def read(path: str) -> str:
    """A control file's text."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, 65536).decode("ascii", "replace")
    finally:
        os.close(fd)


def field(text: str, name: str) -> int:
    """The number behind ``name`` in a file of "name number" lines; 0 if it is not there."""
    for line in text.split("\n"):
        key, _, value = line.partition(" ")
        if key == name:
            return int(value)
    return 0
