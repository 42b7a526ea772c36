"""HTTP by hand: heads, bodies in any pieces, what is not HTTP, an engine that goes away."""

from __future__ import annotations

import socket
import threading
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as some

from proa.client.engine import failure
from proa.client.host import choose
from proa.client.wire import Connection, Response, own, quote, target
from proa.errors import Conflict, EngineGone, HostCannot, Internal, InvalidRequest, NotFound


@pytest.fixture
def pair() -> Iterator[tuple[Connection, socket.socket]]:
    """A connection and the engine's end of it."""
    ours, theirs = socket.socketpair()
    connection = Connection.__new__(Connection)
    connection.sock = ours
    connection._buffer = b""
    yield connection, theirs
    ours.close()
    theirs.close()


def test_target() -> None:
    assert target("/x", a=1, b=None, c=False, d=True, e="ü &=") == "/v1.45/x?a=1&d=1&e=%C3%BC%20%26%3D"
    assert target("/x", t=0) == "/v1.45/x?t=0"
    assert own("/engine") == "/proa/v1/engine"
    assert quote("h:5/a b\udcff") == "h:5/a%20b%FF"


def test_request_as_it_is_sent(pair: Any) -> None:
    connection, engine = pair
    connection.send("POST", "/x", {"a": 1})
    assert engine.recv(1000) == (
        b'POST /x HTTP/1.1\r\nHost: docker\r\nContent-Type: application/json\r\nContent-Length: 7\r\n\r\n{"a":1}'
    )
    connection.send("GET", "/y")
    assert engine.recv(1000) == b"GET /y HTTP/1.1\r\nHost: docker\r\n\r\n"


CHUNKED = (
    b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n3\r\nabc\r\n10;x=y\r\n0123456789abcdef\r\n0\r\nT: x\r\n\r\n"
)


@given(some.lists(some.integers(1, 40), max_size=12))
def test_chunks_in_any_pieces(cuts: list[int]) -> None:
    connection = Connection.__new__(Connection)
    connection._buffer = b""
    ours, theirs = socket.socketpair()
    with ours, theirs:
        connection.sock = ours
        data = CHUNKED + b"HTTP/1.1 204 No\r\n\r\n"

        def feed() -> None:
            rest = data
            for cut in cuts:
                theirs.sendall(rest[:cut])
                rest = rest[cut:]
            theirs.sendall(rest)

        thread = threading.Thread(target=feed)
        thread.start()
        response = connection.response("GET")
        assert response.read() == b"abc0123456789abcdef"
        assert response.keeps
        assert connection.response("GET").status == 204
        thread.join()


def test_pieces_come_as_they_are_sent(pair: Any) -> None:
    connection, engine = pair
    engine.sendall(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n64\r\nhalf a chunk")
    assert next(iter(connection.response("GET").pieces())) == b"half a chunk"


def test_bodies(pair: Any) -> None:
    connection, engine = pair
    engine.sendall(
        b"HTTP/1.1 100 Continue\r\n\r\nHTTP/1.1 200 OK\r\nContent-Length: 3\r\n\r\nabcHTTP/1.1 304 X\r\n\r\n"
    )
    assert connection.response("GET").read() == b"abc"
    assert connection.response("POST").read() == b""
    engine.sendall(b"HTTP/1.1 200 OK\r\nConnection: close\r\n\r\nuntil the end")
    engine.close()
    response = connection.response("GET")
    assert not response.keeps
    assert response.read() == b"until the end"


def test_lines(pair: Any) -> None:
    connection, engine = pair
    engine.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 15\r\n\r\n{"a":1}\r\n\n{"b"}')
    assert list(connection.response("GET").lines()) == [b'{"a":1}', b'{"b"}']


@pytest.mark.parametrize(
    "data", [b"", b"HTTP/1.1 200", b"HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nabc", CHUNKED[:-30]]
)
def test_the_engine_goes_away(pair: Any, data: bytes) -> None:
    connection, engine = pair
    engine.sendall(data)
    engine.close()
    with pytest.raises(EngineGone):
        connection.response("GET").read()


@pytest.mark.parametrize(
    "data", [b"SSH-2.0-x\r\n\r\n", b"HTTP/1.1 abc\r\n\r\n", b"x" * 100_000, CHUNKED.replace(b"3\r", b"z\r")]
)
def test_not_http(pair: Any, data: bytes) -> None:
    connection, engine = pair
    engine.sendall(data)
    with pytest.raises(Internal):
        connection.response("GET").read()


def test_an_early_answer_ends_an_upload(pair: Any, tmp_path: Any) -> None:
    connection, engine = pair
    (tmp_path / "big").write_bytes(bytes(10_000_000))

    def refuse() -> None:
        engine.recv(1000)
        engine.sendall(b"HTTP/1.1 400 Bad\r\nContent-Length: 2\r\n\r\n{}")
        engine.close()

    thread = threading.Thread(target=refuse)
    thread.start()
    with open(tmp_path / "big", "rb") as file:
        connection.send_file("POST", "/x", file.fileno(), "application/x-tar")
    thread.join()
    assert connection.response("POST").read() == b"{}"


@pytest.mark.parametrize(
    ("status", "kind"),
    [(400, InvalidRequest), (404, NotFound), (409, Conflict), (501, HostCannot), (503, EngineGone), (500, Internal)],
)
def test_failure(status: int, kind: type[Exception]) -> None:
    problem = failure(status, b'{"message":"what","code":"c","input":"i","next":"n"}')
    assert type(problem) is kind
    assert (problem.what, problem.code, problem.input, problem.next_step) == ("what", "c", "i", "n")
    assert failure(status, b"plain text\n").what == "plain text"
    assert failure(status, b"").what == f"the engine answered with status {status}"
    assert failure(status, b"[1]").what == "[1]"


def test_headers() -> None:
    response = Response(None, b"HTTP/1.1 200 OK\r\nA-b:  c:d \r\nX", "GET")  # type: ignore[arg-type]
    assert response.headers["a-b"] == "c:d"


def test_host(tmp_path: Any) -> None:
    environ = {b"PROA_HOST": b"unix:///a/b.sock", b"PROA_ROOT": str(tmp_path).encode()}
    host = choose(environ=environ)
    assert (host.socket, host.startable, host.url) == ("/a/b.sock", False, "unix:///a/b.sock")
    host = choose(root=str(tmp_path), environ=environ)
    assert (host.socket, host.startable) == (f"{tmp_path}/run/engine.sock", True)
    assert choose(f"unix://{tmp_path}/run/engine.sock", environ=environ).startable
    for wrong in ("tcp://1.2.3.4:5", "unix://relative", "/plain", "unix://"):
        with pytest.raises(InvalidRequest):
            choose(wrong, environ={})
    with pytest.raises(InvalidRequest, match="socket path too long"):
        choose(root="/" + "x" * 120, environ={})
