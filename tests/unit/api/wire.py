"""A client that sees every byte: HTTP over the engine's socket, in the same loop as the server."""

from __future__ import annotations

import asyncio
import json
import socket
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from proa.api.server import Server
from proa.engine.service import bind
from proa.engine.wiring import Engine
from unit.engine.fakes import FakeHull, running

PATIENCE = 10.0


@dataclass
class Answer:
    """One answer, whole."""

    status: int
    reason: str
    headers: dict[str, str]
    body: bytes

    @property
    def json(self) -> Any:
        return json.loads(self.body)


class Client:
    """One connection."""

    def __init__(self, path: str, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self.path = path
        self.reader = reader
        self.writer = writer

    async def another(self) -> Client:
        """A second connection to the same server."""
        return await connect(self.path)

    def send(self, text: str | bytes) -> None:
        """Raw bytes."""
        self.writer.write(text if isinstance(text, bytes) else text.encode())

    def request(self, method: str, target: str, body: Any = None, *lines: str) -> None:
        """A request, with a JSON body if there is one."""
        data = b"" if body is None else json.dumps(body).encode()
        head = [f"{method} {target} HTTP/1.1", "Host: x", *lines]
        if body is not None:
            head += ["Content-Type: application/json", f"Content-Length: {len(data)}"]
        self.send("\r\n".join(head).encode() + b"\r\n\r\n" + data)

    async def head(self) -> Answer:
        """The head of an answer."""
        raw = await asyncio.wait_for(self.reader.readuntil(b"\r\n\r\n"), PATIENCE)
        first, *rest = raw.decode().rstrip().split("\r\n")
        _, status, *reason = first.split(" ", 2)
        headers = dict(line.split(": ", 1) for line in rest)
        return Answer(int(status), " ".join(reason), {key.lower(): value for key, value in headers.items()}, b"")

    async def chunk(self) -> bytes:
        """One chunk of a chunked body."""
        size = int(await asyncio.wait_for(self.reader.readline(), PATIENCE), 16)
        data = await self.reader.readexactly(size)
        await self.reader.readline()
        return data

    async def rest(self, answer: Answer) -> Answer:
        """The answer with its body."""
        if answer.headers.get("transfer-encoding") == "chunked":
            while chunk := await self.chunk():
                answer.body += chunk
        elif "content-length" in answer.headers:
            answer.body = await self.reader.readexactly(int(answer.headers["content-length"]))
        return answer

    async def call(self, method: str, target: str, body: Any = None, *lines: str) -> Answer:
        """Request and answer."""
        self.request(method, target, body, *lines)
        answer = await self.head()
        return answer if method == "HEAD" else await self.rest(answer)

    async def create(self, name: str = "", **fields: Any) -> str:
        """A container's id."""
        answer = await self.call("POST", f"/containers/create?name={name}", {"Image": "bb", **fields})
        assert answer.status == 201, answer
        return str(answer.json["Id"])

    async def close(self) -> None:
        self.writer.close()
        await asyncio.gather(self.writer.wait_closed(), return_exceptions=True)


async def connect(path: str) -> Client:
    """A client."""
    return Client(path, *await asyncio.open_unix_connection(path))


@asynccontextmanager
async def serving(root: Path) -> AsyncIterator[tuple[Client, Engine, FakeHull]]:
    """A server, its engine, its hull, a client."""
    async with running(root) as (engine, hull):
        server = Server(engine)
        path = f"{root}/s"
        sock: socket.socket = bind(path)
        await server.listen(sock)
        client = await connect(path + ".new")
        try:
            yield client, engine, hull
        finally:
            await client.close()
            await server.stop()


Story = Callable[[Client, Engine, FakeHull], Awaitable[None]]


def play(root: Path, story: Story) -> None:
    """Run a story against a server."""

    async def run() -> None:
        async with serving(root) as parts:
            await story(*parts)

    asyncio.run(asyncio.wait_for(run(), 30))
