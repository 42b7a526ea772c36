"""HTTP itself: versions, errors, keep-alive, bodies, what is malformed."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from proa.engine.wiring import Engine
from unit.engine.fakes import FakeHull, fake_tar

from .wire import Client, play


def test_ping(tmp_path: Path) -> None:
    async def story(client: Client, engine: Engine, hull: FakeHull) -> None:
        for target in ("/_ping", "/v1.24/_ping"):
            head = await client.call("HEAD", target)
            got = await client.call("GET", target)
            assert (head.status, got.status, got.body) == (200, 200, b"OK")
            assert got.headers["api-version"] == "1.45"
            assert got.headers["ostype"] == "linux"
            assert got.headers["docker-experimental"] == "false"
            assert got.headers["builder-version"] == "2"
            assert got.headers["swarm"] == "inactive"
            assert got.headers["cache-control"] == "no-cache, no-store, must-revalidate"
            assert head.headers == got.headers

    play(tmp_path, story)


@pytest.mark.parametrize(
    ("target", "status", "message"),
    [
        ("/v9.99/info", 400, "client version 9.99 is too new. Maximum supported API version is 1.45"),
        ("/v1.23/info", 400, "client version 1.23 is too old. Minimum supported API version is 1.24, please upgrade"),
        ("/v1.45/zebra", 404, "page not found"),
        ("/zebra", 404, "page not found"),
        ("/", 404, "page not found"),
        ("/containers/nope/json", 404, "No such container: nope"),
        ("/images/nope/json", 404, "No such image: nope:latest"),
        ("/exec/nope/json", 404, "No such exec instance: nope"),
        ('/containers/json?filters={"foo":["x"]}', 400, "invalid filter 'foo'"),
        ("/containers/json?limit=zebra", 400, "invalid value for limit: 'zebra'"),
        ("/networks/nope", 404, "network nope not found"),
        ("/swarm", 503, "This node is not a swarm manager."),
        ("/events?since=zebra", 400, "invalid timestamp"),
    ],
)
def test_errors_are_docker_s(tmp_path: Path, target: str, status: int, message: str) -> None:
    async def story(client: Client, engine: Engine, hull: FakeHull) -> None:
        answer = await client.call("GET", target)
        assert answer.status == status
        assert answer.headers["content-type"] == "application/json"
        assert answer.json["message"].startswith(message)
        assert answer.body.endswith(b"}\n")
        assert (await client.call("GET", "/_ping")).status == 200  # the connection lives

    play(tmp_path, story)


@pytest.mark.parametrize(
    "target", ["/networks", "/volumes", "/plugins", "/images/json", "/containers/json", "/info", "/version"]
)
def test_lists_without_anything_answer(tmp_path: Path, target: str) -> None:
    async def story(client: Client, engine: Engine, hull: FakeHull) -> None:
        assert (await client.call("GET", "/v1.45" + target)).status == 200

    play(tmp_path, story)


@pytest.mark.parametrize(
    "wire",
    [
        b"GARBAGE\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\n\r\n",  # no Host
        b"GET /_ping HTTP/1.1\r\nHost: x\r\nbad header\r\n\r\n",
        b"POST /_ping HTTP/1.1\r\nHost: x\r\nContent-Length: zebra\r\n\r\n",
        b"GET /_ping HTTP/1.1\r\nHost: x\r\nX: " + b"y" * 300_000,
        b"\x16\x03\x01\x02\x00\x01\x00\x01\xfc\x03\x03",
    ],
)
def test_what_is_malformed_is_refused(tmp_path: Path, wire: bytes) -> None:
    async def story(client: Client, engine: Engine, hull: FakeHull) -> None:
        client.send(wire)
        if wire.startswith(b"\x16"):
            client.writer.write_eof()
        answer = await client.head()
        assert answer.status in (400, 431)
        await client.rest(answer)
        assert "malformed" in answer.json["message"]
        assert await client.reader.read() == b""
        other = await client.another()
        assert (await other.call("GET", "/_ping")).status == 200
        await other.close()

    play(tmp_path, story)


def test_a_body_must_be_json_and_say_so(tmp_path: Path) -> None:
    async def story(client: Client, engine: Engine, hull: FakeHull) -> None:
        data = b'{"Image":"bb"}'
        client.send(b"POST /containers/create HTTP/1.1\r\nHost: x\r\nContent-Length: %d\r\n\r\n" % len(data) + data)
        answer = await client.rest(await client.head())
        assert answer.status == 400
        assert "Content-Type" in answer.json["message"]
        answer = await client.call("POST", "/containers/create", [1])
        assert (answer.status, answer.json["code"]) == (400, "invalid-json")
        answer = await client.call("POST", "/containers/create")
        assert answer.status == 400

    play(tmp_path, story)


def test_a_body_may_be_chunked_and_wait_for_100(tmp_path: Path) -> None:
    async def story(client: Client, engine: Engine, hull: FakeHull) -> None:
        client.send(
            "POST /images/create?fromSrc=-&repo=other&tag=v1 HTTP/1.1\r\nHost: x\r\n"
            "Transfer-Encoding: chunked\r\nExpect: 100-continue\r\n\r\n"
        )
        assert (await client.head()).status == 100
        data = fake_tar()
        for start in range(0, len(data), 1000):
            piece = data[start : start + 1000]
            client.send(b"%x\r\n%s\r\n" % (len(piece), piece))
            await asyncio.sleep(0)
        client.send("0\r\n\r\n")
        answer = await client.rest(await client.head())
        assert answer.status == 200, answer
        assert answer.json["status"].startswith("sha256:")
        assert (await client.call("GET", "/images/other:v1/json")).json["RepoTags"] == ["other:v1"]

    play(tmp_path, story)


def test_an_import_that_breaks_off_leaves_nothing(tmp_path: Path) -> None:
    async def story(client: Client, engine: Engine, hull: FakeHull) -> None:
        other = await client.another()
        other.send("POST /images/create?fromSrc=-&repo=half HTTP/1.1\r\nHost: x\r\nContent-Length: 100000\r\n\r\n")
        other.send(fake_tar()[:3000])
        await asyncio.sleep(0.05)
        await other.close()
        await asyncio.sleep(0.1)
        assert (await client.call("GET", "/images/half/json")).status == 404

    play(tmp_path, story)


def test_a_body_that_nobody_reads_does_not_confuse_the_next_request(tmp_path: Path) -> None:
    async def story(client: Client, engine: Engine, hull: FakeHull) -> None:
        for _ in range(2):
            answer = await client.call("GET", "/_ping", {"x": "y" * 1000})
            assert answer.body == b"OK"

    play(tmp_path, story)


def test_pipelined_requests_are_answered_in_order(tmp_path: Path) -> None:
    async def story(client: Client, engine: Engine, hull: FakeHull) -> None:
        client.request("GET", "/_ping")
        client.request("GET", "/containers/nope/json")
        client.request("GET", "/_ping")
        answers = [await client.rest(await client.head()) for _ in range(3)]
        assert [answer.status for answer in answers] == [200, 404, 200]

    play(tmp_path, story)


def test_percent_signs_and_slashes_in_paths(tmp_path: Path) -> None:
    async def story(client: Client, engine: Engine, hull: FakeHull) -> None:
        assert (await client.call("POST", "/images/bb/tag?repo=reg.example:5000/a/b&tag=c")).status == 201
        for target in ("/images/reg.example:5000/a/b:c/json", "/images/reg.example%3A5000%2Fa%2Fb%3Ac/json"):
            assert (await client.call("GET", "/v1.41" + target)).status == 200
        answer = await client.call("DELETE", "/images/reg.example:5000/a/b:c")
        assert answer.json == [{"Untagged": "reg.example:5000/a/b:c"}]

    play(tmp_path, story)


def test_pulling_names_what_works_instead(tmp_path: Path) -> None:
    async def story(client: Client, engine: Engine, hull: FakeHull) -> None:
        answer = await client.call("POST", "/images/create?fromImage=docker.io%2Flibrary%2Fhello&tag=latest")
        assert answer.status == 404
        assert "proa import FILE.tar hello:latest" in answer.json["message"]

    play(tmp_path, story)


def test_who_this_engine_is(tmp_path: Path) -> None:
    async def story(client: Client, engine: Engine, hull: FakeHull) -> None:
        found = (await client.call("GET", "/proa/v1/engine")).json
        assert found["Id"] == engine.id
        assert (await client.call("POST", "/proa/v1/engine/stop")).status == 204
        assert engine.stopping.is_set()

    play(tmp_path, story)
