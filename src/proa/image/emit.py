"""A merged tree written as a clean tar stream, for a program that builds a block image from it.

What leaves here was checked on the way in and holds nothing else: canonical relative names, each directory before what
is in it, each inode's data once and hard links behind it, numbers that fit. So the program's own parser never sees
a stranger's archive. Long names, big numbers and attributes go into pax records.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from . import tar
from .index import WHITEOUT, Directory
from .pax import XATTR

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .index import Inode
    from .tree import Sources

_OCTAL_MAX = {8: 0o7777777, 12: 0o77777777777}
_TIME_MAX = (1 << 32) - 1  # squashfs keeps 32 unsigned bits
_END = bytes(2 * tar.BLOCK)
_ZEROS = bytes(tar.BLOCK)
_STORED = (b"user.", b"trusted.", b"security.")  # the name spaces that squashfs has
_BATCH = 1 << 16


def emit(root: Directory, sources: Sources, fd: int) -> None:
    """Write the archive of ``root``'s children to ``fd``, blocking. The root's own attributes are the caller's to
    give. Raises BrokenPipeError when the reader is gone."""
    out = _Out(fd)
    first: dict[int, bytes] = {}
    for path, inode in _walk(root):
        if inode.kind == WHITEOUT:
            continue
        name = first.setdefault(id(inode), path)
        if name != path:
            out.add(_header(path, inode, kind=tar.LINK, link=name))
            continue
        out.add(_header(path, inode, kind=inode.kind, link=inode.link))
        if inode.kind == tar.REGULAR and inode.size:
            with sources.view(inode) as data:
                out.data(data)
            out.add(_ZEROS[: -inode.size % tar.BLOCK])
    out.add(_END)
    out.flush()


def _walk(root: Directory) -> Iterator[tuple[bytes, Inode]]:
    """Every inode with its path, parents first."""
    pending: list[tuple[bytes, Iterator[tuple[bytes, Inode]]]] = [(b"", iter(root.children.items()))]
    while pending:
        prefix, children = pending[-1]
        for name, inode in children:
            yield prefix + name, inode
            if isinstance(inode, Directory):
                pending.append((prefix + name + b"/", iter(inode.children.items())))
                break
        else:
            pending.pop()


class _Out:
    """Small pieces are gathered, large ones written as they lie."""

    def __init__(self, fd: int) -> None:
        self._fd = fd
        self._parts: list[bytes] = []
        self._size = 0

    def add(self, piece: bytes) -> None:
        self._parts.append(piece)
        self._size += len(piece)
        if self._size >= _BATCH:
            self.flush()

    def data(self, view: memoryview) -> None:
        if view.nbytes <= _BATCH:
            self.add(bytes(view))
            return
        self.flush()
        _write(self._fd, view)

    def flush(self) -> None:
        pieces, self._parts, self._size = b"".join(self._parts), [], 0
        with memoryview(pieces) as view:
            _write(self._fd, view)


def _write(fd: int, view: memoryview) -> None:
    at = 0
    while at < view.nbytes:
        at += os.write(fd, view[at : at + (1 << 30)])


def _header(path: bytes, inode: Inode, *, kind: bytes, link: bytes) -> bytes:
    """The header of one entry, behind a pax header where ustar's fields do not hold it."""
    records: list[tuple[bytes, bytes]] = []
    size = inode.size if kind == tar.REGULAR else 0
    name = path + b"/" if kind == tar.DIRECTORY else path
    fields = (
        _name(name, b"path", records),
        _octal(inode.mode, 8),
        _number(inode.uid, 8, b"uid", records),
        _number(inode.gid, 8, b"gid", records),
        _number(size, 12, b"size", records),
        _octal(min(max(inode.mtime // 1_000_000_000, 0), _TIME_MAX), 12),
        kind,
        _name(link, b"linkpath", records) if kind in (tar.LINK, tar.SYMLINK) else bytes(100),
        inode.device if kind in (tar.CHAR, tar.BLOCK_DEVICE) else (0, 0),
    )
    if inode.xattrs and kind != tar.LINK:
        records += [(XATTR + key, value) for key, value in inode.xattrs.items() if key.startswith(_STORED)]
    return (_pax(records) if records else b"") + _ustar(*fields)


def _ustar(
    name: bytes, mode: bytes, uid: bytes, gid: bytes, size: bytes, mtime: bytes, kind: bytes, link: bytes,
    device: tuple[int, int],
) -> bytes:  # fmt: skip
    start = name + mode + uid + gid + size + mtime
    end = kind + link + b"ustar\x0000" + bytes(64) + _octal(device[0], 8) + _octal(device[1], 8) + bytes(167)
    return start + b"%06o\0 " % (sum(start) + sum(end) + 8 * 32) + end


def _name(text: bytes, key: bytes, records: list[tuple[bytes, bytes]]) -> bytes:
    if len(text) > 100:
        records.append((key, text))
    return text[:100].ljust(100, b"\0")


def _number(value: int, width: int, key: bytes, records: list[tuple[bytes, bytes]]) -> bytes:
    if value > _OCTAL_MAX[width]:
        records.append((key, b"%d" % value))
        value = 0
    return _octal(value, width)


def _octal(value: int, width: int) -> bytes:
    return b"%0*o\0" % (width - 1, value)


def _pax(records: list[tuple[bytes, bytes]]) -> bytes:
    body = b"".join(_record(key, value) for key, value in records)
    header = _ustar(
        b"pax".ljust(100, b"\0"), _octal(0o644, 8), _octal(0, 8), _octal(0, 8), _octal(len(body), 12), _octal(0, 12),
        b"x", bytes(100), (0, 0),
    )  # fmt: skip
    return header + body + _ZEROS[: -len(body) % tar.BLOCK]


def _record(key: bytes, value: bytes) -> bytes:
    rest = b" " + key + b"=" + value + b"\n"
    length = len(rest) + 1
    while len(b"%d" % length) + len(rest) != length:
        length = len(b"%d" % length) + len(rest)
    return b"%d" % length + rest
