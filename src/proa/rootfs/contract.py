"""Rootfs: layers into a container's root, in the form that a hull needs. Two implementations.

    overlay.py   form "mounts": unpacked layers below, the container's own directory above, one overlay Mount
    block.py     form "disks": one squashfs an image, one sparse ext4 a container; made without any privilege

A root's life, as the engine sees it:

    base = rootfs.unpack(record)             slow the first time (seconds), in a thread; made once per image
    root = rootfs.prepare(directory, base)   at create: the container's own writable layer, ≤ 5 ms, no fsync
    … the hull mounts root.mounts, or plugs root.disks; nothing is ever mounted here …
    rootfs.remove(directory)                 at delete: the whole directory, whatever is in it

``directory`` is STATE/containers/ID. ``prepare`` may be called again for the same directory (each start): what the
container wrote stays. Paths inside an image are never joined and opened: see image/tree.py.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal, NotRequired, Protocol, TypedDict

if TYPE_CHECKING:
    from ..image.store import ImageRecord
    from ..oci.runtime import Mount


class Disk(TypedDict):
    """A block image, as hull.bundle.Disk has it: "root" is squashfs, read-only; "upper" is ext4, writable, empty at
    first. Both are block.DISK_SIZE long, sparse. The upper one has the overlay's two directories, or the guest makes
    them; the guest gives ``upper`` the mode and owner of the squashfs's root. ``blank``: what the upper disk is still
    an exact copy of; ``model``: what volatile ones begin as."""

    path: str
    role: Literal["root", "upper"]
    blank: NotRequired[str]
    model: NotRequired[str]


@dataclass(frozen=True, slots=True)
class Root:
    """``mounts``: in order, destinations absolute on the host (Bundle.root); ``disks``: Bundle.disks."""

    mounts: list[Mount]
    disks: list[Disk]


class Rootfs(Protocol):
    """See the module's docstring. Methods block; they raise ProaError and OSError, and leave nothing behind then."""

    form: Literal["mounts", "disks"]

    def unpack(self, record: ImageRecord) -> list[str]:
        """The paths that ``record``'s containers share (its layers' trees, lowest first, or its block image), made
        if they are not there. Two callers at once make them once. Raises HostCannot."""
        ...

    def prepare(self, directory: str, base: list[str], *, volatile: bool = False) -> Root:
        """The root of one container. ``volatile``: it is removed when it ends, so nothing need reach the disk."""
        ...

    def remove(self, directory: str) -> None:
        """Remove ``directory`` and everything below it, never following a link. Gone already is fine."""
        ...
