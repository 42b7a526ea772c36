"""Tar read as a stream of members: ustar, pax and GNU headers, with every length checked before it is believed.

Our own reader because the standard library's trusts, and is four times slower. It knows bytes and limits, not file
systems: what a name may be is decided in image/index.py. Field layout: POSIX pax(1), GNU tar's tar.h.

    for member in members(reader, limits):
        reader.position      offset of the member's data in the stream
        member.size          bytes of data; skipped unless the caller takes them from the reader
"""

from __future__ import annotations

import struct
from typing import TYPE_CHECKING

from . import pax
from .member import Member
from .refusal import refuse, truncated

if TYPE_CHECKING:
    from collections.abc import Iterator

    from ..oci.digest import Readable
    from .member import Limits

BLOCK = 512
_CHUNK = 1 << 20
_ZERO = bytes(BLOCK)
_fields = struct.Struct("100s8s8s8s12s12s8sc100s8s32s32s8s8s155s12x")
REGULAR, LINK, SYMLINK, CHAR, BLOCK_DEVICE, DIRECTORY, FIFO = b"0", b"1", b"2", b"3", b"4", b"5", b"6"
_REGULAR_KINDS = (b"0", b"\0", b"7")
KINDS = {REGULAR, LINK, SYMLINK, CHAR, BLOCK_DEVICE, DIRECTORY, FIFO}
_WITHOUT_DATA = {LINK, SYMLINK, CHAR, BLOCK_DEVICE, DIRECTORY, FIFO}


class Stream:
    """A source read in large chunks and handed out in small pieces. ``position`` is the offset of the next byte."""

    def __init__(self, source: Readable) -> None:
        self._source = source
        self._chunk = b""
        self._at = 0
        self._before = 0  # bytes of all chunks before this one

    @property
    def position(self) -> int:
        """Bytes handed out or skipped so far."""
        return self._before + self._at

    def take(self, size: int) -> bytes:
        """The next ``size`` bytes, fewer only at the end."""
        end = self._at + size
        if end <= len(self._chunk):
            data = self._chunk[self._at : end]
            self._at = end
            return data
        return self._gather(size)

    def _gather(self, size: int) -> bytes:
        parts = []
        while size and (self._at < len(self._chunk) or self._refill()):
            part = self._chunk[self._at : self._at + size]
            self._at += len(part)
            size -= len(part)
            parts.append(part)
        return b"".join(parts)

    def skip(self, size: int) -> bool:
        """Pass over ``size`` bytes; False if the stream ends before."""
        while size:
            here = min(size, len(self._chunk) - self._at)
            self._at += here
            size -= here
            if size and not self._refill():
                return False
        return True

    def finish(self, limit: int) -> None:
        """Read to the end, so that whoever hashes or stores the stream sees all of it: zeros, at most ``limit`` of
        them. Raises InvalidRequest: a second archive behind the first would be lost in silence."""
        end = self.position + limit
        while self._at < len(self._chunk) or self._refill():
            if self._chunk.count(0, self._at) != len(self._chunk) - self._at:
                raise refuse("tar-trailing-data", "the archive has data behind its end mark")
            self._at = len(self._chunk)
            if self.position > end:
                raise refuse("tar-trailing-data", f"the archive has more than {limit} bytes behind its end mark")

    def _refill(self) -> bool:
        chunk = self._source.read(_CHUNK)
        if not chunk:
            return False
        self._before += len(self._chunk)
        self._chunk, self._at = chunk, 0
        return True


def members(stream: Stream, limits: Limits) -> Iterator[Member]:
    """Each entry in order, up to the end mark. Raises InvalidRequest with ``tar-…`` codes, naming the entry."""
    extended = _Extended()
    count = 0
    while (block := _next_header(stream, count, limits)) is not None:
        member = _parse(block, count)
        count += 1
        if count > limits.entries:
            raise refuse("tar-too-many", f"the archive has more than {limits.entries} entries")
        if member.kind in _HEADERS:
            extended.add(member, _header_data(stream, member, limits))
            continue
        extended.apply(member, limits)
        extended.path = extended.link = b""
        extended.local = {}
        member.offset = stream.position
        _check(member, limits)
        yield member
        if not stream.skip(member.offset + _padded(member.size) - stream.position):
            raise truncated(member.path)


_HEADERS = {b"x", b"X", b"g", b"L", b"K"}


class _Extended:
    """What pax and GNU headers said about the entry that follows them."""

    def __init__(self) -> None:
        self.everywhere: dict[bytes, bytes] = {}
        self.local: dict[bytes, bytes] = {}
        self.path = b""
        self.link = b""

    def add(self, header: Member, data: bytes) -> None:
        if header.kind == b"L":
            self.path = data.rstrip(b"\0")
        elif header.kind == b"K":
            self.link = data.rstrip(b"\0")
        elif header.kind == b"g":
            self.everywhere.update(pax.records(data))
        else:
            self.local.update(pax.records(data))

    def apply(self, member: Member, limits: Limits) -> None:
        member.path = self.path or member.path
        member.link = self.link or member.link
        if self.everywhere or self.local:
            pax.apply(member, {**self.everywhere, **self.local}, limits.xattrs)


def _next_header(stream: Stream, count: int, limits: Limits) -> bytes | None:
    block = stream.take(BLOCK)
    if len(block) == BLOCK:
        return None if block == _ZERO else block
    if block or not count:
        what = "an empty file" if not block and not count else "a file that ends in the middle of a header"
        raise refuse("tar-truncated" if count else "tar-invalid", f"not a whole tar archive: {what}")
    if limits.end_mark:
        # a cut between two entries looks the same: half an image must not pass for a whole one
        raise refuse("tar-truncated", "the archive ends without its end mark")
    return None


def _header_data(stream: Stream, header: Member, limits: Limits) -> bytes:
    if header.size > limits.header:
        raise refuse("tar-header-too-large", f"an extended header of {header.size} bytes (limit {limits.header})")
    data = stream.take(header.size)
    if len(data) < header.size or not stream.skip(_padded(header.size) - header.size):
        raise truncated(header.path)
    return data


def _parse(block: bytes, count: int) -> Member:
    name, mode, uid, gid, size, mtime, checksum, kind, link, magic, _, _, major, minor, prefix = _fields.unpack(block)
    if not _checksum_right(block, checksum):
        code, what = ("tar-corrupt", "a header is corrupt") if count else ("tar-invalid", "this is not a tar archive")
        raise refuse(code, f"{what} (wrong checksum, entry {count + 1})")
    path = _text(name)
    if magic == b"ustar\x0000" and prefix[0]:
        path = _text(prefix) + b"/" + path
    if kind in _REGULAR_KINDS:
        kind = DIRECTORY if path.endswith(b"/") and kind == b"\0" else REGULAR
    device = (_number(major, path), _number(minor, path)) if kind in (CHAR, BLOCK_DEVICE) else (0, 0)
    return Member(
        path=path,
        kind=kind,
        mode=_number(mode, path) & 0o7777,
        uid=_number(uid, path),
        gid=_number(gid, path),
        size=_number(size, path),
        mtime=_number(mtime, path, signed=True) * 1_000_000_000,
        link=_text(link),
        device=device,
    )


def _text(raw: bytes) -> bytes:
    return raw.partition(b"\0")[0]


def _number(raw: bytes, path: bytes, *, signed: bool = False) -> int:
    """An octal field, or GNU's base 256 when the first bit is set."""
    if raw[0] & 0x80:
        value = int.from_bytes(raw, "big", signed=False) & ((1 << (8 * len(raw) - 1)) - 1)
        if raw[0] == 0xFF:
            value -= 1 << (8 * len(raw) - 1)
        if (value < 0 and not signed) or abs(value) >= 1 << 63:
            raise refuse("tar-corrupt", "a number is out of range", path)
        return value
    digits = raw.rstrip(b"\0 ").lstrip(b" ")
    if not digits:
        return 0
    if digits.strip(b"01234567"):
        raise refuse("tar-corrupt", "a number is not octal", path)
    return int(digits, 8)


def _checksum_right(block: bytes, stated: bytes) -> bool:
    digits = stated.partition(b"\0")[0].strip(b" ")
    if not digits or digits.strip(b"01234567"):
        return False
    value = int(digits, 8)
    plain = sum(block) - sum(block[148:156]) + 8 * 32
    # some old archivers summed signed bytes
    return value == plain or value == plain - 256 * sum(byte > 127 for byte in block[:148] + block[156:])


def _check(member: Member, limits: Limits) -> None:
    if member.kind not in KINDS:
        what = (
            "a GNU sparse file (pack it without --sparse)"
            if member.kind == b"S"
            else f"an entry of type {member.kind!r}"
        )
        raise refuse("tar-unsupported", f"{what} is not supported", member.path)
    if member.kind in _WITHOUT_DATA:
        member.size = 0
    if member.size > limits.bytes:
        raise refuse("tar-too-large", f"an entry of {member.size} bytes (limit {limits.bytes})", member.path)


def _padded(size: int) -> int:
    return (size + BLOCK - 1) // BLOCK * BLOCK
