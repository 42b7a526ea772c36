"""The three streams of one program: from and to the carrier on one side, log and attached clients on the other.

    carrier ──output──► Streams ──► log (the program's; an exec has none)
                                └──► each client, framed or raw
    carrier ◄──input── Input ◄── clients

The log comes first and is never waited for. With a log a slow client reads it later (``client_stream``); without one,
or for as long as an exec's client is full, the program waits, as with any pipe.
"""

import os

from .client_stream import Client, Wants
from .stdin import FdSink, Input

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Protocol

    from .log import JsonLog
    from .loop import Loop
    from .stdin import Sink

    class Source(Protocol):
        """A carrier's pushed output (see ``carrier``)."""

        def hold(self, wanted: bool) -> None: ...


READ = 64 * 1024
DRAIN = 2 << 20  # what pipes can hold when their program ends: more is somebody else's, still writing


class FdSource:
    """Reads one descriptor of a program until EOF. A pty's end is EIO."""

    __slots__ = ("_fd", "_loop", "_owner", "_stream", "held")

    def __init__(self, loop: "Loop", fd: int, stream: int, owner: "Streams") -> None:
        os.set_blocking(fd, False)
        self._loop = loop
        self._fd = fd
        self._stream = stream
        self._owner = owner
        self.held = False
        loop.add(fd, self._on_event)

    def hold(self, wanted: bool) -> None:
        """Stop reading, or go on."""
        if self._fd >= 0 and self.held != wanted:
            self.held = wanted
            # out of epoll altogether: EPOLLHUP cannot be masked
            if wanted:
                self._loop.remove(self._fd)
            else:
                self._loop.add(self._fd, self._on_event)

    def settle(self) -> None:
        """Read what is there, without waiting."""
        left = DRAIN
        while left > 0 and self._fd >= 0:
            data = self._read()
            if data is None:
                return
            if not data:
                self.close()
                return
            left -= len(data)
            self._owner.output(self._stream, data)

    @property
    def open(self) -> bool:
        """Whether somebody may still write."""
        return self._fd >= 0

    def close(self) -> None:
        """Read no more: whoever still writes gets EPIPE."""
        if self._fd >= 0:
            self._loop.remove(self._fd)
            os.close(self._fd)
            self._fd = -1

    def _on_event(self, _events: int) -> None:
        data = self._read()
        if data:
            self._owner.output(self._stream, data)
        elif data is not None:
            self.close()
            self._owner.source_ended()

    def _read(self) -> "bytes | None":
        """b"" at the end, None when there is nothing now."""
        try:
            return os.read(self._fd, READ)
        except BlockingIOError:
            return None
        except OSError:
            return b""


class Streams:
    """See the module's docstring; what a carrier calls is described in ``carrier``."""

    __slots__ = (
        "_changed",
        "_clients",
        "_detached",
        "_ended",
        "_finishing",
        "_holding",
        "_log",
        "_loop",
        "_releasing",
        "_sources",
        "_stdin_once",
        "input",
        "stdin",
        "terminal",
    )

    def __init__(
        self,
        loop: "Loop",
        *,
        terminal: bool,
        stdin: bool,
        stdin_once: bool,
        log: "JsonLog | None" = None,
        detached: "Callable[[], None] | None" = None,
    ) -> None:
        """``detached`` is called when a client has typed the detach keys."""
        self._loop = loop
        self._log = log
        self._detached = detached
        self._stdin_once = stdin_once
        self._clients: "list[Client]" = []
        self._sources: "list[FdSource | Source]" = []
        self._holding = False
        self._finishing = False
        self._releasing = False
        self._changed: "Callable[[], None] | None" = None
        self._ended: "Callable[[], None] | None" = None
        self.terminal = terminal
        self.stdin = stdin
        self.input = Input()
        self.input.roomy = self._roomy

    # what a carrier calls

    def output_fd(self, stream: int, fd: int) -> None:
        """Read stream 1 or 2 from ``fd``."""
        self._sources.append(FdSource(self._loop, fd, stream, self))

    def output_source(self, source: "Source") -> None:
        """Output will be pushed; ``source`` is told when to hold it."""
        self._sources.append(source)

    def output(self, stream: int, data: bytes) -> None:
        """The program wrote ``data``."""
        if self._log is not None:
            self._log.write(stream, data)
        for client in self._clients[:]:
            client.output(stream, data)
        if self._log is None:
            self._hold()

    def output_end(self, stream: int) -> None:
        """EOF of a pushed stream: nothing depends on it, the program's exit is what counts."""

    def input_fd(self, fd: int) -> None:
        """The program reads its stdin from the other end of ``fd``."""
        self.input.connect(FdSink(self._loop, fd, self.input))

    def input_sink(self, sink: "Sink") -> None:
        """The carrier takes the program's stdin."""
        self.input.connect(sink)

    def input_ready(self) -> None:
        """The sink has room again."""
        self.input.ready()

    def input_gone(self) -> None:
        """The program reads no more."""
        self.input.close()

    def terminal_fd(self, fd: int) -> None:
        """Both directions of a terminal: its master."""
        if self.stdin:
            self.input_fd(os.dup(fd))
        self.output_fd(1, fd)

    # what the shim calls

    def attach(self, fd: int, wants: Wants, early: bytes = b"") -> None:
        """Serve the client at ``fd`` from now on."""
        wants.stdin = wants.stdin and self.stdin and not self.input.closed
        if not self.terminal:
            wants.keys = b""  # what goes through a pipe may hold any bytes
        client = Client(self._loop, fd, wants, self, self._log)
        self._clients.append(client)
        client.begin(early)
        if self._releasing:
            client.leave()

    def settle(self, ended: "Callable[[], None]") -> bool:
        """Read what is there. True: nobody holds an output any more; else ``ended`` is called when that is so."""
        for source in self._sources:
            if isinstance(source, FdSource):
                source.settle()
        if self._quiet():
            return True
        self._ended = ended
        return False

    def finish(self, changed: "Callable[[], None]") -> None:
        """The program has ended: log everything. ``changed`` is called when clients progress, until ``release``."""
        self.input.close()
        self.input.roomy = self._ended = None
        for source in self._sources:
            if isinstance(source, FdSource):
                source.settle()
                source.close()
        self._sources.clear()
        if self._log is not None:
            self._log.flush()
        self._finishing = True
        self._changed = changed

    @property
    def served(self) -> bool:
        """Whether each client has everything."""
        return all(client.idle for client in self._clients)

    @property
    def sent(self) -> int:
        """Bytes that clients took: whether the slow ones still move."""
        return sum(client.sent for client in self._clients)

    @property
    def clients(self) -> int:
        """How many are attached."""
        return len(self._clients)

    def release(self) -> None:
        """Close each client as soon as it has everything."""
        self._releasing = True
        for client in self._clients[:]:
            client.leave()

    def drop(self, *, socket_stays: bool = False) -> None:
        """Close every client now. ``socket_stays``: somebody else still talks to it, so do not shut it down."""
        for client in self._clients[:]:
            client.close(shut=not socket_stays)

    def close(self) -> None:
        """Close the log. Whoever has clients has no business to call this."""
        self._log = None

    def forget(self) -> None:
        """Nobody is to be told anything any more."""
        self._changed = self._detached = None

    # what a source calls

    def source_ended(self) -> None:
        """One descriptor has reached its end."""
        if self._ended is not None and self._quiet():
            ended, self._ended = self._ended, None
            ended()

    def _quiet(self) -> bool:
        return not any(isinstance(source, FdSource) and source.open for source in self._sources)

    # what a client calls

    def detached(self) -> None:
        """A client typed the keys."""
        if self._detached is not None:
            self._detached()

    def input_ended(self) -> None:
        """A client's input ended: the program's does where Docker says so. A terminal has no end of input."""
        if self._stdin_once and not self.terminal:
            self.input.end()

    def progressed(self) -> None:
        """A client has taken something."""
        if self._holding:
            self._hold()
        if self._changed is not None:
            self._changed()

    def closed(self, client: "Client") -> None:
        """A client has gone."""
        if client in self._clients:
            self._clients.remove(client)
        self.progressed()

    def _hold(self) -> None:
        wanted = any(client.full for client in self._clients)
        if wanted != self._holding:
            self._holding = wanted
            for source in self._sources:
                source.hold(wanted)

    def _roomy(self) -> None:
        for client in self._clients[:]:
            client.pump_input()
