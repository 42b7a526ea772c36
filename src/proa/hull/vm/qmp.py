"""A small QMP client over an inherited socket (QEMU's docs/interop/qmp-spec.txt).

``request`` sends a command and calls back when its answer has been read by ``receive``, which never waits: so it lives
in an epoll loop. ``execute`` is the same for straight-line code, with a deadline.
"""

import _socket
import os
import select
import struct
import time

from ... import jsontext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Answer = dict[str, Any]
    """{"return": value} or {"error": {"class", "desc"}}."""

LINE_MAX = 4 << 20


class QmpError(Exception):
    """QEMU refused a command, or what it said is not QMP."""


class QmpGone(QmpError):
    """QEMU has closed the socket: it is gone."""


class QmpTimeout(QmpError):
    """QEMU has not answered in time."""


class Qmp:
    """Our end of a QMP socket. Owns ``fd``. Commands are negotiated first of all and answered in order.

    ``version``: QEMU's, as it says with its first words."""

    __slots__ = ("_buffer", "_event", "_waiting", "fd", "version")

    def __init__(self, fd: int, event: "Callable[[str, dict[str, Any]], None]") -> None:
        """``event(name, data)`` is called by ``receive`` for each event."""
        os.set_blocking(fd, False)
        self.fd = fd
        self._event = event
        self._buffer = bytearray()
        self._waiting: "list[Callable[[Answer], None]]" = []
        self.version = ""
        self.request("qmp_capabilities")

    def request(
        self, command: str, arguments: "dict[str, Any] | None" = None, done: "Callable[[Answer], None] | None" = None
    ) -> None:
        """Send a command; ``done(answer)`` is called when its answer comes. Raises QmpGone."""
        message: "dict[str, Any]" = {"execute": command}
        if arguments is not None:
            message["arguments"] = arguments
        self._waiting.append(done or _ignore)
        data = jsontext.dumps(message) + b"\n"
        try:
            count = os.write(self.fd, data)
        except OSError as problem:
            raise QmpGone("QEMU is gone") from problem
        if count != len(data):
            raise QmpError("QEMU reads no commands")

    def give(self, name: str, fd: int) -> None:
        """Hand a descriptor to QEMU under a name (getfd): what ``migrate`` wants."""
        data = jsontext.dumps({"execute": "getfd", "arguments": {"fdname": name}}) + b"\n"
        sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM, 0, self.fd)
        try:
            sock.sendmsg([data], [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack("i", fd))])
        finally:
            sock.detach()
        self._waiting.append(_ignore)

    def execute(self, command: str, arguments: "dict[str, Any] | None" = None, seconds: float = 30.0) -> "Any":
        """The ``return`` value of a command. Raises QmpError for an ``error``, QmpGone, QmpTimeout."""
        answers: "list[Answer]" = []
        self.request(command, arguments, answers.append)
        self.wait(lambda: bool(answers), seconds)
        return value(answers[0], command)

    def wait(self, ready: "Callable[[], bool]", seconds: float) -> None:
        """Receive until ``ready()``. Raises QmpTimeout, QmpGone."""
        deadline = time.monotonic() + seconds
        poll = select.poll()
        poll.register(self.fd, select.POLLIN)
        while not ready():
            left = deadline - time.monotonic()
            if left <= 0 or not poll.poll(left * 1000):
                raise QmpTimeout("QEMU did not answer in time")
            self.receive()

    def receive(self) -> None:
        """Take what has arrived: answers go to their requests, events to ``event``. Raises QmpError, QmpGone."""
        try:
            data = os.read(self.fd, 65536)
        except BlockingIOError:
            return
        except OSError as problem:
            raise QmpGone("QEMU is gone") from problem
        if not data:
            raise QmpGone("QEMU is gone")
        self._buffer += data
        if len(self._buffer) > LINE_MAX:
            raise QmpError("a message without end")
        *lines, rest = self._buffer.split(b"\n")
        self._buffer = bytearray(rest)
        for line in lines:
            self._dispatch(_parse(bytes(line)))

    def close(self) -> None:
        """Close the descriptor; QEMU goes on."""
        if self.fd >= 0:
            os.close(self.fd)
            self.fd = -1

    def _dispatch(self, message: "Answer") -> None:
        if "event" in message:
            self._event(str(message["event"]), message.get("data") or {})
        elif "QMP" in message:
            self.version = _version(message["QMP"])
        elif self._waiting:
            self._waiting.pop(0)(message)


def value(answer: "Answer", command: str) -> "Any":
    """The ``return`` value of an answer. Raises QmpError for an ``error``."""
    if "error" in answer:
        raise QmpError(f"{command}: {answer['error'].get('desc', 'refused')}")
    return answer.get("return")


def _version(greeting: "Any") -> str:
    try:
        numbers = greeting["version"]["qemu"]
        return f"{numbers['major']}.{numbers['minor']}.{numbers['micro']}"
    except (KeyError, TypeError):
        return ""


def _ignore(_answer: "Answer") -> None:
    pass


def _parse(line: bytes) -> "Answer":
    try:
        message = jsontext.loads(line)
    except ValueError as problem:
        raise QmpError("not JSON") from problem
    if not isinstance(message, dict):
        raise QmpError("not an object")
    return message
