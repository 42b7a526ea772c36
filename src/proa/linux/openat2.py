"""openat2(2) (Linux 5.6): a path resolved as inside a root, by the kernel and not by joining strings."""

import ctypes
import os

from . import libc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .libc import Path

RESOLVE_NO_XDEV = 0x01
RESOLVE_NO_MAGICLINKS = 0x02
RESOLVE_NO_SYMLINKS = 0x04
RESOLVE_BENEATH = 0x08
RESOLVE_IN_ROOT = 0x10
_EAGAIN = 11


class _OpenHow(ctypes.Structure):
    _fields_ = (("flags", ctypes.c_uint64), ("mode", ctypes.c_uint64), ("resolve", ctypes.c_uint64))


_SIZE = ctypes.sizeof(_OpenHow)
_openat2 = libc.syscall("openat2", ctypes.c_int, ctypes.c_char_p, ctypes.POINTER(_OpenHow), ctypes.c_size_t)


def openat2(directory: int, path: "Path", flags: int, mode: int = 0, resolve: int = RESOLVE_IN_ROOT) -> int:
    """A descriptor, close-on-exec, of ``path`` resolved with ``directory`` as the root. Raises OSError."""
    how = _OpenHow(flags | os.O_CLOEXEC, mode, resolve)
    name = os.fsencode(path)
    fd, tries = -1, 32
    while fd < 0:
        fd = _openat2(directory, name, ctypes.byref(how), _SIZE)
        tries -= 1
        if fd < 0 and (ctypes.get_errno() != _EAGAIN or not tries):
            libc.fail("openat2", path)  # EAGAIN: a rename elsewhere made the kernel unsure; the manual says try again
    return fd
