"""mount(2), umount2(2), pivot_root(2)."""

import ctypes
import os

from . import libc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .libc import Path

MS_RDONLY = 0x1
MS_NOSUID = 0x2
MS_NODEV = 0x4
MS_NOEXEC = 0x8
MS_SYNCHRONOUS = 0x10
MS_REMOUNT = 0x20
MS_MANDLOCK = 0x40
MS_DIRSYNC = 0x80
MS_NOSYMFOLLOW = 0x100
MS_NOATIME = 0x400
MS_NODIRATIME = 0x800
MS_BIND = 0x1000
MS_MOVE = 0x2000
MS_REC = 0x4000
MS_SILENT = 0x8000
MS_UNBINDABLE = 0x20000
MS_PRIVATE = 0x40000
MS_SLAVE = 0x80000
MS_SHARED = 0x100000
MS_RELATIME = 0x200000
MS_STRICTATIME = 0x1000000
MS_LAZYTIME = 0x2000000

MNT_FORCE = 1
MNT_DETACH = 2
UMOUNT_NOFOLLOW = 8

_text = ctypes.c_char_p
_mount = libc.function("mount", _text, _text, _text, ctypes.c_ulong, _text)
_umount2 = libc.function("umount2", _text, ctypes.c_int)
_pivot_root = libc.syscall("pivot_root", _text, _text)


def mount(source: "Path", target: "Path", type: str = "", flags: int = 0, data: "Path" = "") -> None:
    """mount(2). Empty ``type`` and ``data`` are passed as NULL. Raises OSError with the target as its path."""
    done = _mount(
        os.fsencode(source),
        os.fsencode(target),
        type.encode() if type else None,
        flags,
        os.fsencode(data) if data else None,
    )
    if done:
        libc.fail("mount", target)


def umount(target: "Path", flags: int = 0) -> None:
    """umount2(2)."""
    libc.check(_umount2(os.fsencode(target), flags), "umount2", target)


def pivot_root(new: "Path", old: "Path") -> None:
    """pivot_root(2). Both may be ".": the old root then lies on top of the new one and is unmounted as "."."""
    libc.check(_pivot_root(os.fsencode(new), os.fsencode(old)), "pivot_root", new)
