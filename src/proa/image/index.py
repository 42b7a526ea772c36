"""What a layer contains: a tree of inodes built from its tar, in memory, before anything is made on disk.

Here, and only here, hostile names end. What is in an Index is safe to make: every name is one component, every parent
is a directory of the same tree, no name passes through a link, hard links are shared inodes. Its consumers
(image/tree.py, rootfs/squashfs.py) walk it from the root and resolve nothing.

A later entry of the same name replaces an earlier one, as docker does; a directory on a directory only changes its
attributes. Whiteouts (OCI image spec, "Layer Filesystem Changeset") become inodes of kind WHITEOUT and the mark
``opaque``; ``merge`` carries them out on the layer below.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import tar
from .member import Member
from .refusal import refuse, shown

if TYPE_CHECKING:
    from collections.abc import Iterable

    from .member import Limits

WHITEOUT = b"w"
_PREFIX = b".wh."
_META = b".wh..wh."
_OPAQUE = b".wh..wh..opq"
_XATTRS = (b"user.", b"security.capability", b"system.posix_acl_access", b"system.posix_acl_default")
_ID_MAX = (1 << 32) - 2


class Inode:
    """A file of any kind but a directory. ``source``: number of the layer that its data is in, at ``offset``."""

    __slots__ = ("device", "gid", "kind", "link", "mode", "mtime", "offset", "size", "source", "uid", "xattrs")

    def __init__(self, member: Member, source: int = 0) -> None:
        self.kind = member.kind
        self.mode = member.mode
        self.uid = member.uid
        self.gid = member.gid
        self.size = member.size
        self.mtime = member.mtime
        self.link = member.link
        self.device = member.device
        self.offset = member.offset
        self.source = source
        self.xattrs = member.xattrs or None


class Directory(Inode):
    """A directory. ``opaque``: it hides what lower layers have at its place."""

    __slots__ = ("children", "opaque")

    def __init__(self, member: Member) -> None:
        super().__init__(member)
        self.children: dict[bytes, Inode] = {}
        self.opaque = False

    def become(self, member: Member) -> None:
        """Take the attributes of a later entry for the same directory."""
        self.mode, self.uid, self.gid, self.mtime = member.mode, member.uid, member.gid, member.mtime
        self.xattrs = member.xattrs or None


def _implied() -> Directory:
    """A directory that entries lie in but that has no entry of its own."""
    return Directory(Member(b"", tar.DIRECTORY, 0o755, 0, 0, 0, 0, b"", (0, 0)))


class Index:
    """The tree of one layer, or (merged) of several. ``size``: bytes of regular files' data."""

    def __init__(self, limits: Limits, source: int = 0) -> None:
        self.root = _implied()
        self.size = 0
        self._limits = limits
        self._source = source
        self._near: tuple[bytes, Directory] = (b"", self.root)  # the last parent: archives come in order

    def weight(self) -> int:
        """The layer's size as dockerd counts it: what its files and symbolic links hold, each inode once."""
        total, seen, directories = 0, set[int](), [self.root]
        while directories:
            for inode in directories.pop().children.values():
                if isinstance(inode, Directory):
                    directories.append(inode)
                elif id(inode) not in seen:
                    seen.add(id(inode))
                    total += len(inode.link) if inode.kind == tar.SYMLINK else inode.size
        return total

    def add(self, member: Member) -> None:
        """Put one entry into its place. Raises InvalidRequest (``tar-…``), naming the entry."""
        parent_path, name = self._split(member.path)
        _check_attributes(member)
        if not name:
            if member.kind != tar.DIRECTORY:
                raise refuse("tar-invalid", "an entry without a name is not a directory", member.path)
            self.root.become(member)
            return
        if _PREFIX in parent_path and _below_whiteout(parent_path, member.path):
            return
        parent = self._directory(parent_path, member.path)
        if name.startswith(_PREFIX):
            self._white_out(parent, name, member)
        elif member.kind == tar.DIRECTORY:
            self._add_directory(parent, name, member)
        elif member.kind == tar.LINK:
            self._replace(parent, name, self._linked(member))
        else:
            self._replace(parent, name, Inode(member, self._source))
            self.size += member.size

    def _split(self, path: bytes) -> tuple[bytes, bytes]:
        """Parent and last component of a path made canonical. The common case has nothing to make canonical."""
        path = path.removeprefix(b"./")
        if len(path) > self._limits.path:
            raise refuse("tar-name-too-long", f"a path of {len(path)} bytes (limit {self._limits.path})", path)
        parent, _, name = path.rpartition(b"/")
        if parent and parent == self._near[0] and name and name not in (b".", b"..") and len(name) < 256:
            return parent, name
        parts = canonical(path, self._limits)
        return b"/".join(parts[:-1]), (parts[-1] if parts else b"")

    def _directory(self, path: bytes, entry: bytes) -> Directory:
        if path == self._near[0]:
            return self._near[1]
        found = self.root
        for part in path.split(b"/") if path else ():
            child = found.children.get(part)
            if child is None or child.kind == WHITEOUT:
                fresh = _implied()
                fresh.opaque = child is not None
                found.children[part] = child = fresh
            if not isinstance(child, Directory):
                raise _through(child, entry)
            found = child
        self._near = (path, found)
        return found

    def _add_directory(self, parent: Directory, name: bytes, member: Member) -> None:
        present = parent.children.get(name)
        if isinstance(present, Directory):
            present.become(member)
            return
        fresh = Directory(member)
        fresh.opaque = present is not None and present.kind == WHITEOUT
        self._replace(parent, name, fresh)

    def _replace(self, parent: Directory, name: bytes, inode: Inode) -> None:
        if isinstance(parent.children.get(name), Directory):
            self._near = (b"", self.root)
        parent.children[name] = inode

    def _linked(self, member: Member) -> Inode:
        """The inode that a hard link is another name of."""
        found: Inode | None = self.root
        for part in canonical(member.link, self._limits, member.path):
            found = found.children.get(part) if isinstance(found, Directory) else None
        if found is None or isinstance(found, Directory) or found.kind == WHITEOUT:
            what = f"a hard link to what is not a file of this archive ({shown(member.link)})"
            raise refuse("tar-link-escapes", what, member.path)
        return found

    def _white_out(self, parent: Directory, name: bytes, member: Member) -> None:
        if name == _OPAQUE:
            parent.opaque = True
            return
        if name.startswith(_META):
            return  # aufs' own books, which docker skips too
        hidden = name[len(_PREFIX) :]
        if hidden in (b"", b".", b".."):
            raise refuse("tar-escapes", "a whiteout of what is not a name", member.path)
        present = parent.children.get(hidden)
        if isinstance(present, Directory):
            present.opaque = True
        elif present is None:
            parent.children[hidden] = Inode(Member(b"", WHITEOUT, 0, 0, 0, 0, 0, b"", (0, 0)))


def canonical(path: bytes, limits: Limits, entry: bytes = b"") -> list[bytes]:
    """The components of a path in an archive: a leading ``/`` is the root's, ``.`` is nothing, and ``..`` may not leave
    the root. Raises InvalidRequest. Resolving ``..`` by text is right here, as no component may be a link."""
    named = entry or path
    if b"\0" in path:
        raise refuse("tar-invalid", "a path has a NUL byte in it", named)
    parts: list[bytes] = []
    for part in path.split(b"/"):
        if part == b"..":
            if not parts:
                raise refuse("tar-escapes", "a path leaves the root", named)
            parts.pop()
        elif part not in (b"", b"."):
            if len(part) > limits.component:
                raise refuse("tar-name-too-long", f"a name of {len(part)} bytes (limit {limits.component})", named)
            parts.append(part)
    if len(parts) > limits.depth:
        raise refuse("tar-name-too-long", f"a path {len(parts)} directories deep (limit {limits.depth})", named)
    return parts


def _through(child: Inode, entry: bytes) -> Exception:
    if child.kind == tar.SYMLINK:
        return refuse("tar-through-link", f"an entry below a symbolic link (to {shown(child.link)})", entry)
    return refuse("tar-invalid", "an entry below what is not a directory", entry)


def _below_whiteout(parent: bytes, entry: bytes) -> bool:
    """Whether an entry lies in aufs' own books, which nobody wants."""
    for part in parent.split(b"/"):
        if part.startswith(_META):
            return True
        if part.startswith(_PREFIX):
            raise refuse("tar-invalid", "an entry below a whiteout", entry)
    return False


def _check_attributes(member: Member) -> None:
    if member.uid > _ID_MAX or member.gid > _ID_MAX:
        raise refuse("tar-corrupt", "a user or group id is out of range", member.path)
    if member.kind == tar.SYMLINK and not 0 < len(member.link) < 4096:
        raise refuse("tar-invalid", f"a symbolic link to {len(member.link)} bytes", member.path)
    if member.device[0] >= 1 << 12 or member.device[1] >= 1 << 20:
        raise refuse("tar-corrupt", "a device number is out of range", member.path)
    if member.xattrs:
        # the storage's own attributes (trusted.overlay.redirect …) would redirect it; labels are this host's to give
        member.xattrs = {name: value for name, value in member.xattrs.items() if _wanted(name)}


def _wanted(name: bytes) -> bool:
    return name.startswith(_XATTRS) and not name.startswith(b"user.overlay.") and len(name) < 256 and b"\0" not in name


def merge(layers: Iterable[Index]) -> Directory:
    """One tree of all layers, lowest first, with their whiteouts carried out. Consumes the indexes."""
    root: Directory | None = None
    for layer in layers:
        root = layer.root if root is None else root
        _lay(root, layer.root)
    return root if root is not None else _implied()


def _lay(lower: Directory, upper: Directory) -> None:
    pending = [(lower, upper)]
    while pending:
        below, above = pending.pop()
        if below is not above:
            if above.opaque:
                below.children.clear()
            below.mode, below.uid, below.gid = above.mode, above.uid, above.gid
            below.mtime, below.xattrs = above.mtime, above.xattrs
        for name, inode in list(above.children.items()):
            here = below.children.get(name)
            if inode.kind == WHITEOUT:
                below.children.pop(name, None)
            elif isinstance(inode, Directory):
                _lay_directory(below, name, here, inode, pending)
            else:
                below.children[name] = inode


def _lay_directory(
    below: Directory, name: bytes, here: Inode | None, inode: Directory, pending: list[tuple[Directory, Directory]]
) -> None:
    if isinstance(here, Directory) and here is not inode and not inode.opaque:
        pending.append((here, inode))
        return
    below.children[name] = inode
    pending.append((inode, inode))  # it may hold whiteouts of its own
