"""An Index made into a directory tree on disk: STATE/layers/<chain id>, a lower directory of overlays.

Everything is made relative to a descriptor of its parent, by a name that is one component, in a directory that was
made a moment ago and that nobody else can enter: there is no path for a link to catch. Whiteouts take overlayfs' form
(character device 0/0, ``trusted.overlay.opaque``). Order: data, owner, mode (chown clears set-id bits), extended
attributes (chown clears file capabilities), times; a directory's own come after its children.
"""

from __future__ import annotations

import errno
import mmap
import os
import stat
from typing import TYPE_CHECKING

from ..errors import HostCannot
from . import tar
from .index import WHITEOUT, Directory

if TYPE_CHECKING:
    from collections.abc import Sequence

    from .index import Index, Inode

_NEW = os.O_WRONLY | os.O_CREAT | os.O_EXCL | os.O_NOFOLLOW | os.O_CLOEXEC
_DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_NODES = {tar.CHAR: stat.S_IFCHR, tar.BLOCK_DEVICE: stat.S_IFBLK, tar.FIFO: stat.S_IFIFO}


class Sources:
    """The stored layers that an index's data lies in, mapped: ``view(inode)`` is a file's content."""

    def __init__(self, files: Sequence[int]) -> None:
        """``files``: descriptors of the layers' blobs, by source number; they may be closed afterwards."""
        self._maps = [
            mmap.mmap(fd, 0, mmap.MAP_PRIVATE, mmap.PROT_READ) if os.fstat(fd).st_size else None for fd in files
        ]
        self._views = [memoryview(m) if m is not None else memoryview(b"") for m in self._maps]

    def view(self, inode: Inode) -> memoryview:
        """The data of a regular file, not copied."""
        return self._views[inode.source][inode.offset : inode.offset + inode.size]

    def close(self) -> None:
        """Unmap. Every view must have been released."""
        for view, mapped in zip(self._views, self._maps, strict=True):
            view.release()
            if mapped is not None:
                mapped.close()

    def __enter__(self) -> Sources:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()


def apply(index: Index, sources: Sources, place: str) -> None:
    """Make ``index`` below ``place``, an existing, empty directory of ours. Raises HostCannot, OSError."""
    root = os.open(place, _DIRECTORY)
    try:
        _Builder(root, sources).fill(index.root, root, b"")
    except PermissionError as problem:
        # half a privilege (uid 0 without CAP_FOWNER, without CAP_SYS_ADMIN …) is met only here
        raise cannot("make all of its files", "capabilities") from problem
    finally:
        os.close(root)


class _Builder:
    def __init__(self, root: int, sources: Sources) -> None:
        self._root = root
        self._sources = sources
        self._names: dict[int, bytes] = {}  # where an inode got its first name, by id()
        self._ids = (os.geteuid(), os.getegid())

    def fill(self, directory: Directory, fd: int, path: bytes) -> None:
        """Make the children of ``directory`` in ``fd``, then give it its attributes. Depth is bounded by Limits."""
        for name, inode in directory.children.items():
            if isinstance(inode, Directory):
                self._directory(inode, fd, name, path + name + b"/")
            else:
                self._file(inode, fd, name, path + name)
        self._dress_directory(directory, fd)

    def _directory(self, inode: Directory, parent: int, name: bytes, path: bytes) -> None:
        os.mkdir(name, 0o700, dir_fd=parent)
        fd = os.open(name, _DIRECTORY, dir_fd=parent)
        try:
            self.fill(inode, fd, path)
        finally:
            os.close(fd)

    def _dress_directory(self, inode: Directory, fd: int) -> None:
        if inode.opaque:
            os.setxattr(fd, b"trusted.overlay.opaque", b"y")
        self._dress(inode, fd)

    def _file(self, inode: Inode, parent: int, name: bytes, path: bytes) -> None:
        first = self._names.setdefault(id(inode), path)
        if first != path:
            os.link(first, name, src_dir_fd=self._root, dst_dir_fd=parent, follow_symlinks=False)
        elif inode.kind == tar.REGULAR:
            self._regular(inode, parent, name)
        elif inode.kind == tar.SYMLINK:
            os.symlink(inode.link, name, dir_fd=parent)
            self._dress_name(inode, parent, name)
        elif inode.kind == WHITEOUT:
            os.mknod(name, stat.S_IFCHR, 0, dir_fd=parent)
        else:
            self._node(inode, parent, name)

    def _regular(self, inode: Inode, parent: int, name: bytes) -> None:
        fd = os.open(name, _NEW, 0o600, dir_fd=parent)
        try:
            with self._sources.view(inode) as data:
                _write(fd, data)
            self._dress(inode, fd)
        finally:
            os.close(fd)

    def _node(self, inode: Inode, parent: int, name: bytes) -> None:
        try:
            os.mknod(name, _NODES[inode.kind] | 0o600, os.makedev(*inode.device), dir_fd=parent)
        except PermissionError as problem:
            raise cannot("make device nodes", "CAP_MKNOD") from problem
        self._dress_name(inode, parent, name)
        os.chmod(name, inode.mode, dir_fd=parent)
        os.utime(name, ns=(inode.mtime, inode.mtime), dir_fd=parent, follow_symlinks=False)

    def _dress(self, inode: Inode, fd: int) -> None:
        """Owner, mode, attributes and times of what ``fd`` has open."""
        if (inode.uid, inode.gid) != self._ids:
            try:
                os.chown(fd, inode.uid, inode.gid)
            except PermissionError as problem:
                raise cannot("give files to other users", "CAP_CHOWN") from problem
        os.chmod(fd, inode.mode)
        if inode.xattrs:
            _set_xattrs(fd, inode.xattrs)
        os.utime(fd, ns=(inode.mtime, inode.mtime))

    def _dress_name(self, inode: Inode, parent: int, name: bytes) -> None:
        """Owner and times of what cannot be opened."""
        if (inode.uid, inode.gid) != self._ids:
            try:
                os.chown(name, inode.uid, inode.gid, dir_fd=parent, follow_symlinks=False)
            except PermissionError as problem:
                raise cannot("give files to other users", "CAP_CHOWN") from problem
        os.utime(name, ns=(inode.mtime, inode.mtime), dir_fd=parent, follow_symlinks=False)


def _write(fd: int, data: memoryview) -> None:
    written = os.write(fd, data) if data.nbytes else 0
    while written < data.nbytes:
        written += os.write(fd, data[written : written + (1 << 30)])


def _set_xattrs(fd: int, xattrs: dict[bytes, bytes]) -> None:
    for name, value in xattrs.items():
        try:
            os.setxattr(fd, name, value)
        except OSError as problem:
            # user attributes and ACLs are not on every file system; a capability that is lost fails closed
            if problem.errno not in (errno.EOPNOTSUPP, errno.EPERM, errno.EINVAL):
                raise


def cannot(what: str, missing: str) -> HostCannot:
    """This user cannot have a tree with other owners or devices on this host."""
    return HostCannot(
        f"cannot unpack this image into a directory: this user may not {what}",
        hull="container",
        missing=missing,
        code="unpack-denied",
        next_step="proa run --isolation vm …",
    )


def able(place: str) -> bool:
    """Whether trees can be made below the directory ``place``: tried, not concluded from the uid."""
    name = f"{place}/.able-{os.urandom(4).hex()}"
    made = False
    try:
        os.mknod(name, stat.S_IFCHR | 0o600, os.makedev(1, 3))
        made = True
        os.chown(name, 1, 1)
    except OSError:
        return False
    finally:
        if made:
            os.unlink(name)
    return True
