"""Mounts as descriptors: open_tree(2), move_mount(2), mount_setattr(2) (Linux 5.2, 5.2, 5.12)."""

import ctypes
import os

from . import libc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .libc import Path

AT_FDCWD = -100
AT_EMPTY_PATH = 0x1000
AT_RECURSIVE = 0x8000

OPEN_TREE_CLONE = 1
OPEN_TREE_CLOEXEC = os.O_CLOEXEC

MOVE_MOUNT_F_EMPTY_PATH = 0x4
MOVE_MOUNT_T_EMPTY_PATH = 0x40

MOUNT_ATTR_RDONLY = 0x1
MOUNT_ATTR_NOSUID = 0x2
MOUNT_ATTR_NODEV = 0x4
MOUNT_ATTR_NOEXEC = 0x8
MOUNT_ATTR_ATIME = 0x70
MOUNT_ATTR_NOATIME = 0x10
MOUNT_ATTR_STRICTATIME = 0x20
MOUNT_ATTR_NOSYMFOLLOW = 0x200000


class _MountAttr(ctypes.Structure):
    _fields_ = (
        ("attr_set", ctypes.c_uint64),
        ("attr_clr", ctypes.c_uint64),
        ("propagation", ctypes.c_uint64),
        ("userns_fd", ctypes.c_uint64),
    )


_text = ctypes.c_char_p
_open_tree = libc.syscall("open_tree", ctypes.c_int, _text, ctypes.c_uint)
_move_mount = libc.syscall("move_mount", ctypes.c_int, _text, ctypes.c_int, _text, ctypes.c_uint)
_setattr = libc.syscall(
    "mount_setattr", ctypes.c_int, _text, ctypes.c_uint, ctypes.POINTER(_MountAttr), ctypes.c_size_t
)


def open_tree(path: "Path", *, recursive: bool = False) -> int:
    """A detached copy of what is mounted at ``path``, as a descriptor (close-on-exec)."""
    flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | (AT_RECURSIVE if recursive else 0)
    return libc.check(_open_tree(AT_FDCWD, os.fsencode(path), flags), "open_tree", path)


def copy_tree(fd: int, *, recursive: bool = False) -> int:
    """The same of the file or directory that ``fd`` (O_PATH will do) holds."""
    flags = OPEN_TREE_CLONE | OPEN_TREE_CLOEXEC | AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0)
    return libc.check(_open_tree(fd, b"", flags), "open_tree")


def move_mount(tree: int, target: int) -> None:
    """Attach the detached mount ``tree`` on the file or directory that the descriptor ``target`` holds."""
    flags = MOVE_MOUNT_F_EMPTY_PATH | MOVE_MOUNT_T_EMPTY_PATH
    libc.check(_move_mount(tree, b"", target, b"", flags), "move_mount")


def set_attributes(tree: int, set: int, clear: int = 0, *, propagation: int = 0, recursive: bool = False) -> None:
    """Set and clear MOUNT_ATTR_* of the mount whose root ``tree`` holds; below it too when ``recursive``.

    ``propagation``: one of MS_PRIVATE, MS_SLAVE, MS_SHARED, MS_UNBINDABLE, or 0 to leave it as it is.
    """
    attributes = _MountAttr(set, clear, propagation, 0)
    flags = AT_EMPTY_PATH | (AT_RECURSIVE if recursive else 0)
    libc.check(_setattr(tree, b"", flags, ctypes.byref(attributes), ctypes.sizeof(attributes)), "mount_setattr")


def readonly_file(path: "Path") -> int:
    """A descriptor of ``path`` on a detached, read-only mount of its own.

    A program started through it (/proc/self/fd/N) cannot be written by way of anyone's /proc/PID/exe, root's neither.
    """
    tree = open_tree(path)
    try:
        set_attributes(tree, MOUNT_ATTR_RDONLY | MOUNT_ATTR_NOSUID)
    except BaseException:
        os.close(tree)
        raise
    return tree
