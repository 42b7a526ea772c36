"""HTTP/1.1 over a unix socket, by hand: the light path of every command (DESIGN: "Import budget").

    connection = Connection("/run/proa/engine.sock")
    response = connection.request("GET", target("/containers/json", all=1))
    for piece in response.pieces(): ...

One connection carries one request at a time. A body that was read to its end leaves the connection usable. An engine
that goes away is ``EngineGone`` with code ``engine-closed``.
"""

import _socket
import posix

from .. import NAME, jsontext
from ..errors import EngineGone, Internal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping
    from typing import Any

API = "/v1.45"
RECEIVE = 1 << 16
BODY_MAX = 256 << 20
_HEAD_MAX = 1 << 16
_PLAIN = frozenset(b"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-._~/:")


def quote(text: str) -> str:
    """``text`` with every byte that a path or query may not hold percent-encoded; ``/`` and ``:`` stay."""
    data = text.encode("utf-8", "surrogateescape")
    return "".join(chr(byte) if byte in _PLAIN else f"%{byte:02X}" for byte in data)


def target(path: str, **query: "str | int | bool | None") -> str:
    """The request target of API ``path``; a value that is None or False is left out, True is sent as 1."""
    pairs = [
        f"{key}={quote(str(1 if value is True else value))}"
        for key, value in query.items()
        if value is not None and value is not False
    ]
    return API + path + ("?" + "&".join(pairs) if pairs else "")


def own(path: str) -> str:
    """The request target of what Docker's API lacks."""
    return f"/{NAME}/v1{path}"


def closed(problem: "Exception | None" = None) -> EngineGone:
    """The engine went away in the middle of a request."""
    reason = f": {problem}" if problem else ""
    return EngineGone(f"the engine closed the connection{reason}", code="engine-closed")


class Connection:
    """One connection to the engine's socket. ``sock`` belongs to the caller after ``hijack``."""

    __slots__ = ("_buffer", "sock")

    def __init__(self, path: str) -> None:
        """Raises OSError: nobody listens at ``path``."""
        self.sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_STREAM)
        self._buffer = b""
        try:
            self.sock.connect(path)
        except BaseException:
            self.sock.close()
            raise

    def close(self) -> None:
        """Hang up."""
        self.sock.close()

    def send(self, method: str, target: str, body: "Any" = None, headers: "Mapping[str, str] | None" = None) -> None:
        """Send one request; ``body`` is JSON unless it is None or bytes. Raises EngineGone."""
        lines = [f"{method} {target} HTTP/1.1", "Host: docker"]
        lines += [f"{key}: {value}" for key, value in (headers or {}).items()]
        data = b""
        if body is not None:
            data = body if isinstance(body, bytes) else jsontext.dumps(body)
            lines.append("Content-Type: application/json")
        if method != "GET" and not (headers and "Transfer-Encoding" in headers):
            lines.append(f"Content-Length: {len(data)}")
        head = "\r\n".join(lines) + "\r\n\r\n"
        self.write(head.encode("ascii") + data)

    def write(self, data: bytes) -> None:
        """Send ``data`` whole. Raises EngineGone."""
        try:
            self.sock.sendall(data, _socket.MSG_NOSIGNAL)
        except OSError as problem:
            raise closed(problem) from problem

    def send_file(
        self, method: str, target: str, fd: int, content_type: str, told: "Callable[[int], None] | None" = None
    ) -> None:
        """Send a request whose body is all that ``fd`` gives, chunked. An engine that answers early ends it.
        ``told`` hears of each piece's size once it is sent."""
        self.send(method, target, None, {"Content-Type": content_type, "Transfer-Encoding": "chunked"})
        try:
            while data := posix.read(fd, 1 << 20):
                self.sock.sendall(b"%x\r\n%b\r\n" % (len(data), data), _socket.MSG_NOSIGNAL)
                if told is not None:
                    told(len(data))
            self.sock.sendall(b"0\r\n\r\n", _socket.MSG_NOSIGNAL)
        except (BrokenPipeError, ConnectionResetError):
            pass  # the engine has refused: its answer says why

    def receive(self) -> bytes:
        """More bytes, at least one, or b"" at the end."""
        if self._buffer:
            data, self._buffer = self._buffer, b""
            return data
        try:
            return self.sock.recv(RECEIVE)
        except OSError as problem:
            raise closed(problem) from problem

    @property
    def buffered(self) -> bool:
        """Whether ``receive`` has something without reading the socket."""
        return bool(self._buffer)

    def unreceive(self, data: bytes) -> None:
        """Give back bytes that belong to what follows."""
        self._buffer = data + self._buffer

    def line(self) -> bytes:
        """One line without its end. Raises EngineGone, Internal for one that is too long."""
        return self._until(b"\r\n")

    def response(self, method: str) -> "Response":
        """The head of the answer to a ``method`` request. Raises EngineGone."""
        while True:
            response = Response(self, self._until(b"\r\n\r\n"), method)
            if response.status != 100:
                return response

    def request(self, method: str, target: str, body: "Any" = None) -> "Response":
        """``send`` and ``response``."""
        self.send(method, target, body)
        return self.response(method)

    def _until(self, mark: bytes) -> bytes:
        data = b""
        while mark not in data:
            if len(data) > _HEAD_MAX:
                raise Internal("the engine's answer is not HTTP", code="bad-answer")
            more = self.receive()
            if not more:
                raise closed()
            data += more
        head, _, rest = data.partition(mark)
        self.unreceive(rest)
        return head


class Response:
    """Status and headers (names in lower case) of an answer; its body is read from the connection once."""

    __slots__ = ("_connection", "_empty", "headers", "status")

    def __init__(self, connection: Connection, head: bytes, method: str) -> None:
        first, _, rest = head.decode("latin-1").partition("\r\n")
        words = first.split(" ", 2)
        if len(words) < 2 or not words[0].startswith("HTTP/1.") or not words[1].isdigit():
            raise Internal("the engine's answer is not HTTP", code="bad-answer")
        self.status = int(words[1])
        self.headers = {}
        for line in rest.split("\r\n"):
            name, _, value = line.partition(":")
            self.headers[name.strip().lower()] = value.strip()
        self._connection = connection
        self._empty = method == "HEAD" or self.status in (101, 204, 304)

    @property
    def keeps(self) -> bool:
        """Whether the connection can carry another request once the body has been read."""
        return self.headers.get("connection", "").lower() != "close" and (
            self._empty or "content-length" in self.headers or self._chunked
        )

    @property
    def _chunked(self) -> bool:
        return self.headers.get("transfer-encoding", "").lower() == "chunked"

    def pieces(self) -> "Iterator[bytes]":
        """The body in pieces, as they come. Raises EngineGone when it breaks off."""
        if self._empty:
            return
        if self._chunked:
            yield from self._chunks()
        elif "content-length" in self.headers:
            yield from self._exactly(int(self.headers["content-length"]))
        else:
            while data := self._connection.receive():
                yield data

    def read(self) -> bytes:
        """The whole body. Raises EngineGone, Internal when it is larger than ``BODY_MAX``."""
        pieces, size = [], 0
        for piece in self.pieces():
            size += len(piece)
            if size > BODY_MAX:
                raise Internal("the engine's answer is too large", code="bad-answer")
            pieces.append(piece)
        return b"".join(pieces)

    def lines(self) -> "Iterator[bytes]":
        """The body's lines, without their ends, as they come; empty ones are left out."""
        rest = b""
        for piece in self.pieces():
            rest += piece
            *whole, rest = rest.split(b"\n")
            for line in whole:
                if line.strip():
                    yield line.rstrip(b"\r")
        if rest.strip():
            yield rest.rstrip(b"\r")

    def _exactly(self, left: int) -> "Iterator[bytes]":
        while left:
            data = self._connection.receive()
            if not data:
                raise closed()
            if len(data) > left:
                self._connection.unreceive(data[left:])
                data = data[:left]
            left -= len(data)
            yield data

    def _chunks(self) -> "Iterator[bytes]":
        while True:
            try:
                size = int(self._connection.line().partition(b";")[0], 16)
            except ValueError as problem:
                raise Internal("the engine's answer is not HTTP", code="bad-answer") from problem
            if not size:
                while self._connection.line():
                    pass
                return
            yield from self._exactly(size)
            self._connection.line()
