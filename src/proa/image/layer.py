"""A layer's way in: one pass over its stream makes a blob of it and checks every entry.

    with content.Writer(places) as writer:
        scanned = layer.receive(source, writer, limits)     decompress → check → blob, nothing trusted before
        writer.commit()                                     == the layer's diff id

Later ``layer.index`` reads the same tree again from the stored blob, verified.
"""

from __future__ import annotations

import errno
import os
from typing import TYPE_CHECKING

from ..errors import ProaError
from ..oci.digest import VerifyingReader
from . import compression, content, tar
from .index import Index
from .refusal import refuse

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..oci.digest import Readable
    from ..places import Places
    from .content import Writer
    from .tar import Limits

RESERVE = 64 << 20  # bytes of a file system that an import leaves free


class _Tee:
    """Passes a stream on, and writes it into a blob."""

    def __init__(self, source: Readable, writer: Writer) -> None:
        self._source = source
        self._writer = writer
        self._room = 0

    def read(self, size: int, /) -> bytes:
        data = self._source.read(size)
        self._room -= len(data)
        if self._room < 0:
            self._look()
        self._write(data)
        return data

    def expect(self, size: int) -> None:
        """Refuse at once what cannot fit."""
        if size > self._room:
            self._look()
            if size > self._room:
                raise disk_full()

    def _look(self) -> None:
        """Ask the file system for room now and then, so that a long archive ends before the disk is full."""
        stat = os.fstatvfs(self._writer.fileno())
        self._room = stat.f_bavail * stat.f_frsize - RESERVE
        if self._room < 0:
            raise disk_full()

    def _write(self, data: bytes) -> None:
        try:
            self._writer.write(data)
        except OSError as problem:
            if problem.errno in (errno.ENOSPC, errno.EDQUOT):
                raise disk_full() from problem
            raise


def disk_full() -> ProaError:
    """What is left where images are kept is not enough."""
    return ProaError("no space left on the device that holds the images", code="disk-full", next_step="df -h")


def receive(source: Readable, writer: Writer, limits: Limits) -> Index:
    """Read one layer, compressed or not, to its end into ``writer``. Raises InvalidRequest, ProaError, OSError."""
    tee = _Tee(compression.opened(source, limits), writer)
    return read(tar.Stream(tee), limits, expect=tee.expect)


def index(places: Places, diff_id: str, limits: Limits, source: int = 0) -> Index:
    """The tree of a stored, uncompressed layer. Raises NotFound, InvalidRequest (``content-corrupt``)."""
    with content.opened(places, diff_id) as file:
        verified = VerifyingReader(file, diff_id, os.fstat(file.fileno()).st_size)
        return read(tar.Stream(verified), limits, source)


def read(
    stream: tar.Stream, limits: Limits, source: int = 0, expect: Callable[[int], None] = lambda size: None
) -> Index:
    """The tree of all entries of an archive, each checked. ``expect`` is told the size of what comes next."""
    found = Index(limits, source)
    try:
        for member in tar.members(stream, limits):
            found.add(member)
            expect(member.size)
        stream.finish(limits.tail)
    except MemoryError as problem:
        raise refuse("tar-too-many", "the archive's entries do not fit into memory") from problem
    return found
