"""close_range(2) (Linux 5.9)."""

import ctypes

from . import libc

LAST = 0xFFFFFFFF
_CLOSE_RANGE_CLOEXEC = 4
_close_range = libc.syscall("close_range", ctypes.c_uint, ctypes.c_uint, ctypes.c_uint)


def close(first: int, last: int = LAST) -> None:
    """Close every descriptor from ``first`` to ``last``."""
    if first <= last:
        libc.check(_close_range(first, last, 0), "close_range")


def close_except(keep: "list[int]", first: int = 3) -> None:
    """Close every descriptor from ``first`` on but those in ``keep``."""
    for fd in sorted(keep):
        if fd >= first:
            close(first, fd - 1)
            first = fd + 1
    close(first)


def on_exec(first: int) -> None:
    """Mark every descriptor from ``first`` on close-on-exec (Linux 5.11)."""
    libc.check(_close_range(first, LAST, _CLOSE_RANGE_CLOEXEC), "close_range")
