"""The system call filters that the kernel runs for a process: ptrace(2) PTRACE_SECCOMP_GET_FILTER."""

from __future__ import annotations

import ctypes
import errno
import os

ATTACH, DETACH, GET_FILTER = 16, 17, 0x420C

_libc = ctypes.CDLL(None, use_errno=True)
_libc.ptrace.argtypes = (ctypes.c_long, ctypes.c_long, ctypes.c_void_p, ctypes.c_void_p)
_libc.ptrace.restype = ctypes.c_long


def _ptrace(request: int, pid: int, address: int | None, data: object = None) -> int:
    result = _libc.ptrace(request, pid, address, data)
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))
    return int(result)


def filters(pid: int) -> list[bytes]:
    """The BPF programs of process ``pid``, the newest first. Raises OSError (EACCES, EINVAL: not to be had here)."""
    _ptrace(ATTACH, pid, None)
    try:
        os.waitpid(pid, 0x40000000)  # __WALL
        return list(_all(pid))
    finally:
        _ptrace(DETACH, pid, None)


def _all(pid: int) -> list[bytes]:
    found = []
    for index in range(64):
        try:
            count = _ptrace(GET_FILTER, pid, index)
        except OSError as problem:
            if problem.errno == errno.ENOENT:
                break
            raise
        buffer = ctypes.create_string_buffer(count * 8)
        _ptrace(GET_FILTER, pid, index, buffer)
        found.append(buffer.raw)
    return found
