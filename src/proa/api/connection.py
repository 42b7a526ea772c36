"""One client's connection: HTTP/1.1 by h11 on an asyncio transport, with Docker's hijack.

Bytes are fed to the parser only when it asks for more, so what a client sends behind a hijacked head is kept apart and
goes along with the socket. Reading pauses when too much waits. A client that goes away cancels streams, never a
request that changes something.
"""

from __future__ import annotations

import asyncio
import os
import sys
import traceback
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress

import h11

from ..dockerapi.decode import encode
from ..errors import InvalidRequest, ProaError
from .message import JSON, Hijack, Reply, Request, Stream

HEAD_MAX = 256 << 10
WAITING_MAX = 256 << 10
DRAIN_SECONDS = 30

REASONS = {
    200: b"OK",
    201: b"Created",
    204: b"No Content",
    304: b"Not Modified",
    400: b"Bad Request",
    403: b"Forbidden",
    404: b"Not Found",
    409: b"Conflict",
    431: b"Request Header Fields Too Large",
    500: b"Internal Server Error",
    501: b"Not Implemented",
    503: b"Service Unavailable",
}

Answer = Reply | Stream | Hijack
Respond = Callable[[h11.Request, "Body"], Awaitable[tuple[Answer, Request | None]]]
Header = tuple[bytes, bytes]


class ClientGone(Exception):
    """The client closed its connection before its request was whole."""


class Body:
    """The body of the request at hand."""

    def __init__(self, connection: Connection) -> None:
        self._connection = connection

    async def chunks(self) -> AsyncIterator[bytes]:
        """The body in pieces as they arrive. Raises ClientGone when it does not end."""
        await self._connection.welcome()
        while True:
            event = await self._connection.event()
            if isinstance(event, h11.Data):
                yield bytes(event.data)
            else:
                return

    async def read(self, limit: int) -> bytes:
        """All of it. Raises InvalidRequest (``body-too-large``)."""
        parts, size = [], 0
        async for chunk in self.chunks():
            size += len(chunk)
            if size > limit:
                raise InvalidRequest(f"request body is larger than {limit} bytes", code="body-too-large")
            parts.append(chunk)
        return b"".join(parts)


class Connection(asyncio.Protocol):
    """See the module's docstring. ``respond`` turns a head and a body into an answer; ``headers`` go with each."""

    def __init__(self, respond: Respond, headers: bytes, connections: set[Connection]) -> None:
        self._respond = respond
        self._common = b"\r\n" + headers
        self._connections = connections
        self._http = h11.Connection(h11.SERVER, max_incomplete_event_size=HEAD_MAX)
        self._chunks: list[bytes] = []
        self._waiting = 0
        self._paused = False
        self._ended = False
        self._more: asyncio.Future[None] | None = None
        self._writable: asyncio.Future[None] | None = None
        self._streaming = False
        self._transport: asyncio.Transport
        self._task: asyncio.Task[None]

    # the transport's side

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport
        self._connections.add(self)
        self._task = asyncio.get_running_loop().create_task(self._serve())

    def data_received(self, data: bytes) -> None:
        self._chunks.append(data)
        self._waiting += len(data)
        if self._waiting > WAITING_MAX and not self._paused:
            self._paused = True
            self._transport.pause_reading()
        self._wake()

    def eof_received(self) -> bool:
        self._ended = True
        self._wake()
        if self._streaming:
            self._task.cancel()
        return True

    def connection_lost(self, exc: Exception | None) -> None:
        self._connections.discard(self)
        self._ended = True
        self._wake()
        if self._writable is not None and not self._writable.done():
            self._writable.set_exception(ClientGone())
        if self._streaming:
            self._task.cancel()

    def pause_writing(self) -> None:
        self._writable = asyncio.get_running_loop().create_future()

    def resume_writing(self) -> None:
        if self._writable is not None and not self._writable.done():
            self._writable.set_result(None)
        self._writable = None

    def _wake(self) -> None:
        if self._more is not None and not self._more.done():
            self._more.set_result(None)

    # the parser's side

    async def event(self) -> h11.Event | type[h11.PAUSED]:
        """The next HTTP event. Raises ClientGone, h11.RemoteProtocolError."""
        while True:
            event = self._http.next_event()
            if event is h11.NEED_DATA:
                await self._feed()
            elif isinstance(event, h11.ConnectionClosed):
                raise ClientGone
            else:
                return event  # type: ignore[return-value]

    async def _feed(self) -> None:
        while not self._chunks:
            if self._ended:
                try:
                    self._http.receive_data(b"")
                except RuntimeError as problem:  # told twice: h11 has already reported the end
                    raise ClientGone from problem
                return
            self._more = asyncio.get_running_loop().create_future()
            await self._more
        data = b"".join(self._chunks)
        self._chunks.clear()
        self._waiting = 0
        if self._paused:
            self._paused = False
            self._transport.resume_reading()
        self._http.receive_data(data)

    async def welcome(self) -> None:
        """Tell a client that sent ``Expect: 100-continue`` to go on."""
        if self._http.they_are_waiting_for_100_continue:
            self._write(self._http.send(h11.InformationalResponse(status_code=100, headers=[])))

    # the story of a connection

    async def _serve(self) -> None:
        try:
            while await self._serve_one():
                pass
        except (ClientGone, ConnectionError):
            pass
        except h11.RemoteProtocolError as problem:
            self._refuse(problem)
        except Exception:  # a bug of ours costs one connection, never the engine
            traceback.print_exc(file=sys.stderr)
        finally:
            self._transport.close()

    async def _serve_one(self) -> bool:
        """One request; whether another may follow."""
        head = await self.event()
        if not isinstance(head, h11.Request):
            return False
        answer, request = await self._respond(head, Body(self))
        if isinstance(answer, Hijack):
            assert request is not None
            await self._hijack(answer, request)
            return False
        if isinstance(answer, Stream):
            await self._stream(answer)
        else:
            await self._reply(answer, bodiless=head.method == b"HEAD")
        return await self._rest()

    async def _rest(self) -> bool:
        """Read what is left of the body and throw it away; whether the connection can be used again.

        A client that is still sending would lose our answer if we closed under it: unix(7), ECONNRESET.
        """
        if self._http.their_state is h11.SEND_BODY and not self._http.they_are_waiting_for_100_continue:
            with suppress(TimeoutError):
                async with asyncio.timeout(DRAIN_SECONDS):
                    await self._drop_body()
        if self._http.their_state is not h11.DONE or self._http.our_state is not h11.DONE:
            return False
        self._http.start_next_cycle()
        return True

    async def _drop_body(self) -> None:
        while self._http.their_state is h11.SEND_BODY:
            await self.event()

    def _write(self, data: bytes | None) -> None:
        if data:
            self._transport.write(data)

    async def _drain(self) -> None:
        if self._writable is not None:
            await self._writable
        if self._transport.is_closing():
            raise ClientGone

    def _head(self, status: int, content_type: str, extra: list[Header]) -> bytes:
        if content_type:
            extra.append((b"Content-Type", content_type.encode("latin-1")))
        head = h11.Response(status_code=status, headers=extra, reason=REASONS.get(status, b""))
        # what is the same in every answer goes behind the status line as it is: checking it each time costs 0.1 ms
        return (self._http.send(head) or b"").replace(b"\r\n", self._common, 1)

    async def _reply(self, reply: Reply, *, bodiless: bool) -> None:
        extra = [(name.encode("latin-1"), value.encode("latin-1")) for name, value in reply.headers]
        if reply.status in (204, 304):
            bodiless = True
        else:
            extra.append((b"Content-Length", b"%d" % len(reply.body)))
        data = self._head(reply.status, reply.content_type, extra)
        if reply.body and not bodiless:
            data += self._http.send(h11.Data(data=reply.body)) or b""
        data += self._http.send(h11.EndOfMessage()) or b""
        self._write(data)
        await self._drain()

    async def _stream(self, stream: Stream) -> None:
        self._write(self._head(stream.status, stream.content_type, []))
        self._streaming = True
        try:
            if self._ended:
                raise ClientGone
            async for piece in stream.pieces:
                if piece:
                    self._write(self._http.send(h11.Data(data=piece)))
                    await self._drain()
        except asyncio.CancelledError as problem:
            if self._ended:
                raise ClientGone from problem
            raise
        except ProaError as problem:
            body = {"errorDetail": {"message": problem.what}, "error": problem.what}
            self._write(self._http.send(h11.Data(data=encode(body) + b"\r\n")))
        finally:
            self._streaming = False
            close = getattr(stream.pieces, "aclose", None)
            if close is not None:
                await close()
        self._write(self._http.send(h11.EndOfMessage()))
        await self._drain()

    async def _hijack(self, hijack: Hijack, request: Request) -> None:
        """Answer the head alone, make sure that it is out, and give the socket away."""
        while self._http.their_state is h11.SEND_BODY:
            await self.event()
        if not self._paused and not self._ended and not self._transport.is_closing():
            self._transport.pause_reading()
        early = self._http.trailing_data[0] + b"".join(self._chunks)
        self._transport.write(_hijack_head(hijack.content_type, request))
        self._transport.set_write_buffer_limits(0)
        await self._drain()
        fd = os.dup(self._transport.get_extra_info("socket").fileno())
        try:
            await hijack.take(fd, bytes(early))
        except ProaError as problem:  # too late for a status: told where the stream would have been
            self._transport.write(hijack.refusal(problem.what))

    def _refuse(self, problem: h11.RemoteProtocolError) -> None:
        """A malformed request: 400 (431 for a head that is too long), then the connection ends."""
        if self._http.our_state not in (h11.IDLE, h11.SEND_RESPONSE):
            return
        body = encode({"message": f"malformed HTTP request: {problem}", "code": "malformed-request"}) + b"\n"
        head = self._head(
            problem.error_status_hint, JSON, [(b"Content-Length", b"%d" % len(body)), (b"Connection", b"close")]
        )
        self._write(head + (self._http.send(h11.Data(data=body)) or b""))

    # the server's side

    def stop(self) -> None:
        """End the connection: streams are cancelled, a request at work is finished."""
        self._ended = True
        self._wake()
        if self._streaming:
            self._task.cancel()

    async def stopped(self) -> None:
        """Wait until the connection has ended."""
        await asyncio.wait({self._task})


def _hijack_head(content_type: str, request: Request) -> bytes:
    kind = content_type.encode("latin-1")
    if b"upgrade" in request.headers:
        return b"HTTP/1.1 101 UPGRADED\r\nContent-Type: " + kind + b"\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n"
    return b"HTTP/1.1 200 OK\r\nContent-Type: " + kind + b"\r\n\r\n"
