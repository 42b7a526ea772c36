"""The two disks of every VM, as files on the host: one fixed virtual size, whatever image is behind them.

The guest saw disks of this size before any image was known; squashfs and ext4 ignore what lies behind their end.
"""

import os

from . import memory
from .machine import DISK_SIZE, ROOT, STATE, UPPER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..bundle import Disk


def placeholders(blank: str) -> "tuple[int, int]":
    """The disks of a template's boot: an empty one to read from, and a copy of ``blank`` (or an empty one)."""
    write = os.memfd_create("proa-placeholder", os.MFD_CLOEXEC)
    os.ftruncate(write, DISK_SIZE)
    if blank:
        source = os.open(blank, os.O_RDONLY | os.O_CLOEXEC)
        try:
            memory.copy(source, write)
        finally:
            os.close(source)
    return _empty(), write


def _empty() -> int:
    fd = os.memfd_create("proa-placeholder", os.MFD_CLOEXEC)
    try:
        os.ftruncate(fd, DISK_SIZE)
        return os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC)
    finally:
        os.close(fd)


def identity(path: str) -> str:
    """Which file is at ``path``; "" for none."""
    try:
        found = os.stat(path)
    except OSError:
        return ""
    return f"{found.st_dev}:{found.st_ino}:{found.st_mtime_ns}:{found.st_blocks}"


def open_image(path: str) -> int:
    """The read-only disk; one that is shorter than the fixed size is made sparse up to it. Raises OSError."""
    if os.stat(path).st_size != DISK_SIZE:
        os.truncate(path, DISK_SIZE)
    return os.open(path, os.O_RDONLY | os.O_CLOEXEC)


def open_upper(path: str) -> int:
    """The writable disk. Raises OSError."""
    fd = os.open(path, os.O_RDWR | os.O_CLOEXEC | os.O_NOFOLLOW)
    if os.fstat(fd).st_size != DISK_SIZE:
        os.ftruncate(fd, DISK_SIZE)
    return fd


def descriptors(state: str, disks: "Iterable[Disk]") -> "dict[int, int]":
    """A template's state and a machine's two disks, by their numbers on its command line. Raises OSError."""
    found: "dict[int, int]" = {}
    try:
        found[STATE] = os.open(state, os.O_RDONLY | os.O_CLOEXEC)
        for disk in disks:
            if disk["role"] == "root":
                found[ROOT] = open_image(disk["path"])
            else:
                found[UPPER] = open_upper(disk["path"])
    except BaseException:
        for fd in found.values():
            os.close(fd)
        raise
    return found
