"""clone3(2) (Linux 5.3; CLONE_INTO_CGROUP 5.7) as a fork that is born in other namespaces.

The child returns from the call like fork(2)'s, without Python's after-fork hooks: only a single-threaded process may
call this, and the child must end in execve or os._exit, never by returning to its caller's code.
"""

import ctypes

from . import libc

CLONE_PIDFD = 0x1000
CLONE_PARENT = 0x8000
CLONE_INTO_CGROUP = 0x200000000
SIGCHLD = 17


class CloneArgs(ctypes.Structure):
    """struct clone_args."""

    _fields_ = (
        ("flags", ctypes.c_uint64),
        ("pidfd", ctypes.c_uint64),
        ("child_tid", ctypes.c_uint64),
        ("parent_tid", ctypes.c_uint64),
        ("exit_signal", ctypes.c_uint64),
        ("stack", ctypes.c_uint64),
        ("stack_size", ctypes.c_uint64),
        ("tls", ctypes.c_uint64),
        ("set_tid", ctypes.c_uint64),
        ("set_tid_size", ctypes.c_uint64),
        ("cgroup", ctypes.c_uint64),
    )


SIZE = ctypes.sizeof(CloneArgs)
_clone3 = libc.syscall("clone3", ctypes.POINTER(CloneArgs), ctypes.c_size_t)


def clone(namespaces: int = 0, into: int = -1) -> "tuple[int, int]":
    """(pid, pidfd) in the parent, (0, -1) in the child. ``into``: descriptor of a cgroup v2 directory to be born in."""
    pidfd = ctypes.c_int(-1)
    args = CloneArgs(flags=namespaces | CLONE_PIDFD, pidfd=ctypes.addressof(pidfd), exit_signal=SIGCHLD)
    if into >= 0:
        args.flags |= CLONE_INTO_CGROUP
        args.cgroup = into
    pid = _clone3(ctypes.byref(args), SIZE)
    if pid == -1:
        libc.fail("clone3")
    return pid, pidfd.value if pid else -1
