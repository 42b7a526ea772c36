"""The API's server: connections on a listening unix socket, each request routed to its handler, errors as JSON."""

from __future__ import annotations

import asyncio
import socket
import sys
import traceback
from typing import TYPE_CHECKING
from urllib.parse import parse_qs, unquote

import h11

from .. import NAME, __version__
from ..engine.transitions import NotModified
from ..errors import ProaError
from . import containers, events, execs, images, later, networks, streams, system, versions
from .connection import Answer, Body, ClientGone, Connection
from .message import Reply, Request, json_reply
from .routes import Routes, split_version

if TYPE_CHECKING:
    from ..engine.wiring import Engine

HEADERS = (
    f"Api-Version: {versions.text(versions.NEWEST)}\r\n"
    "Docker-Experimental: false\r\n"
    "Ostype: linux\r\n"
    f"Server: {NAME.capitalize()}/{__version__} (linux)\r\n"
).encode("ascii")
STOP_SECONDS = 5
ROUTES = Routes(
    [
        *system.ROUTES,
        *containers.ROUTES,
        *streams.ROUTES,
        *execs.ROUTES,
        *images.ROUTES,
        *events.ROUTES,
        *networks.ROUTES,
        *later.ROUTES,
    ]
)


class Server:
    """Answers for one engine."""

    def __init__(self, engine: Engine) -> None:
        self._engine = engine
        self._connections: set[Connection] = set()
        self._server: asyncio.Server | None = None

    async def listen(self, sock: socket.socket) -> None:
        """Accept clients on ``sock`` from now on (the server's to close)."""
        loop = asyncio.get_running_loop()
        self._server = await loop.create_unix_server(
            lambda: Connection(self._respond, HEADERS, self._connections), sock=sock, backlog=1024
        )

    async def stop(self) -> None:
        """Accept no more; end streams; let requests at work finish for a few seconds."""
        if self._server is not None:
            self._server.close()
        connections = list(self._connections)
        for connection in connections:
            connection.stop()
        if connections:
            waits = [asyncio.ensure_future(connection.stopped()) for connection in connections]
            await asyncio.wait(waits, timeout=STOP_SECONDS)

    async def _respond(self, head: h11.Request, body: Body) -> tuple[Answer, Request | None]:
        request: Request | None = None
        try:
            request = decode(head, body)
            return await ROUTES.find(request)(self._engine, request), request
        except ProaError as problem:
            return json_reply(problem.to_json(), problem.status), request
        except NotModified:
            return Reply(304), request
        except (ClientGone, ConnectionError, h11.RemoteProtocolError):
            raise
        except OSError as problem:
            what = f"{problem.strerror or problem}: {problem.filename}" if problem.filename else str(problem)
            return json_reply({"message": what, "code": "os-error"}, 500), request
        except Exception as problem:  # a bug of ours must cost one answer, never the engine
            traceback.print_exc(file=sys.stderr)
            return json_reply({"message": f"internal error: {problem!r}", "code": "internal"}, 500), request


def decode(head: h11.Request, body: Body) -> Request:
    """A parsed head as a Request. Raises InvalidRequest for a version that is not spoken."""
    target = head.target.decode("latin-1")
    raw_path, _, raw_query = target.partition("?")
    version, path = split_version(unquote(raw_path))
    query = parse_qs(raw_query, keep_blank_values=True) if raw_query else {}
    return Request(head.method.decode("latin-1"), path, version, query, dict(head.headers), body)
