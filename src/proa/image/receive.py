"""A layer's way in: one pass over its stream makes a blob of it and checks every entry.

with content.Writer(places) as writer:
    index = receive(source, writer, limits)     decompress → check → blob, nothing trusted before
    writer.commit()                             == the layer's diff id
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from . import compression, layer, room, tar

if TYPE_CHECKING:
    from ..oci.digest import Readable
    from .content import Writer
    from .index import Index
    from .member import Limits


def receive(source: Readable, writer: Writer, limits: Limits) -> Index:
    """Read one layer, compressed or not, to its end into ``writer``. Raises InvalidRequest, ProaError, OSError."""
    tee = _Tee(compression.opened(source, limits), writer)
    return layer.read(tar.Stream(tee), limits, expect=tee.expect)


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
        self._writer.write(data)
        return data

    def expect(self, size: int) -> None:
        """Refuse at once what cannot fit."""
        if size > self._room:
            self._look()
            if size > self._room:
                raise room.disk_full(self._writer.place)

    def _look(self) -> None:
        """Ask the file system for room now and then, so that a long archive ends before the disk is full."""
        stat = os.fstatvfs(self._writer.fileno())
        self._room = stat.f_bavail * stat.f_frsize - room.RESERVE
        if self._room < 0:
            raise room.disk_full(self._writer.place)
