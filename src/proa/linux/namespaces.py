"""namespaces(7): unshare(2), setns(2). os.unshare and os.setns exist from Python 3.12 only."""

import ctypes
import os

from . import libc

CLONE_NEWTIME = 0x80
CLONE_NEWNS = 0x20000
CLONE_NEWCGROUP = 0x2000000
CLONE_NEWUTS = 0x4000000
CLONE_NEWIPC = 0x8000000
CLONE_NEWUSER = 0x10000000
CLONE_NEWPID = 0x20000000
CLONE_NEWNET = 0x40000000

FLAGS = {
    "mount": CLONE_NEWNS,
    "cgroup": CLONE_NEWCGROUP,
    "uts": CLONE_NEWUTS,
    "ipc": CLONE_NEWIPC,
    "user": CLONE_NEWUSER,
    "pid": CLONE_NEWPID,
    "network": CLONE_NEWNET,
    "time": CLONE_NEWTIME,
}
"""The OCI runtime specification's names of namespaces."""

_unshare = libc.function("unshare", ctypes.c_int)
_setns = libc.function("setns", ctypes.c_int, ctypes.c_int)


def unshare(flags: int) -> None:
    """unshare(2)."""
    libc.check(_unshare(flags), "unshare")


def setns(fd: int, flags: int) -> None:
    """setns(2): ``fd`` is a namespace, or (Linux 5.8) a pidfd with any CLONE_NEW* flags."""
    libc.check(_setns(fd, flags), "setns")


def new_network() -> int:
    """A network namespace as a descriptor (close-on-exec); this process, which must have no threads, stays in its own.

    Needs CAP_SYS_ADMIN.
    """
    ours = os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
    try:
        unshare(CLONE_NEWNET)
        try:
            return os.open("/proc/self/ns/net", os.O_RDONLY | os.O_CLOEXEC)
        finally:
            setns(ours, CLONE_NEWNET)
    finally:
        os.close(ours)


def join(path: str, flags: int) -> None:
    """Join the namespace that the file ``path`` names; the kernel checks that it is of the kind ``flags``."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        libc.check(_setns(fd, flags), "setns", path)
    finally:
        os.close(fd)
