"""The engine's end of a connection to a shim or a spawner, in asyncio: requests with replies, and what comes unasked.

No threads and no waiting for writability in the common case: messages are small and the other end reads.
"""

from __future__ import annotations

import asyncio
import os
import socket
from collections import deque
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

from . import messages

if TYPE_CHECKING:
    from .messages import Message

    OnMessage = Callable[[Message], None]
    OnReply = Callable[[Message], None]


class Link:
    """``on_message`` gets each unasked message, ``on_gone`` is called once when the other end has closed or died."""

    def __init__(self, sock: socket.socket, on_message: OnMessage, on_gone: Callable[[], None]) -> None:
        sock.setblocking(False)
        self._socket = sock
        self._on_message = on_message
        self._on_gone = on_gone
        self._loop = asyncio.get_running_loop()
        self._serial = 0
        self._pending: dict[int, tuple[asyncio.Future[Message], OnReply | None]] = {}
        self._unsent: deque[tuple[Message, list[int]]] = deque()
        self._open = True
        self.gone = asyncio.Event()
        self._loop.add_reader(sock.fileno(), self._readable)

    def send(self, message: Message, fds: Sequence[int] = ()) -> None:
        """Send one message; ``fds`` stay the caller's. Raises Gone."""
        if not self._open:
            raise messages.Gone
        if not self._unsent:
            try:
                messages.send(self._socket, message, fds)
                return
            except BlockingIOError:
                self._loop.add_writer(self._socket.fileno(), self._writable)
        self._unsent.append((message, [os.dup(fd) for fd in fds]))

    async def request(
        self, op: str, fds: Sequence[int] = (), *, on_reply: OnReply | None = None, **fields: Any
    ) -> Message:
        """Send ``op`` and wait for its reply, which may hold ``error``. Raises Gone.

        ``on_reply`` gets a reply without error at once, before any message that came behind it.
        """
        self._serial += 1
        n = self._serial
        future: asyncio.Future[Message] = self._loop.create_future()
        self._pending[n] = (future, on_reply)
        try:
            self.send({"op": op, "n": n, **fields}, fds)
            return await future
        finally:
            self._pending.pop(n, None)

    def close(self) -> None:
        """Hang up. Whoever waits for a reply gets Gone."""
        if not self._open:
            return
        self._open = False
        self._loop.remove_reader(self._socket.fileno())
        self._loop.remove_writer(self._socket.fileno())
        self._socket.close()
        for _, fds in self._unsent:
            _close(fds)
        self._unsent.clear()
        for future, _ in self._pending.values():
            if not future.done():
                future.set_exception(messages.Gone())
                future.exception()  # retrieved: its waiter may have gone
        self.gone.set()

    def _readable(self) -> None:
        while self._open:
            try:
                message, fds = messages.receive(self._socket)
            except BlockingIOError:
                return
            except (messages.Gone, OSError):
                self.close()
                self._on_gone()
                return
            except ValueError:
                continue
            if fds:
                message["fds"] = fds  # only a spawner sends any
            self._dispatch(message)

    def _dispatch(self, message: Message) -> None:
        if message.get("op") != "reply":
            self._on_message(message)
            return
        future, on_reply = self._pending.get(message.get("n", 0), (None, None))
        if on_reply is not None and "error" not in message:
            on_reply(message)
        if future is not None and not future.done():
            future.set_result(message)

    def _writable(self) -> None:
        while self._unsent:
            message, fds = self._unsent[0]
            try:
                messages.send(self._socket, message, fds)
            except BlockingIOError:
                return
            except (messages.Gone, OSError):
                self.close()
                self._on_gone()
                return
            self._unsent.popleft()
            _close(fds)
        self._loop.remove_writer(self._socket.fileno())


def pair() -> tuple[socket.socket, socket.socket]:
    """Two connected SEQPACKET ends."""
    return socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)


def connect(path: str) -> socket.socket:
    """A connection to a shim's socket. Raises OSError: nobody listens there."""
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_SEQPACKET)
    sock.setblocking(False)  # connect(2) to a unix socket answers at once: done, refused, or EAGAIN for a full backlog
    try:
        sock.connect(path)
    except OSError:
        sock.close()
        raise
    return sock


def _close(fds: Sequence[int]) -> None:
    for fd in fds:
        os.close(fd)
