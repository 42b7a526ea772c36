"""A program's output on its way to the host, and its input on the way in: as far as credit and pipes allow."""

import os

from ....hull import loop as loops
from ..port import PAYLOAD_MAX

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..port import Port


DRAIN = 2 << 20
"""What pipes can hold when their program ends: more is somebody else's, still writing."""


class Outlet:
    """Reads one descriptor of a program into one stream; calls ``ended`` after its last byte was queued."""

    def __init__(self, loop: "loops.Loop", port: "Port", stream: int, fd: int, ended: "Callable[[], None]") -> None:
        os.set_blocking(fd, False)
        self._loop = loop
        self._port = port
        self._ended = ended
        self._waiting = False
        self._left = DRAIN
        self.stream = stream
        self.fd = fd
        self.last = False
        """The program is gone: what is there now is all that will be waited for."""
        loop.add(fd, self._readable)

    def finish(self) -> None:
        """The program has ended: read what is left, then end the stream."""
        self.last = True
        self.pump()

    def granted(self) -> None:
        """The host has room again."""
        if self._waiting and self.fd >= 0:
            self._waiting = False
            self._loop.add(self.fd, self._readable)
            self.pump()

    def pump(self) -> None:
        """Read until the descriptor is empty, or the credit is."""
        while self.fd >= 0 and not self._waiting:
            room = self._port.room(self.stream)
            if room <= 0:
                self._waiting = True
                self._loop.remove(self.fd)
                return
            try:
                data = os.read(self.fd, min(room, PAYLOAD_MAX))
            except BlockingIOError:
                if self.last:
                    self._end()
                return
            except OSError:  # a pty whose last slave was closed reads as EIO
                data = b""
            if not data:
                self._end()
                return
            self._port.data(self.stream, data)
            if not self.last:
                return
            self._left -= len(data)
            if self._left <= 0:
                self._end()

    def _readable(self, _events: int) -> None:
        self.pump()

    def _end(self) -> None:
        self._loop.remove(self.fd)
        os.close(self.fd)
        self.fd = -1
        self._port.data(self.stream, b"")
        self._ended()


class Inlet:
    """Writes one stream into one descriptor; grants the host credit for what the program has taken."""

    def __init__(self, loop: "loops.Loop", port: "Port", stream: int, fd: int) -> None:
        os.set_blocking(fd, False)
        self._loop = loop
        self._port = port
        self._buffer = bytearray()
        self._closing = False
        self._armed = False
        self.stream = stream
        self.fd = fd
        port.expect(stream)

    def take(self, data: bytes) -> None:
        """Bytes from the host; empty: no more will come."""
        if self.fd < 0:
            return
        if not data:
            self._closing = True
        self._buffer += data
        self._pump()

    def close(self) -> None:
        """Drop what the program has not taken."""
        if self.fd >= 0:
            self._loop.remove(self.fd)
            os.close(self.fd)
            self.fd = -1
            self._port.forget(self.stream)

    def _pump(self) -> None:
        while self._buffer:
            try:
                count = os.write(self.fd, self._buffer)
            except BlockingIOError:
                self._arm(True)
                return
            except OSError:  # EPIPE: nobody reads any more
                self._gone()
                return
            del self._buffer[:count]
            self._port.consumed(self.stream, count)
        self._arm(False)
        if self._closing:
            self.close()

    def _arm(self, wanted: bool) -> None:
        if wanted == self._armed:
            return
        self._armed = wanted
        if wanted:
            self._loop.add(self.fd, self._writable, loops.OUT)
        else:
            self._loop.remove(self.fd)

    def _writable(self, _events: int) -> None:
        self._pump()

    def _gone(self) -> None:
        self._buffer.clear()
        self._armed = False
        self.close()
        self._port.send({"op": "input-closed", "stream": self.stream})
