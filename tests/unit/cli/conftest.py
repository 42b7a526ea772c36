"""A fake engine: answers over a unix socket what a test tells it to, and notes what it was asked."""

from __future__ import annotations

import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from proa.program import SITE


@dataclass
class Asked:
    """One request."""

    method: str
    path: str
    query: dict[str, str]
    body: Any
    sock: socket.socket
    taken: bool = False  # no further request comes on this connection

    def answer(self, status: int = 200, body: object = None, kind: str = "application/json") -> None:
        data = b"" if body is None else body if isinstance(body, bytes) else json.dumps(body).encode()
        head = f"HTTP/1.1 {status} X\r\nContent-Type: {kind}\r\nContent-Length: {len(data)}\r\n\r\n"
        self.sock.sendall(head.encode() + data)

    def begin(self, kind: str = "application/json") -> None:
        self.sock.sendall(f"HTTP/1.1 200 OK\r\nContent-Type: {kind}\r\nTransfer-Encoding: chunked\r\n\r\n".encode())

    def chunk(self, data: bytes) -> None:
        self.sock.sendall(b"%x\r\n%b\r\n" % (len(data), data))

    def upgrade(self, kind: str = "multiplexed") -> socket.socket:
        self.taken = True
        head = f"HTTP/1.1 101 UPGRADED\r\nContent-Type: application/vnd.docker.{kind}-stream\r\n"
        self.sock.sendall(head.encode() + b"Connection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
        return self.sock

    def hang_up(self) -> None:
        self.taken = True
        self.sock.shutdown(socket.SHUT_RDWR)


Handler = Callable[[Asked], None]


@dataclass
class FakeEngine:
    """``on[METHOD, path]`` answers a path below /v1.NN; what nobody answers is a 404."""

    path: str
    on: dict[tuple[str, str], Handler] = field(default_factory=dict)
    asked: list[Asked] = field(default_factory=list)
    body_max: int = 1 << 30  # a larger chunk is left unread

    def serve(self) -> None:
        self._listener = socket.socket(socket.AF_UNIX)
        self._listener.bind(self.path)
        self._listener.listen(50)
        self._threads = [threading.Thread(target=self._accept, daemon=True)]
        self._threads[0].start()

    def close(self) -> None:
        self._listener.shutdown(socket.SHUT_RDWR)
        self._listener.close()
        for thread in self._threads:
            thread.join(15)

    def _accept(self) -> None:
        while True:
            try:
                sock, _ = self._listener.accept()
            except OSError:
                return
            self._threads.append(threading.Thread(target=self._talk, args=(sock,), daemon=True))
            self._threads[-1].start()

    def _talk(self, sock: socket.socket) -> None:
        with sock, sock.makefile("rb") as stream:
            try:
                while asked := self._read(stream, sock):
                    self.asked.append(asked)
                    handler = self.on.get((asked.method, asked.path))
                    if handler:
                        handler(asked)
                    else:
                        asked.answer(404, {"message": f"page not found: {asked.path}"})
                    if asked.taken:
                        return
            except OSError:
                return  # the client has gone

    def _read(self, stream: Any, sock: socket.socket) -> Asked | None:
        first = stream.readline().decode().split()
        if not first:
            return None
        headers = {}
        while line := stream.readline().strip():
            name, _, value = line.decode().partition(":")
            headers[name.lower()] = value.strip()
        if headers.get("transfer-encoding") == "chunked":
            raw = b""
            while (size := int(stream.readline(), 16)) and size < self.body_max:
                raw += stream.read(size)
                stream.readline()
            if not size:
                stream.readline()
        else:
            raw = stream.read(int(headers.get("content-length", 0)))
        body = json.loads(raw) if "json" in headers.get("content-type", "") else raw
        parts = urlsplit(first[1])
        path = parts.path.removeprefix("/v1.45")
        return Asked(first[0], path, {key: each[-1] for key, each in parse_qs(parts.query).items()}, body, sock)

    def queries(self, method: str, path: str) -> list[dict[str, str]]:
        return [each.query for each in self.asked if (each.method, each.path) == (method, path)]


@pytest.fixture
def fake() -> Iterator[FakeEngine]:
    folder = tempfile.mkdtemp(prefix="proa-fake-")
    engine = FakeEngine(folder + "/engine.sock")
    engine.serve()
    yield engine
    engine.close()
    shutil.rmtree(folder)


class Cli:
    """Runs the command line in a process of its own, started as the launcher starts it."""

    def __init__(self, host: str) -> None:
        self.host = host
        self.running: list[subprocess.Popen[bytes]] = []

    def argv(self, *args: str, after: str = "main()") -> list[str]:
        code = f"import sys; sys.path.append({SITE!r}); from proa.cli.main import main, run; {after}"
        return [sys.executable, "-I", "-S", "-X", "utf8", "-c", code, *args]

    def __call__(self, *args: str, **options: Any) -> subprocess.CompletedProcess[bytes]:
        return subprocess.run(self.argv(*args), **{**self.options(), "timeout": 20, **options})

    def start(self, *args: str, **options: Any) -> subprocess.Popen[bytes]:
        self.running.append(subprocess.Popen(self.argv(*args), **{**self.options(), **options}))
        return self.running[-1]

    def close(self) -> None:
        for process in self.running:
            with process:  # closes its pipes
                process.kill()

    def options(self) -> dict[str, Any]:
        env = {**os.environ, "PROA_HOST": f"unix://{self.host}"}
        pipe = subprocess.PIPE
        return {"env": env, "stdin": subprocess.DEVNULL, "stdout": pipe, "stderr": pipe}


@pytest.fixture
def cli(fake: FakeEngine) -> Iterator[Cli]:
    cli = Cli(fake.path)
    yield cli
    cli.close()
