"""seccomp(2): load a compiled filter (classic BPF, 8 bytes an instruction)."""

import ctypes

from . import libc

_SET_MODE_FILTER = 1
INSTRUCTION = 8
"""Bytes of one ``struct sock_filter``."""


class _Program(ctypes.Structure):
    _fields_ = (("len", ctypes.c_ushort), ("filter", ctypes.c_void_p))


_seccomp = libc.syscall("seccomp", ctypes.c_uint, ctypes.c_uint, ctypes.c_void_p)


ready: "dict[str, Filter]" = {}
"""Filters that this process has made ready under a name: a guest's, before its memory is saved."""


class Filter:
    """A filter made ready, so that loading it is one system call and nothing else."""

    __slots__ = ("_address", "_buffer", "_program")

    def __init__(self, code: bytes) -> None:
        if not code or len(code) % INSTRUCTION:
            raise ValueError("not a BPF program")
        self._buffer = ctypes.create_string_buffer(code, len(code))
        self._program = _Program(len(code) // INSTRUCTION, ctypes.addressof(self._buffer))
        self._address = ctypes.addressof(self._program)

    def load(self) -> None:
        """Put this thread under the filter. Needs no_new_privs or CAP_SYS_ADMIN."""
        libc.check(_seccomp(_SET_MODE_FILTER, 0, self._address), "seccomp")
