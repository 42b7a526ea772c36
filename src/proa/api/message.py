"""What a handler is given and what it answers: values of HTTP, no I/O of their own.

Reply       a whole answer
Stream      head at once, then pieces as they come; the handler is cancelled when the client goes
Hijack      the head, then the socket itself is given away
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Awaitable, Callable, Mapping
from typing import NamedTuple, Protocol

from ..dockerapi import frames
from ..dockerapi.decode import encode
from ..errors import InvalidRequest

JSON = "application/json"
BODY_MAX = 8 << 20
_FALSE = frozenset({"", "0", "no", "false", "none"})


class Reply(NamedTuple):
    """``body`` is what goes over the wire; an empty one has no Content-Type."""

    status: int
    body: bytes = b""
    content_type: str = ""
    headers: tuple[tuple[str, str], ...] = ()


class Stream(NamedTuple):
    """``pieces`` are sent as they come, each flushed; ``content_type`` may be empty."""

    pieces: AsyncIterator[bytes]
    content_type: str = JSON
    status: int = 200


class Hijack(NamedTuple):
    """``take(fd, early)``: the socket (the callee's to close) and what the client sent behind its head."""

    take: Callable[[int, bytes], Awaitable[None]]
    content_type: str
    mux: bool = False

    def refusal(self, text: str) -> bytes:
        """What the client sees instead of a stream."""
        data = text.encode("utf-8", "replace") + b"\r\n"
        return frames.pack(frames.SYSTEM_ERROR, data) if self.mux else data


def json_reply(value: object, status: int = 200) -> Reply:
    """``value`` as JSON, one line as dockerd writes it."""
    return Reply(status, encode(value) + b"\n", JSON)


class Body(Protocol):
    """The body of a request, read once, as a whole or in pieces."""

    def chunks(self) -> AsyncIterator[bytes]:
        """The pieces as they arrive."""
        ...

    async def read(self, limit: int) -> bytes:
        """All of it. Raises InvalidRequest when it is larger than ``limit`` bytes."""
        ...


class Request:
    """One request. ``path`` is decoded and without the version, which is ``version``: (major, minor)."""

    __slots__ = ("body", "headers", "method", "name", "path", "query", "version")

    def __init__(
        self,
        method: str,
        path: str,
        version: tuple[int, int],
        query: Mapping[str, list[str]],
        headers: Mapping[bytes, bytes],
        body: Body,
    ) -> None:
        self.method = method
        self.path = path
        self.version = version
        self.query = query
        self.headers = headers
        self.body = body
        self.name = ""

    def text(self, key: str, default: str = "") -> str:
        """A query parameter, the first if it repeats."""
        values = self.query.get(key)
        return values[0] if values else default

    def flag(self, key: str, default: bool = False) -> bool:
        """A query parameter as dockerd reads booleans."""
        values = self.query.get(key)
        return values[0].strip().lower() not in _FALSE if values else default

    def seconds(self) -> int | None:
        """How long a stop may take, the parameter ``t``; None: the container's own time. Raises InvalidRequest."""
        return self.number("t", 0) if self.text("t") else None

    def number(self, key: str, default: int) -> int:
        """A query parameter as an integer. Raises InvalidRequest."""
        text = self.text(key)
        if not text:
            return default
        try:
            return int(text)
        except ValueError as problem:
            raise InvalidRequest(
                f"invalid value for {key}: {text!r}", code="invalid-parameter", input=text
            ) from problem

    def header(self, name: bytes) -> str:
        """A header (lower-case name), "" if it was not sent."""
        return self.headers.get(name, b"").decode("latin-1")

    async def json_body(self) -> bytes:
        """The whole body, which must be declared as JSON if there is one. Raises InvalidRequest."""
        data = await self.body.read(BODY_MAX)
        kind = self.header(b"content-type").partition(";")[0].strip().lower()
        if data and kind != JSON:
            raise InvalidRequest(
                f'unsupported Content-Type header ({kind or "none"}): must be "application/json"',
                code="invalid-content-type",
            )
        return data
