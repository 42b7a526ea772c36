"""The tables of a squashfs 4.0 image that is not compressed: metadata streams, ids, extended attributes, superblock.

Format: Documentation/filesystems/squashfs.rst and fs/squashfs/squashfs_fs.h. As nothing is compressed, the place of a
byte of a metadata stream follows from its position alone. The order of the tables, and that each ends where the next
begins, is what the kernel checks.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass, field

from ..errors import InvalidRequest

BLOCK_SIZE = 1 << 17
BLOCK_LOG = 17
PLAIN = 1 << 24  # in a data block's size: it is not compressed
NONE = (1 << 32) - 1  # no fragment, no attributes
_METADATA = 8192
_METADATA_PLAIN = 0x8000
_ABSENT = (1 << 64) - 1
_MAGIC = 0x73717368
_ZLIB = 1  # a compressor must be named, though nothing uses it: the one that every kernel has
_FLAGS = 0x0001 | 0x0002 | 0x0008 | 0x0100 | 0x0800  # inodes, data, fragments, xattrs, ids: uncompressed
_NO_XATTRS = 0x0200
_SUPERBLOCK = struct.Struct("<IIIIIHHHHHHQQQQQQQQ")
SUPERBLOCK_SIZE = _SUPERBLOCK.size
_NAMESPACES = {b"user.": 0, b"trusted.": 1, b"security.": 2}
_IDS_MAX = 65_535


class Metadata(bytearray):
    """A stream that is stored in blocks of 8 KiB."""

    def here(self) -> int:
        """The address of the next byte: block and offset, as inodes and directories refer to it."""
        return address(len(self))

    def stored(self) -> bytes:
        """The stream in its blocks."""
        view = memoryview(self)
        parts: list[bytes | memoryview] = []
        for at in range(0, len(self), _METADATA):
            part = view[at : at + _METADATA]
            parts += [struct.pack("<H", _METADATA_PLAIN | len(part)), part]
        return b"".join(parts)


def address(position: int) -> int:
    """Where a byte of a metadata stream is: offset of its block << 16 | offset within the block."""
    return (position // _METADATA * (_METADATA + 2)) << 16 | position % _METADATA


def _indexed(stream: Metadata, at: int, head: bytes = b"") -> tuple[bytes, int]:
    """A stream stored at ``at`` with the list of its blocks' places behind it, and where that list is."""
    count = (len(stream) + _METADATA - 1) // _METADATA
    body = stream.stored()
    places = struct.pack(f"<{count}Q", *(at + n * (_METADATA + 2) for n in range(count)))
    return body + head + places, at + len(body)


@dataclass(slots=True)
class Ids:
    """User and group ids, each stored once."""

    numbers: dict[int, int] = field(default_factory=dict)

    def index(self, id: int) -> int:
        """The place of ``id`` in the table. Raises InvalidRequest: the format has room for 65,535."""
        found = self.numbers.setdefault(id, len(self.numbers))
        if found >= _IDS_MAX:
            raise InvalidRequest(f"the image has files of more than {_IDS_MAX} users", code="image-too-many-ids")
        return found

    def stored(self, at: int) -> tuple[bytes, int]:
        return _indexed(Metadata(struct.pack(f"<{len(self.numbers)}I", *self.numbers)), at)


@dataclass(slots=True)
class Xattrs:
    """Sets of extended attributes, each stored once."""

    numbers: dict[tuple[tuple[bytes, bytes], ...], int] = field(default_factory=dict)
    values: Metadata = field(default_factory=Metadata)
    table: Metadata = field(default_factory=Metadata)

    def index(self, xattrs: dict[bytes, bytes] | None) -> int:
        """The place of a set in the table; NONE for an empty one. Name spaces that squashfs has not are left out."""
        known = {name: value for name, value in (xattrs or {}).items() if _split(name)}
        if not known:
            return NONE
        key = tuple(sorted(known.items()))
        found = self.numbers.get(key)
        if found is None:
            found = self.numbers[key] = len(self.numbers)
            self._add(key)
        return found

    def _add(self, pairs: tuple[tuple[bytes, bytes], ...]) -> None:
        start = len(self.values)
        place = self.values.here()
        for name, value in pairs:
            kind, rest = _split(name) or (0, b"")
            self.values += struct.pack("<HH", kind, len(rest)) + rest + struct.pack("<I", len(value)) + value
        self.table += struct.pack("<QII", place, len(pairs), len(self.values) - start)

    def stored(self, at: int) -> tuple[bytes, int]:
        """The tables, and the place of the id table's header."""
        values = self.values.stored()
        head = struct.pack("<QII", at, len(self.numbers), 0)
        body, header = _indexed(self.table, at + len(values), head)
        return values + body, header


def _split(name: bytes) -> tuple[int, bytes] | None:
    for prefix, number in _NAMESPACES.items():
        if name.startswith(prefix) and len(name) > len(prefix):
            return number, name[len(prefix) :]
    return None


@dataclass(slots=True)
class Tables:
    """Everything behind the data."""

    inodes: Metadata = field(default_factory=Metadata)
    directories: Metadata = field(default_factory=Metadata)
    fragments: Metadata = field(default_factory=Metadata)
    ids: Ids = field(default_factory=Ids)
    xattrs: Xattrs = field(default_factory=Xattrs)

    def stored(self, at: int, root: int, count: int) -> tuple[bytes, bytes]:
        """All tables as they follow the data that ends at ``at``, and the superblock. ``root``: address of the root's
        inode; ``count``: of inodes."""
        parts = [self.inodes.stored(), self.directories.stored()]
        directory_start = at + len(parts[0])
        fragment_start = xattr_start = _ABSENT
        if self.fragments:
            body, fragment_start = _indexed(self.fragments, _end(at, parts))
            parts.append(body)
        body, id_start = self.ids.stored(_end(at, parts))
        parts.append(body)
        if self.xattrs.numbers:
            body, xattr_start = self.xattrs.stored(_end(at, parts))
            parts.append(body)
        superblock = _SUPERBLOCK.pack(
            _MAGIC, count, 0, BLOCK_SIZE, len(self.fragments) // 16, _ZLIB, BLOCK_LOG,
            _FLAGS | (0 if self.xattrs.numbers else _NO_XATTRS), len(self.ids.numbers), 4, 0,
            root, _end(at, parts), id_start, xattr_start, at, directory_start, fragment_start, _ABSENT,
        )  # fmt: skip
        return b"".join(parts), superblock


def _end(at: int, parts: list[bytes]) -> int:
    return at + sum(map(len, parts))
