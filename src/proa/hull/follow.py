"""Reading a log back for one attached client: from its beginning (``logs=1``), or from where a slow client stopped.

Live output and the log tell the same story; a ``Reader`` is how a client changes from one to the other without a gap
or a duplicate. What a client was already given of a line that the log has not written yet is skipped, by stream.
"""

import os

from . import log

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .log import JsonLog, Segment

READ = 256 * 1024  # more than any one line: 16 KiB of output, six characters an escape


class Reader:
    """A position in a log that moves on."""

    __slots__ = ("_log", "_offset", "_segment", "_skip")

    def __init__(self, source: "JsonLog", segment: "Segment", offset: int, skip: "dict[int, int]") -> None:
        self._log = source
        self._segment = segment
        self._offset = offset
        self._skip = skip

    def read(self) -> "list[tuple[int, bytes]]":
        """The next pieces of output, as (stream, bytes); [] when all that the files hold has been read."""
        while True:
            lines = self._lines()
            if not lines:
                return []
            pieces = self._pieces(lines)
            if pieces:
                return pieces

    def rest(self) -> "list[tuple[int, bytes]]":
        """What no file holds yet. With it the client has everything up to now."""
        return self._trim([(stream, self._log.pending(stream)) for stream in (1, 2)])

    def _lines(self) -> bytes:
        """The next whole lines of the files, b"" at the end."""
        while True:
            segment = self._segment
            if self._offset < segment.size:
                data = os.pread(segment.fd, min(READ, segment.size - self._offset), self._offset)
                end = data.rfind(b"\n") + 1
                if end:
                    self._offset += end
                    return data[:end]
                self._offset = segment.size  # somebody cut the file short, or wrote no line: go on behind it
            if segment.next is None:
                return b""
            self._segment, self._offset = segment.next, 0

    def _pieces(self, lines: bytes) -> "list[tuple[int, bytes]]":
        try:
            return self._trim(log.merge(log.parse(lines)))
        except (KeyError, TypeError, ValueError, AttributeError):
            return self._trim(_sound(lines))

    def _trim(self, pieces: "list[tuple[int, bytes]]") -> "list[tuple[int, bytes]]":
        """Without what the client was given before."""
        if not any(self._skip.values()):
            return [piece for piece in pieces if piece[1]]
        kept = []
        for stream, data in pieces:
            known = min(self._skip[stream], len(data))
            self._skip[stream] -= known
            if known < len(data):
                kept.append((stream, data[known:]))
        return kept


def beginning(source: "JsonLog") -> Reader:
    """A reader of everything that was ever logged and is still there."""
    return Reader(source, source.oldest(), 0, {1: 0, 2: 0})


def here(source: "JsonLog") -> Reader:
    """A reader for a client that has been given everything up to now."""
    skip = {stream: len(source.pending(stream)) for stream in (1, 2)}
    return Reader(source, source.segment, source.segment.size, skip)


def _sound(lines: bytes) -> "list[tuple[int, bytes]]":
    """The lines that are lines of a log; a write that was cut off by a power cut or a full disk is none."""
    pieces = []
    for line in lines.splitlines():
        try:
            pieces += log.merge(log.parse(line))
        except (KeyError, TypeError, ValueError, AttributeError):
            continue
    return pieces
