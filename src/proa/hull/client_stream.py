"""One attached client: its socket, its queue, its keys.

Output comes live while the client keeps up. One whose queue is full (``QUEUE`` bytes) and whose program has a log is
fed from the log from then on, until it has caught up: it costs no memory and stops nobody. Without a log (an exec) its
program is made to wait. EOF from the client is the end of its input, never of the client: that is a hang-up.

The socket comes from elsewhere and its flags with it, so each call says MSG_DONTWAIT itself.
"""

import _socket

from ..dockerapi import frames
from . import follow
from . import loop as loops
from .detach import Detector, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .follow import Reader
    from .log import JsonLog
    from .loop import Loop
    from .messages import Message
    from .stdin import Input
    from .stdio import Streams

QUEUE = 1 << 20
READ = 64 * 1024
_FLAGS = _socket.MSG_DONTWAIT | _socket.MSG_NOSIGNAL


class Wants:
    """What a client asked for (hull/messages: attach), with the detach keys as bytes."""

    __slots__ = ("keys", "logs", "mux", "stderr", "stdin", "stdout", "stream")

    def __init__(
        self,
        *,
        stdin: bool = False,
        stdout: bool = True,
        stderr: bool = True,
        logs: bool = False,
        stream: bool = True,
        mux: bool = False,
        keys: bytes = b"",
    ) -> None:
        self.stdin = stdin
        self.stdout = stdout
        self.stderr = stderr
        self.logs = logs
        self.stream = stream
        self.mux = mux
        self.keys = keys

    @classmethod
    def of(cls, message: "Message") -> "Wants":
        """What an attach, or an exec, asks for. Raises ValueError: the detach keys are none."""
        return cls(
            stdin=bool(message.get("stdin")),
            stdout=bool(message.get("stdout")),
            stderr=bool(message.get("stderr")),
            logs=bool(message.get("logs")),
            stream=bool(message.get("stream", True)),
            mux=bool(message.get("mux")),
            keys=parse(message.get("detach_keys") or ""),
        )


class Client:
    """Lives from attach until everything was served, it hung up, or it typed the detach keys."""

    __slots__ = (
        "_detector",
        "_eof",
        "_hung_up",
        "_input",
        "_leaving",
        "_log",
        "_loop",
        "_owner",
        "_queue",
        "_reader",
        "_socket",
        "_wants",
        "sent",
    )

    def __init__(self, loop: "Loop", fd: int, wants: Wants, owner: "Streams", log: "JsonLog | None") -> None:
        self._socket = _socket.socket(fileno=fd)
        self._loop = loop
        self._wants = wants
        self._owner: "Streams | None" = owner
        self._input: "Input | None" = owner.input if wants.stdin else None
        self._log = log
        self._reader: "Reader | None" = follow.beginning(log) if wants.logs and log is not None else None
        self._detector = Detector(wants.keys)
        self._queue = bytearray()
        self._eof = False
        self._hung_up = False
        self._leaving = not wants.stream
        self.sent = 0
        loop.add(fd, self._on_event, self._mask())

    def begin(self, early: bytes) -> None:
        """Start serving. ``early``: input that came with the client's request."""
        if early and self._input is not None:
            self._take(early)
        self._step()

    @property
    def idle(self) -> bool:
        """Whether the client has been given all that there is."""
        return not self._queue and self._reader is None

    @property
    def full(self) -> bool:
        """Whether its program, which has no log, should wait for it."""
        return self._reader is None and len(self._queue) > QUEUE

    def output(self, stream: int, data: bytes) -> None:
        """Live output of stream 1 or 2; ignored while the client is fed from the log, which has it."""
        if self._reader is not None or self._leaving:
            return
        self._put(stream, data)
        if self._log is not None and len(self._queue) > QUEUE:
            self._reader = follow.here(self._log)

    def pump_input(self) -> None:
        """The program's stdin has room again."""
        if self._hung_up:
            self._drain_input()
        elif self._owner is not None:
            self._update()

    def leave(self) -> None:
        """Close as soon as it has been given everything."""
        self._leaving = True
        self._step()

    def close(self, *, shut: bool = True) -> None:
        """Close now; what is queued is lost. ``shut`` False: whoever else holds the socket goes on using it."""
        owner, self._owner = self._owner, None
        if owner is None:
            return
        self._loop.remove(self._socket.fileno())
        if shut:
            _shutdown(self._socket)
        self._socket.close()
        self._queue.clear()
        self._reader = self._log = self._input = None
        owner.closed(self)

    def _on_event(self, events: int) -> None:
        if events & loops.IN and not self._eof:
            self._read()
        if events & (loops.HUP | loops.ERR) and self._owner is not None:
            self._hang_up()
        elif events & loops.OUT and self._owner is not None:
            self._step()

    def _read(self) -> None:
        try:
            data = self._socket.recv(READ, _socket.MSG_DONTWAIT)
        except BlockingIOError:
            return
        except OSError:
            data = b""
        if data:
            if self._input is not None:
                self._take(data)
        else:
            self._end_input()
        self._update()

    def _take(self, data: bytes) -> None:
        forward, detached = self._detector.feed(data)
        if self._input is not None and forward:
            self._input.write(forward)
        if detached and self._owner is not None:
            self._input = None
            self._owner.detached()
            self.leave()

    def _end_input(self) -> None:
        self._eof = True
        if self._input is not None and self._owner is not None:
            rest = self._detector.rest()
            if rest:
                self._input.write(rest)
            self._owner.input_ended()

    def _hang_up(self) -> None:
        """Nobody reads any more. What it had sent before is still the program's input."""
        self._hung_up = True
        self._loop.remove(self._socket.fileno())  # a hang-up cannot be masked
        self._queue.clear()
        self._reader = self._log = None
        self._drain_input()

    def _drain_input(self) -> None:
        while not self._eof and self._input is not None and not self._input.full:
            self._read()
        if self._eof or self._input is None:
            self.close()

    def _step(self) -> None:
        """Send what can be sent now; read on in the log when there is room."""
        self._send()
        if self._reader is not None and len(self._queue) < QUEUE:
            self._catch_up(self._reader)
        if self._owner is not None:
            if self.idle and self._leaving:
                self.close()
            else:
                self._update()
                self._owner.progressed()

    def _catch_up(self, reader: "Reader") -> None:
        pieces = reader.read()
        if not pieces:
            pieces = reader.rest()
            self._reader = None
        for stream, data in pieces:
            self._put(stream, data)

    def _put(self, stream: int, data: bytes) -> None:
        if self._hung_up or not (self._wants.stdout if stream == 1 else self._wants.stderr):
            return
        queue = self._queue
        was_empty = not queue
        if self._wants.mux:
            queue += frames.head(stream, len(data))
        queue += data
        if was_empty:
            self._send()
            self._update()

    def _send(self) -> None:
        if not self._queue:
            return
        try:
            sent = self._socket.send(self._queue, _FLAGS)
        except BlockingIOError:
            return
        except OSError:
            self._queue.clear()  # the hang-up is reported by the loop
            return
        self.sent += sent
        del self._queue[:sent]

    def _update(self) -> None:
        if self._owner is not None and not self._hung_up:
            self._loop.change(self._socket.fileno(), self._mask())

    def _mask(self) -> int:
        mask = 0 if self._eof or (self._input is not None and self._input.full) else loops.IN
        return mask if self.idle else mask | loops.OUT


def _shutdown(sock: _socket.socket) -> None:
    try:
        sock.shutdown(_socket.SHUT_RDWR)
    except OSError:
        pass  # the client was faster
