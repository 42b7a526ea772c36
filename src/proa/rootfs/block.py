"""Rootfs of form "disks": one squashfs an image, one sparse ext4 a container. Needs no privilege, mounts nothing.

The squashfs is written by ourselves (rootfs/squashfs.py) from a tree that was checked. The writable disk is a copy of
a blank file system's few written blocks. No tool ever opens a disk again that a guest could write. Both have one fixed
virtual size, as a restored machine's memory already knows it.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Literal

from ..image import content, derived, layer, removal, tree, unpack
from ..image.index import merge
from . import ext4, squashfs
from .contract import Disk, Root

if TYPE_CHECKING:
    from ..image.store import ImageRecord
    from ..places import Places

DISK_SIZE = 64 << 30
_FICLONE = 0x40049409  # ioctl_ficlone(2)


class Block:
    """The contract's form "disks" (rootfs.contract.Rootfs)."""

    form: Literal["disks"] = "disks"

    def __init__(self, places: Places) -> None:
        self._places = places

    def unpack(self, record: ImageRecord) -> list[str]:
        """[the image's squashfs, two blank ext4 that writable disks are copies of: plain, with a journal]."""
        return [image(self._places, record), blank(self._places, journal=False), blank(self._places, journal=True)]

    def prepare(self, directory: str, base: list[str], *, volatile: bool = False) -> Root:
        """upper.img in ``directory``: with a journal, unless it is ``volatile`` and never mounted a second time."""
        return prepare(directory, base, volatile=volatile)

    def remove(self, directory: str) -> None:
        """Remove ``directory``."""
        removal.remove(directory)


def prepare(directory: str, base: list[str], *, volatile: bool = False) -> Root:
    """See Block.prepare; ``base`` as Block.unpack gave it."""
    image_path, plain, journalled = base
    os.makedirs(directory, mode=0o700, exist_ok=True)
    disk: Disk = {"path": directory + "/upper.img", "role": "upper", "model": plain}
    if not os.path.exists(disk["path"]):
        disk["blank"] = plain if volatile else journalled
        copy_sparse(disk["blank"], disk["path"])
    return Root([], [{"path": image_path, "role": "root"}, disk])


def image(places: Places, record: ImageRecord) -> str:
    """The squashfs of all of an image's layers, built if it is not there. Raises HostCannot, ProaError, OSError."""
    place = unpack.block_place(places, record.root)
    with derived.making(place) as fresh:
        if fresh is not None:
            _squash(places, record, fresh)
    return place


def _squash(places: Places, record: ImageRecord, fresh: str) -> None:
    indexes = [layer.index(places, diff_id, unpack.STORED, n) for n, diff_id in enumerate(record.diff_ids)]
    root = merge(indexes)
    with ExitStack() as stack:
        blobs = [stack.enter_context(content.opened(places, diff_id)).fileno() for diff_id in record.diff_ids]
        sources = stack.enter_context(tree.Sources(blobs))
        with open(fresh, "xb", buffering=0) as file:
            squashfs.write(root, sources, file.fileno())
            _fix_size(file.fileno())
            os.fchmod(file.fileno(), 0o444)


def blank(places: Places, *, journal: bool) -> str:
    """An empty ext4 of DISK_SIZE, made once: what each writable disk is at first. Raises HostCannot, ProaError.
    Without a journal, a machine that was killed may leave it inconsistent: only for what is never mounted again."""
    place = f"{unpack.blocks(places)}/blank2-{DISK_SIZE >> 30}{'-journal' if journal else ''}.ext4"
    with derived.making(place) as fresh:
        if fresh is not None:
            ext4.make(places, fresh, DISK_SIZE, journal=journal)
            os.chmod(fresh, 0o444)
    return place


def _fix_size(fd: int) -> None:
    size = os.fstat(fd).st_size
    if size > DISK_SIZE:
        raise ext4.failed("the image is larger than a virtual machine's disk", f"{size} bytes, limit {DISK_SIZE}")
    os.ftruncate(fd, DISK_SIZE)


def copy_sparse(source: str, place: str) -> None:
    """Copy a sparse file: by reference where the file system can, else its written extents alone. Appears whole."""
    fresh = f"{place}.{os.urandom(4).hex()}"
    with open(source, "rb", buffering=0) as old, open(fresh, "xb", buffering=0) as new:
        try:
            _copy(old.fileno(), new.fileno())
            os.rename(fresh, place)
        except BaseException:
            os.unlink(fresh)
            raise


def _copy(old: int, new: int) -> None:
    try:
        fcntl.ioctl(new, _FICLONE, old)
        return
    except OSError:
        pass  # most file systems cannot
    size = os.fstat(old).st_size
    os.ftruncate(new, size)
    for start, end in _extents(old, size):
        while start < end:
            start += os.copy_file_range(old, new, end - start, start, start)


def _extents(fd: int, size: int) -> list[tuple[int, int]]:
    """The written parts of a sparse file (lseek(2), SEEK_DATA)."""
    found = []
    at = 0
    while at < size:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError:
            break  # ENXIO: nothing but a hole is left
        at = os.lseek(fd, start, os.SEEK_HOLE)
        found.append((start, at))
    return found
