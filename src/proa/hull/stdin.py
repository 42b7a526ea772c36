"""The way of input to one program: from clients, through a small buffer, into a descriptor or a sink.

Never blocks: a full program makes ``full`` true, and clients are not read until ``roomy`` is called.
"""

import os

from . import loop as loops

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from .loop import Loop

    class Sink(Protocol):
        """Where a carrier takes input that does not go into a descriptor (see ``carrier``)."""

        def write(self, data: bytes) -> int: ...
        def close(self) -> None: ...


BUFFER = 64 * 1024


class FdSink:
    """A pipe's writing end or a pty's master, which is then closed by ``close``."""

    __slots__ = ("_fd", "_loop", "_owner", "_watched")

    def __init__(self, loop: "Loop", fd: int, owner: "Input") -> None:
        os.set_blocking(fd, False)
        self._loop = loop
        self._fd = fd
        self._owner = owner
        self._watched = False

    def write(self, data: bytes) -> int:
        """Bytes taken; fewer than all means that ``ready`` follows. Raises OSError: nobody reads any more."""
        try:
            taken = os.write(self._fd, data)
        except BlockingIOError:
            taken = 0
        self._watch(taken < len(data))
        return taken

    def close(self) -> None:
        """End of input."""
        self._watch(False)
        os.close(self._fd)

    def _watch(self, wanted: bool) -> None:
        # only while something waits: an idle pipe whose reader has gone would report EPOLLERR for ever
        if wanted and not self._watched:
            self._loop.add(self._fd, self._ready, loops.OUT)
        elif self._watched and not wanted:
            self._loop.remove(self._fd)
        self._watched = wanted

    def _ready(self, _events: int) -> None:
        self._owner.ready()


class Input:
    """Buffer and state of one program's stdin."""

    __slots__ = ("_buffer", "_ended", "_sink", "closed", "roomy")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._sink: "Sink | None" = None
        self._ended = False
        self.closed = False
        self.roomy: "Callable[[], None] | None" = None

    @property
    def full(self) -> bool:
        """Whether clients should not be read for now."""
        return len(self._buffer) >= BUFFER

    def connect(self, sink: "Sink") -> None:
        """The program is there: what clients sent before flows now."""
        self._sink = sink
        self.ready()

    def write(self, data: bytes) -> None:
        """Take all of ``data``; after the end, or when the program reads no more, it is dropped."""
        if self.closed or self._ended:
            return
        self._buffer += data
        if len(self._buffer) == len(data):
            self._flush()

    def end(self) -> None:
        """No more input comes: the program reads what is buffered, then EOF."""
        if not self._ended:
            self._ended = True
            self._flush()

    def ready(self) -> None:
        """The sink has room again."""
        was_full = self.full
        self._flush()
        if was_full and not self.full and self.roomy is not None:
            self.roomy()

    def close(self) -> None:
        """Drop everything: the program has ended, or has closed its stdin."""
        if self.closed:
            return
        self.closed = True
        was_full, self._buffer = self.full, bytearray()
        sink, self._sink = self._sink, None
        if sink is not None:
            sink.close()
        if was_full and self.roomy is not None:
            self.roomy()

    def _flush(self) -> None:
        if self._sink is None:
            return
        try:
            if self._buffer:
                del self._buffer[: self._sink.write(bytes(self._buffer))]
        except OSError:
            self.close()
            return
        if self._ended and not self._buffer:
            self.close()
