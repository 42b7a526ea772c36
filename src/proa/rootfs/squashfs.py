"""A squashfs image of a merged tree, written by ourselves: no program, no privilege, no foreign parser.

Nothing is compressed: the fastest to make and, under emulation, to read. Files lie one behind the other in blocks of
128 KiB; their ends, and small files, share fragments, which a guest then reads many of at once. The order: data,
fragments, inodes (children before their directory, as its listing points at them), listings, small tables.
"""

from __future__ import annotations

import os
import struct
from typing import TYPE_CHECKING

from ..image import tar
from ..image.index import Directory
from .squashtables import BLOCK_SIZE, NONE, PLAIN, SUPERBLOCK_SIZE, Tables

if TYPE_CHECKING:
    from ..image.index import Inode
    from ..image.tree import Sources

_TIME_MAX = (1 << 32) - 1
_DIR, _REG, _SYMLINK, _BLOCK, _CHAR, _FIFO = 1, 2, 3, 4, 5, 6
_EXTENDED = 7  # what is added to a kind for its inode with attributes, many links or large numbers
_KINDS = {
    tar.DIRECTORY: _DIR,
    tar.REGULAR: _REG,
    tar.SYMLINK: _SYMLINK,
    tar.BLOCK_DEVICE: _BLOCK,
    tar.CHAR: _CHAR,
    tar.FIFO: _FIFO,
}
_RUN = 256  # entries below one header of a listing
_WRITE = 1 << 20


def write(root: Directory, sources: Sources, fd: int) -> None:
    """Write the image of ``root`` into the empty file ``fd``. Raises InvalidRequest, OSError."""
    _Writer(sources, fd).write(root)


class _Writer:
    def __init__(self, sources: Sources, fd: int) -> None:
        self._data = _Data(sources, fd)
        self._tables = Tables()
        self._fd = fd
        self._links: dict[int, int] = {}  # names of an inode, by id()
        self._numbers: dict[int, int] = {}
        self._places: dict[int, int] = {}  # addresses of inodes that are written

    def write(self, root: Directory) -> None:
        self._number(root)
        self._directory(root, len(self._numbers) + 1)
        self._data.finish(self._tables)
        tables, superblock = self._tables.stored(self._data.position, self._places[id(root)], len(self._numbers))
        self._data.put(tables)
        self._data.flush()
        os.pwrite(self._fd, superblock, 0)

    def _number(self, root: Directory) -> None:
        """Number all inodes, the children of a directory in a row, and count their names."""
        pending: list[Inode] = [root]
        self._numbers[id(root)] = 1
        while pending:
            node = pending.pop()
            for child in node.children.values() if isinstance(node, Directory) else ():
                self._links[id(child)] = self._links.get(id(child), 0) + 1
                self._numbers.setdefault(id(child), len(self._numbers) + 1)
                if isinstance(child, Directory):
                    pending.append(child)

    def _directory(self, directory: Directory, parent: int) -> None:
        """Write the children, the listing, the directory's own inode. Depth is bounded by Limits."""
        number = self._numbers[id(directory)]
        for child in directory.children.values():
            if isinstance(child, Directory):
                self._directory(child, number)
            elif id(child) not in self._places:
                self._file(child)
        place = self._tables.directories.here()
        before = len(self._tables.directories)
        self._list(directory)
        size = len(self._tables.directories) - before + 3
        links = 2 + sum(isinstance(child, Directory) for child in directory.children.values())
        self._directory_inode(directory, place, size, links, parent)

    def _directory_inode(self, directory: Directory, place: int, size: int, links: int, parent: int) -> None:
        xattrs = self._tables.xattrs.index(directory.xattrs)
        block, offset = place >> 16, place & 0xFFFF
        if xattrs == NONE and size < 1 << 16:
            self._inode(directory, _DIR, struct.pack("<IIHHI", block, links, size, offset, parent))
        else:
            rest = struct.pack("<IIIIHHI", links, size, block, parent, 0, offset, xattrs)
            self._inode(directory, _DIR + _EXTENDED, rest)

    def _list(self, directory: Directory) -> None:
        """The listing: entries by name in runs, whose inodes are in one block and near each other by number."""
        run: list[bytes] = []
        start = base = 0
        for name, child in sorted(directory.children.items()):
            place, number = self._places[id(child)], self._numbers[id(child)]
            if run and (place >> 16 != start or len(run) == _RUN or not -32768 <= number - base <= 32767):
                self._run(run, start, base)
                run = []
            if not run:
                start, base = place >> 16, number
            run.append(struct.pack("<HhHH", place & 0xFFFF, number - base, _KINDS[child.kind], len(name) - 1) + name)
        if run:
            self._run(run, start, base)

    def _run(self, run: list[bytes], start: int, base: int) -> None:
        self._tables.directories += struct.pack("<III", len(run) - 1, start, base) + b"".join(run)

    def _file(self, inode: Inode) -> None:
        kind, links = _KINDS[inode.kind], self._links[id(inode)]
        xattrs = self._tables.xattrs.index(inode.xattrs)
        if kind == _REG:
            self._regular(inode, links, xattrs)
            return
        rest = struct.pack("<I", links)
        if kind == _SYMLINK:
            rest += struct.pack("<I", len(inode.link)) + inode.link
        elif kind != _FIFO:
            rest += struct.pack("<I", _device(*inode.device))
        if xattrs == NONE:
            self._inode(inode, kind, rest)
        else:
            self._inode(inode, kind + _EXTENDED, rest + struct.pack("<I", xattrs))

    def _regular(self, inode: Inode, links: int, xattrs: int) -> None:
        start, sizes, fragment, offset = self._data.add(inode)
        blocks = struct.pack(f"<{len(sizes)}I", *sizes)
        if links == 1 and xattrs == NONE and start < 1 << 32 and inode.size < 1 << 32:
            self._inode(inode, _REG, struct.pack("<IIII", start, fragment, offset, inode.size) + blocks)
        else:
            rest = struct.pack("<QQQIIII", start, inode.size, 0, links, fragment, offset, xattrs)
            self._inode(inode, _REG + _EXTENDED, rest + blocks)

    def _inode(self, inode: Inode, kind: int, rest: bytes) -> None:
        self._places[id(inode)] = self._tables.inodes.here()
        ids = self._tables.ids
        mtime = min(max(inode.mtime // 1_000_000_000, 0), _TIME_MAX)
        uid, gid, number = ids.index(inode.uid), ids.index(inode.gid), self._numbers[id(inode)]
        self._tables.inodes += struct.pack("<HHHHII", kind, inode.mode, uid, gid, mtime, number) + rest


def _device(major: int, minor: int) -> int:
    """A device number as the kernel's new_encode_dev has it."""
    return minor & 0xFF | major << 8 | (minor & ~0xFF) << 12


class _Data:
    """The data area: blocks as they come, ends of files gathered into fragments."""

    def __init__(self, sources: Sources, fd: int) -> None:
        self._sources = sources
        self._fd = fd
        self._pending: list[bytes | memoryview] = [bytes(SUPERBLOCK_SIZE)]
        self._waiting = SUPERBLOCK_SIZE
        self.position = SUPERBLOCK_SIZE
        self._fragment = bytearray()
        self._fragments: list[bytes] = []

    def add(self, inode: Inode) -> tuple[int, list[int], int, int]:
        """Store a file's data. Returns the place of its blocks, their sizes, and its end's fragment and offset."""
        whole = inode.size // BLOCK_SIZE * BLOCK_SIZE
        start = self.position if whole else 0
        fragment, offset = NONE, 0
        with self._sources.view(inode) as data:
            if whole:
                self._put_now(data[:whole])
            if inode.size > whole:
                fragment, offset = self._end(bytes(data[whole:]))
        return start, [BLOCK_SIZE | PLAIN] * (whole // BLOCK_SIZE), fragment, offset

    def _end(self, tail: bytes) -> tuple[int, int]:
        if len(self._fragment) + len(tail) > BLOCK_SIZE:
            self._close_fragment()
        self._fragment += tail
        return len(self._fragments), len(self._fragment) - len(tail)

    def _close_fragment(self) -> None:
        self._fragments.append(struct.pack("<QII", self.position, len(self._fragment) | PLAIN, 0))
        self.put(bytes(self._fragment))
        self._fragment.clear()

    def put(self, piece: bytes) -> None:
        """Append to the file, perhaps later."""
        self._pending.append(piece)
        self._waiting += len(piece)
        self.position += len(piece)
        if self._waiting >= _WRITE:
            self.flush()

    def _put_now(self, view: memoryview) -> None:
        self.flush()
        at = 0
        while at < view.nbytes:
            at += os.write(self._fd, view[at : at + (1 << 30)])
        self.position += view.nbytes

    def flush(self) -> None:
        """Write what waits."""
        data, self._pending, self._waiting = b"".join(self._pending), [], 0
        with memoryview(data) as view:
            at = 0
            while at < len(data):
                at += os.write(self._fd, view[at:])

    def finish(self, tables: Tables) -> None:
        """Write the last fragment, and list all of them."""
        if self._fragment:
            self._close_fragment()
        tables.fragments += b"".join(self._fragments)
