"""proc_pid_stat(5): where the kernel keeps this process's command line, and writing another one there."""

import ctypes
import os

_ARG_START, _ARG_END = 45, 46  # fields 48 and 49, counted from behind the name


def show(text: bytes) -> None:
    """Have /proc/PID/cmdline say ``text``, cut to the room there is; the rest is wiped. Does nothing without /proc."""
    try:
        fd = os.open("/proc/self/stat", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return
    try:
        fields = os.read(fd, 4096).rpartition(b")")[2].split()
    finally:
        os.close(fd)
    start, end = int(fields[_ARG_START]), int(fields[_ARG_END])
    if 0 < start < end:
        ctypes.memset(start, 0, end - start)
        ctypes.memmove(start, text, min(len(text), end - start - 1))
