"""Copy between a hijacked stream and our own standard streams until the stream ends.

Two plain loops: what is typed goes out in a thread of its own, what comes is written by the main thread, so that a
slow reader of our output never holds up the input, nor the other way round. The thread takes no signals.
"""

import _socket
import _thread
import posix

from ..dockerapi.frames import STDERR, SYSTEM_ERROR, Demultiplexer
from .keys import Watch
from .output import write

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal

    from ..client.engine import Stream
    from ..client.wire import Response
else:
    import _signal

_PIECE = 1 << 18


class Pump:
    """One attached stream.

    stdin: send what standard input gives; keys: the detach sequence to look for in it, b"" for none.
    received: bytes of output so far; detached: the sequence was typed.
    """

    def __init__(self, stream: "Stream", stdin: bool, keys: bytes = b"") -> None:
        self.stream = stream
        self.received = 0
        self._stdin = stdin
        self._watch = Watch(keys) if keys else None

    @property
    def detached(self) -> bool:
        """Whether the detach keys were typed."""
        return self._watch is not None and self._watch.seen

    def run(self, output: bool = True) -> None:
        """Copy until the stream ends; without ``output`` until standard input does. Raises BrokenPipe."""
        if not self._stdin:
            self._finish_input()
        elif output:
            self._start_input()
        else:
            self._input()
        if output:
            self._output()

    def _start_input(self) -> None:
        before = _signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())
        try:
            _thread.start_new_thread(self._input, ())
        finally:
            _signal.pthread_sigmask(_signal.SIG_SETMASK, before)

    def _input(self) -> None:
        try:
            while data := posix.read(0, _PIECE):
                if self._watch:
                    self._watch.feed(data)
                self.stream.sock.sendall(data, _socket.MSG_NOSIGNAL)
        except OSError:
            pass  # the stream has ended (the other loop sees it), or standard input is closed: its end, either way
        self._finish_input()

    def _finish_input(self) -> None:
        """Half-close: the end of standard input, never of the attachment."""
        try:
            self.stream.sock.shutdown(_socket.SHUT_WR)
        except OSError:
            pass  # it has ended meanwhile

    def _output(self) -> None:
        deliver = self._frames(Demultiplexer()) if self.stream.multiplexed else self._bytes
        buffer = bytearray(_PIECE)
        view = memoryview(buffer)
        if self.stream.early:
            deliver(memoryview(self.stream.early))
        while True:
            try:
                count = self.stream.sock.recv_into(view)
            except (ConnectionResetError, TimeoutError):
                return
            if not count:
                return
            deliver(view[:count])

    def _bytes(self, data: memoryview) -> None:
        self.received += len(data)
        write(1, data)

    def _frames(self, demultiplexer: Demultiplexer) -> "_Deliver":
        def deliver(data: memoryview) -> None:
            self.received += len(data)
            _write(demultiplexer, data)

        return deliver


class Log:
    """The answer of ``/logs`` in the place of a stream that was lost: what a program wrote since it began."""

    detached = False

    def __init__(self, response: "Response") -> None:
        self.received = 1
        self._response = response

    def run(self, output: bool = True) -> None:
        """Copy until the program ends. Raises BrokenPipe, EngineGone."""
        demultiplexer = Demultiplexer()
        framed = "multiplexed" in self._response.headers.get("content-type", "")
        for data in self._response.pieces() if output else ():
            if framed:
                _write(demultiplexer, memoryview(data))
            else:
                write(1, data)


def _write(demultiplexer: Demultiplexer, data: memoryview) -> None:
    for kind, piece in demultiplexer.feed(data):
        write(2 if kind in (STDERR, SYSTEM_ERROR) else 1, piece)


if TYPE_CHECKING:
    from collections.abc import Callable

    _Deliver = Callable[[memoryview], None]
