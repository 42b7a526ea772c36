"""One engine's connection to a shim: messages in, replies and unasked messages out, never blocking.

An engine that does not read (stopped, or dying) is given up on once ``BACKLOG`` messages wait for it: the exit file is
the truth, a message is a hint.
"""

import _socket
import os

from . import loop as loops
from . import messages

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .loop import Loop
    from .messages import Message

    Handle = Callable[["Connection", Message, list[int]], None]
    Closed = Callable[["Connection"], None]

BACKLOG = 1000


class Connection:
    """``handle`` gets each message with its descriptors, which are the handler's; ``closed`` is called once."""

    __slots__ = ("_backlog", "_closed", "_handle", "_loop", "_socket")

    def __init__(self, loop: "Loop", sock: _socket.socket, handle: "Handle", closed: "Closed") -> None:
        sock.setblocking(False)
        self._loop = loop
        self._socket = sock
        self._handle: "Handle | None" = handle
        self._closed: "Closed | None" = closed
        self._backlog: "list[Message]" = []
        loop.add(sock.fileno(), self._on_event)

    def send(self, message: "Message") -> None:
        """Send, or keep for when there is room."""
        if self._handle is None:
            return
        self._backlog.append(message)
        if len(self._backlog) == 1:
            self._flush()
        elif len(self._backlog) > BACKLOG:
            self.close()

    def give(self, message: "Message", fds: "list[int]") -> bool:
        """Send with descriptors, which stay the caller's, at once or not at all. Whether it was sent."""
        if self._handle is None or self._backlog:
            return False
        try:
            messages.send(self._socket, message, fds)
        except (messages.Gone, OSError):
            return False
        return True

    def close(self) -> None:
        """Hang up. What could not be sent is lost."""
        closed, self._closed, self._handle = self._closed, None, None
        if closed is None:
            return
        self._loop.remove(self._socket.fileno())
        self._socket.close()
        self._backlog.clear()
        closed(self)

    def _on_event(self, events: int) -> None:
        if events & loops.OUT:
            self._flush()
        if events & ~loops.OUT:
            self._read()

    def _read(self) -> None:
        """One message a call: handlers may close anything."""
        if self._handle is None:
            return
        try:
            message, fds = messages.receive(self._socket)
        except BlockingIOError:
            return
        except (messages.Gone, OSError):
            self.close()
            return
        except ValueError:
            return  # not a message; its descriptors are closed
        self._handle(self, message, fds)

    def _flush(self) -> None:
        while self._backlog:
            try:
                messages.send(self._socket, self._backlog[0])
            except BlockingIOError:
                self._loop.change(self._socket.fileno(), loops.IN | loops.OUT)
                return
            except (messages.Gone, OSError):
                self.close()
                return
            if self._backlog:
                self._backlog.pop(0)
        if self._handle is not None:
            self._loop.change(self._socket.fileno(), loops.IN)


def listen(path: str) -> _socket.socket:
    """A listening SEQPACKET socket, mode 0600, made anew where a dead shim left one. Raises OSError."""
    sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_NONBLOCK | _socket.SOCK_CLOEXEC)
    old = os.umask(0o177)
    try:
        try:
            sock.bind(path)
        except OSError:
            os.unlink(path)
            sock.bind(path)
        sock.listen(8)
    except OSError:
        sock.close()
        raise
    finally:
        os.umask(old)
    return sock


def identity(path: str) -> int:
    """Inode of the socket at ``path``, 0 if there is none."""
    try:
        return os.stat(path).st_ino
    except FileNotFoundError:
        return 0


def accept(sock: _socket.socket) -> "_socket.socket | None":
    """The next connection, None when there is none (any more)."""
    try:
        fd, _ = sock._accept()  # type: ignore[attr-defined]  # _socket's own; socket.accept wraps just this
    except OSError:
        return None
    return _socket.socket(fileno=fd)
