"""Compressed streams, recognised by their first bytes: gzip, bzip2, xz; zstd where a decoder is there.

``opened(source, limits)`` is a stream of the plain bytes. What comes out is counted, however little went in: a bomb
ends with InvalidRequest (``tar-too-large``, ``tar-bomb``), a cut or damaged stream with ``compression-corrupt``.
"""

from __future__ import annotations

import bz2
import lzma
import zlib
from typing import TYPE_CHECKING, Protocol

from . import zstd
from .refusal import refuse

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..oci.digest import Readable
    from .member import Limits

_CHUNK = 256 << 10
_XZ_MEMORY = 512 << 20


class Decoder(Protocol):
    """The standard library's shape: bz2 and lzma have it, gzip and zstd are made to."""

    def decompress(self, data: bytes, max_length: int = ...) -> bytes: ...
    @property
    def eof(self) -> bool: ...
    @property
    def needs_input(self) -> bool: ...
    @property
    def unused_data(self) -> bytes: ...


class _Gzip:
    """zlib's decoder in bz2's shape."""

    def __init__(self) -> None:
        self._zlib = zlib.decompressobj(wbits=31)

    def decompress(self, data: bytes, max_length: int = -1) -> bytes:
        return self._zlib.decompress(self._zlib.unconsumed_tail + data, max(max_length, 0))

    @property
    def eof(self) -> bool:
        return self._zlib.eof

    @property
    def needs_input(self) -> bool:
        return not self._zlib.unconsumed_tail

    @property
    def unused_data(self) -> bytes:
        return self._zlib.unused_data


def _xz() -> Decoder:
    return lzma.LZMADecompressor(memlimit=_XZ_MEMORY)


_FORMATS: dict[bytes, tuple[str, Callable[[], Decoder]]] = {
    b"\x1f\x8b\x08": ("gzip", _Gzip),
    b"BZh": ("bzip2", bz2.BZ2Decompressor),
    b"\xfd7zXZ\0": ("xz", _xz),
    b"\x28\xb5\x2f\xfd": ("zstd", zstd.Decoder),
}
_MAGIC_MAX = 6


def opened(source: Readable, limits: Limits) -> Readable:
    """The plain bytes of ``source``, whichever way it is compressed. Raises InvalidRequest."""
    start = b""
    while len(start) < _MAGIC_MAX and (part := source.read(_MAGIC_MAX - len(start))):
        start += part
    for magic, (name, make) in _FORMATS.items():
        if start.startswith(magic):
            return _Expanded(source, start, name, make, limits)
    return _Plain(source, start, limits)


class _Counted:
    """Counts what went in and out, and ends what is out of proportion."""

    def __init__(self, source: Readable, start: bytes, limits: Limits) -> None:
        self._source = source
        self._start = start
        self._limits = limits
        self._in = 0
        self._out = 0

    def _more(self, size: int) -> bytes:
        if self._start:
            data, self._start = self._start, b""
        else:
            data = self._source.read(size)
        self._in += len(data)
        return data

    def _count(self, data: bytes) -> bytes:
        self._out += len(data)
        if self._out > self._limits.bytes:
            raise refuse("tar-too-large", f"the archive has more than {self._limits.bytes} bytes")
        if self._out > self._limits.ratio_from and self._out > self._limits.ratio * self._in:
            raise refuse("tar-bomb", f"{self._in} bytes expand to more than {self._out}: a decompression bomb")
        return data


class _Plain(_Counted):
    """Not compressed."""

    def read(self, size: int, /) -> bytes:
        return self._count(self._more(size))


class _Expanded(_Counted):
    """One or several compressed streams, one after the other, as all three tools write and read them."""

    def __init__(self, source: Readable, start: bytes, name: str, make: Callable[[], Decoder], limits: Limits) -> None:
        super().__init__(source, start, limits)
        self._name = name
        self._make = make
        self._decoder = make()
        self._waiting = b""
        self._ended = False

    def read(self, size: int, /) -> bytes:
        while not self._ended:
            data = self._step(size)
            if data:
                return self._count(data)
        return b""

    def _step(self, size: int) -> bytes:
        if self._decoder.eof and not self._next_stream():
            self._ended = True
            return b""
        given = self._waiting
        if self._decoder.needs_input and not given:
            given = self._more(_CHUNK)
            if not given:
                raise self._corrupt("it ends too early")
        self._waiting = b""
        try:
            return self._decoder.decompress(given, size)
        except (zlib.error, OSError, lzma.LZMAError, EOFError) as problem:
            raise self._corrupt(str(problem)) from problem

    def _next_stream(self) -> bool:
        """After the end of one stream: zeros pad it, or another begins, or nothing follows."""
        rest = self._decoder.unused_data
        while not (rest := rest.lstrip(b"\0")):
            rest = self._more(_CHUNK)
            if not rest:
                return False
        self._decoder = self._make()
        self._waiting = rest
        return True

    def _corrupt(self, why: str) -> Exception:
        return refuse("compression-corrupt", f"the {self._name} stream is corrupt: {why}")
