"""Hiding parts of /proc and /sys: read-only paths and masked paths.  See ``operation``."""

import os

from ..linux import mount as m
from ..linux import mounttree as tree
from . import mounting
from .failure import quote
from .operation import Operation, Setup
from .root import path_of

_S_IFMT, _S_IFCHR = 0o170000, 0o020000
_NULL = os.makedev(1, 3)


class Readonly(Operation):
    """Make a path read-only where it exists."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path

    def describe(self) -> str:
        return f"making {quote(self.path)} read-only"

    def execute(self, setup: Setup) -> None:
        try:
            target = setup.root.open(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return
        copy = tree.copy_tree(target, recursive=True)
        tree.set_attributes(copy, tree.MOUNT_ATTR_RDONLY)
        tree.move_mount(copy, target)
        os.close(copy)
        os.close(target)


class Mask(Operation):
    """Hide a path where it exists: a file behind /dev/null, a directory behind an empty one."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path

    def describe(self) -> str:
        return f"masking {quote(self.path)}"

    def execute(self, setup: Setup) -> None:
        try:
            target = setup.root.open(self.path)
        except (FileNotFoundError, NotADirectoryError):
            return
        if not mounting.is_directory(target):
            _cover(_null(setup), target)
        elif setup.nothing < 0:
            m.mount("tmpfs", path_of(target), "tmpfs", m.MS_RDONLY, "size=0k,nr_inodes=2")
            setup.nothing = setup.root.open(self.path)
        else:
            _cover(setup.nothing, target)
        os.close(target)


def _cover(with_: int, target: int) -> None:
    copy = tree.copy_tree(with_)
    tree.move_mount(copy, target)
    os.close(copy)


def _null(setup: Setup) -> int:
    """The root's /dev/null, which must really be it: an image could offer another file (CVE-2025-31133)."""
    if setup.null < 0:
        fd = setup.root.open("/dev/null")
        info = os.fstat(fd)
        if info.st_rdev != _NULL or info.st_mode & _S_IFMT != _S_IFCHR:
            raise ValueError("/dev/null in rootfs is not the null device")
        setup.null = fd
    return setup.null
