"""The two disks of every VM, as files on the host: one fixed virtual size, whatever image is behind them.

The guest saw disks of this size before any image was known; squashfs and ext4 ignore what lies behind their end.
"""

import os

from .machine import DISK_SIZE


def placeholder() -> "tuple[int, int]":
    """An empty disk of the fixed size for a template's boot: descriptors to read from, and to write to."""
    fd = os.memfd_create("proa-placeholder", os.MFD_CLOEXEC)
    os.ftruncate(fd, DISK_SIZE)
    return os.open(f"/proc/self/fd/{fd}", os.O_RDONLY | os.O_CLOEXEC), fd


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
