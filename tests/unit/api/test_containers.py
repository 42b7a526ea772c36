"""/containers, /exec, /events over the wire."""

from __future__ import annotations

import asyncio
import json
import os
from pathlib import Path

import pytest

from proa.engine.wiring import Engine
from proa.hull.contract import Refused
from unit.engine.fakes import FakeHull

from .wire import Client, play

UPGRADE = ("Connection: Upgrade", "Upgrade: tcp")


def test_create_start_wait_inspect_delete(tmp_path: Path) -> None:
    async def story(client: Client, engine: Engine, hull: FakeHull) -> None:
        answer = await client.call(
            "POST", "/containers/create?name=one", {"Image": "bb", "Env": ["A=1"], "Labels": {"a": "b"}}
        )
        assert set(answer.json) == {"Id", "Warnings"}
        id = answer.json["Id"]
        waiting = await client.another()
        waiting.request("POST", f"/containers/{id}/wait?condition=next-exit")
        assert (await waiting.head()).status == 200  # at once, before anything runs
        assert (await client.call("POST", f"/containers/{id}/start")).status == 204
        again = await client.call("POST", f"/containers/{id}/start")
        assert (again.status, again.body) == (304, b"")
        (row,) = (await client.call("GET", "/containers/json")).json
        assert (row["Names"], row["State"], row["Image"], row["Command"]) == (["/one"], "running", "bb", "/bin/true")
        hull.handles[id].end(3)
        assert json.loads(await waiting.chunk()) == {"StatusCode": 3}
        found = (await client.call("GET", "/containers/one/json")).json
        assert found["State"]["ExitCode"] == 3
        assert found["State"]["FinishedAt"] > found["State"]["StartedAt"] > found["Created"]
        assert (found["Name"], found["Config"]["Env"], found["Config"]["Image"]) == ("/one", ["A=1"], "bb")
        assert found["HostConfig"]["NetworkMode"] == "default"
        assert found["Hull"]["Kind"] == "container"
        stopped = await client.call("POST", "/containers/one/stop")
        assert stopped.status == 304
        assert (await client.call("DELETE", f"/containers/{id[:12]}")).status == 204
        assert (await client.call("GET", "/containers/json?all=1")).json == []
        await waiting.close()

    play(tmp_path, story)


def test_a_start_with_a_body_is_refused(tmp_path: Path) -> None:
    async def story(client: Client, engine: Engine, hull: FakeHull) -> None:
        id = await client.create()
        assert (await client.call("POST", f"/containers/{id}/start", {"Memory": 1})).status == 400
        assert (await client.call("POST", f"/containers/{id}/start", {})).status == 204
        await client.call("DELETE", f"/containers/{id}?force=1")

    play(tmp_path, story)


def test_a_failed_start_is_400_and_wait_answers(tmp_path: Path) -> None:
    async def story(client: Client, engine: Engine, hull: FakeHull) -> None:
        hull.refuse = Refused("not-found", 'exec: "nope": executable file not found in $PATH')
        id = await client.create(HostConfig={"AutoRemove": True})
        waiting = await client.another()
        waiting.request("POST", f"/containers/{id}/wait?condition=removed")
        await waiting.head()
        answer = await client.call("POST", f"/containers/{id}/start")
        assert answer.status == 400
        assert "executable file not found in $PATH: unknown" in answer.json["message"]
        assert json.loads(await waiting.chunk()) == {"StatusCode": 127}
        await waiting.close()

    play(tmp_path, story)


@pytest.mark.parametrize("lines", [UPGRADE, ()])
def test_attach_gives_the_socket_away(tmp_path: Path, lines: tuple[str, ...]) -> None:
    async def story(client: Client, engine: Engine, hull: FakeHull) -> None:
        id = await client.create(OpenStdin=True)
        other = await client.another()
        other.request("POST", f"/v1.41/containers/{id}/attach?stream=1&stdin=1&stdout=1", None, *lines)
        other.send(b"typed early")
        head = await other.head()
        if lines:
            assert (head.status, head.reason) == (101, "UPGRADED")
            assert head.headers == {
                "content-type": "application/vnd.docker.raw-stream",
                "connection": "Upgrade",
                "upgrade": "tcp",
            }
        else:
            assert (head.status, head.reason) == (200, "OK")
            assert head.headers == {"content-type": "application/vnd.docker.raw-stream"}
        await client.call("POST", f"/containers/{id}/start")
        ((target, attachment, fd),) = hull.handles[id].attached
        assert (target, attachment.stdin, attachment.stdout, attachment.stderr) == ("", True, True, False)
        assert attachment.mux
        other.send(b" and late")
        await other.writer.drain()
        other.writer.write_eof()
        os.set_blocking(fd, True)
        late = b""
        while piece := await asyncio.to_thread(os.read, fd, 100):
            late += piece
        assert attachment.early + late == b"typed early and late"  # nothing lost, nothing twice
        os.write(fd, b"output after the client's half-close")
        os.close(fd)
        assert await other.reader.read() == b"output after the client's half-close"
        await other.close()
        await client.call("DELETE", f"/containers/{id}?force=1")

    play(tmp_path, story)


def test_a_program_that_ends_behind_an_attach_s_head_ends_the_stream(tmp_path: Path) -> None:
    """The head is out and says that it runs; between it and the stream the program ends."""

    async def story(client: Client, engine: Engine, hull: FakeHull) -> None:
        id = await client.create()
        await client.call("POST", f"/containers/{id}/start")
        other = await client.another()
        other.request("POST", f"/containers/{id}/attach?stream=1&stdout=1", None, *UPGRADE)
        assert (await other.head()).status == 101
        hull.handles[id].end(7)
        assert await asyncio.wait_for(other.reader.read(), 5) == b""
        await other.close()
        assert not hull.handles[id].attached
        await client.call("DELETE", f"/containers/{id}")

    play(tmp_path, story)


def test_content_types_of_streams(tmp_path: Path) -> None:
    async def story(client: Client, engine: Engine, hull: FakeHull) -> None:
        for tty, version, kind in ((False, "1.42", "multiplexed"), (False, "1.41", "raw"), (True, "1.45", "raw")):
            id = await client.create(Tty=tty)
            other = await client.another()
            other.request("POST", f"/v{version}/containers/{id}/attach?stream=1&stdout=1", None, *UPGRADE)
            assert (await other.head()).headers["content-type"] == f"application/vnd.docker.{kind}-stream"
            await other.close()
            logs = await client.call("GET", f"/v{version}/containers/{id}/logs?stdout=1")
            assert logs.headers["content-type"] == f"application/vnd.docker.{kind}-stream"
            await client.call("DELETE", f"/containers/{id}")

    play(tmp_path, story)


def test_refused_attaches_are_plain_http(tmp_path: Path) -> None:
    async def story(client: Client, engine: Engine, hull: FakeHull) -> None:
        answer = await client.call("POST", "/containers/nope/attach?stream=1", None, *UPGRADE)
        assert answer.status == 404
        id = await client.create("pr")
        await client.call("POST", "/containers/pr/start")
        await client.call("POST", "/containers/pr/pause")
        answer = await client.call("POST", f"/containers/{id}/attach?stream=1", None, *UPGRADE)
        assert (answer.status, "paused" in answer.json["message"]) == (409, True)
        assert (await client.call("DELETE", f"/containers/{id}?force=1")).status == 204

    play(tmp_path, story)


def test_exec_over_the_wire(tmp_path: Path) -> None:
    async def story(client: Client, engine: Engine, hull: FakeHull) -> None:
        id = await client.create()
        body = {"Cmd": ["ls"], "AttachStdout": True, "Tty": False}
        assert (await client.call("POST", f"/containers/{id}/exec", body)).status == 409
        await client.call("POST", f"/containers/{id}/start")
        exec_id = (await client.call("POST", f"/containers/{id}/exec", body)).json["Id"]
        other = await client.another()
        other.request("POST", f"/exec/{exec_id}/start", {"Detach": False, "Tty": False}, *UPGRADE)
        assert (await other.head()).status == 101
        await asyncio.sleep(0.02)
        found = (await client.call("GET", f"/exec/{exec_id}/json")).json
        assert (found["Running"], found["ExitCode"], found["Pid"]) == (True, None, 77)
        hull.listener(hull.handles[id], {"op": "exec-exited", "exec": exec_id, "status": 2})
        found = (await client.call("GET", f"/exec/{exec_id}/json")).json
        assert (found["Running"], found["ExitCode"]) == (False, 2)
        assert (await client.call("POST", f"/exec/{exec_id}/start", {})).status == 409
        detached = (await client.call("POST", f"/containers/{id}/exec", body)).json["Id"]
        answer = await client.call("POST", f"/exec/{detached}/start", {"Detach": True})
        assert (answer.status, answer.body) == (200, b"")
        await other.close()
        await client.call("DELETE", f"/containers/{id}?force=1")

    play(tmp_path, story)


def test_a_client_that_leaves_a_long_poll_costs_nothing(tmp_path: Path) -> None:
    async def story(client: Client, engine: Engine, hull: FakeHull) -> None:
        id = await client.create()
        await client.call("POST", f"/containers/{id}/start")
        before = len(asyncio.all_tasks())
        targets = [
            ("GET", "/events"),
            ("GET", f"/containers/{id}/logs?stdout=1&follow=1"),
            ("POST", f"/containers/{id}/wait"),
        ]
        others = []
        for method, target in targets * 5:
            other = await client.another()
            other.request(method, target)
            assert (await other.head()).status == 200
            others.append(other)
        for other in others:
            await other.close()
        for _ in range(100):
            await asyncio.sleep(0.01)
            if len(asyncio.all_tasks()) <= before:
                break
        assert len(asyncio.all_tasks()) <= before
        await client.call("DELETE", f"/containers/{id}?force=1")

    play(tmp_path, story)


def test_events_past_and_to_come(tmp_path: Path) -> None:
    async def story(client: Client, engine: Engine, hull: FakeHull) -> None:
        id = await client.create("one", Labels={"k": "v"})
        filters = json.dumps({"type": {"container": True}, "label": ["k=v"]})
        other = await client.another()
        other.request("GET", f"/events?since=0&filters={filters.replace(' ', '')}")
        assert (await other.head()).status == 200
        first = json.loads(await other.chunk())
        assert (first["Type"], first["Action"], first["Actor"]["ID"], first["status"]) == (
            "container",
            "create",
            id,
            "create",
        )
        assert first["Actor"]["Attributes"] == {"image": "bb", "name": "one", "k": "v"}
        await client.call("POST", "/containers/one/start")
        second = json.loads(await other.chunk())
        assert (second["Action"], second["Sequence"]) == ("start", first["Sequence"] + 1)
        assert second["timeNano"] // 10**9 == second["time"]
        await other.close()
        ended = await client.call("GET", '/events?since=0&until=1&filters={"event":{"exec_create":true}}')
        assert (ended.status, ended.body) == (200, b"")
        await client.call("DELETE", f"/containers/{id}?force=1")

    play(tmp_path, story)


def test_listing_with_filters(tmp_path: Path) -> None:
    async def story(client: Client, engine: Engine, hull: FakeHull) -> None:
        for name in ("web-1", "web-2", "db-1"):
            await client.create(name, Labels={"app": name[:-2]})
        await client.call("POST", "/containers/web-1/start")

        async def names(query: str) -> list[str]:
            answer = await client.call("GET", f"/containers/json?{query}")
            assert answer.status == 200, answer
            return [row["Names"][0][1:] for row in answer.json]

        assert await names("") == ["web-1"]
        assert await names("all=1") == ["db-1", "web-2", "web-1"]
        assert await names("limit=2") == ["db-1", "web-2"]
        assert await names('all=1&filters={"label":["app=web"]}') == ["web-2", "web-1"]
        assert await names('all=1&filters={"name":["^/web"]}') == ["web-2", "web-1"]
        assert await names('filters={"status":{"created":true}}') == ["db-1", "web-2"]
        assert await names('all=true&filters={"ancestor":["bb:latest"]}') == ["db-1", "web-2", "web-1"]
        assert await names('all=1&filters={"before":["db-1"],"status":["created"]}') == ["web-2"]
        await client.call("DELETE", "/containers/web-1?force=1")

    play(tmp_path, story)


def test_logs_need_a_stream(tmp_path: Path) -> None:
    async def story(client: Client, engine: Engine, hull: FakeHull) -> None:
        await client.create("one")
        answer = await client.call("GET", "/containers/one/logs")
        assert (answer.status, answer.json["message"]) == (400, "Bad parameters: you must choose at least one stream")
        assert (await client.call("GET", "/containers/one/logs?stdout=1")).body == b""

    play(tmp_path, story)


def test_removing_an_image_that_is_used(tmp_path: Path) -> None:
    async def story(client: Client, engine: Engine, hull: FakeHull) -> None:
        id = await client.create("one")
        answer = await client.call("DELETE", "/images/bb")
        assert answer.status == 409
        assert "unable to remove repository reference" in answer.json["message"]
        assert id[:12] in answer.json["message"]
        await client.call("DELETE", "/containers/one")
        deleted = (await client.call("DELETE", "/images/bb")).json
        assert deleted[0] == {"Untagged": "bb:latest"}
        assert deleted[1]["Deleted"].startswith("sha256:")
        assert (await client.call("GET", "/images/json")).json == []
        answer = await client.call("POST", "/containers/create", {"Image": "bb"})
        assert (answer.status, answer.json["message"]) == (404, "No such image: bb:latest")

    play(tmp_path, story)


def test_resize(tmp_path: Path) -> None:
    async def story(client: Client, engine: Engine, hull: FakeHull) -> None:
        id = await client.create("one", Tty=True)
        assert (await client.call("POST", "/containers/one/resize?h=10&w=20")).status == 409
        await client.call("POST", "/containers/one/start")
        assert (await client.call("POST", "/containers/one/resize?h=10&w=20")).status == 200
        assert hull.handles[id].facts["size"] == ("", 10, 20)
        assert (await client.call("POST", "/containers/one/resize?h=x&w=20")).status == 400
        await client.call("DELETE", "/containers/one?force=1")

    play(tmp_path, story)


def test_prune_heeds_until(tmp_path: Path) -> None:
    async def story(client: Client, engine: Engine, hull: FakeHull) -> None:
        await client.create()
        for until in ("24h", "1h30m", "2020-01-01", "1577836800"):
            answer = await client.call("POST", f'/containers/prune?filters={{"until":["{until}"]}}')
            assert (answer.status, answer.json["ContainersDeleted"]) == (200, None), until
            answer = await client.call("POST", f'/images/prune?filters={{"dangling":["false"],"until":["{until}"]}}')
            assert answer.status == 200
        for bad in ('["soon"]', '["1h","2h"]'):
            assert (await client.call("POST", f'/containers/prune?filters={{"until":{bad}}}')).status == 400
        answer = await client.call("POST", '/containers/prune?filters={"until":["0s"]}')
        assert len(answer.json["ContainersDeleted"]) == 1

    play(tmp_path, story)


def test_detach_keys_are_checked_before_anything_is_attached(tmp_path: Path) -> None:
    async def story(client: Client, engine: Engine, hull: FakeHull) -> None:
        id = await client.create()
        answer = await client.call("POST", f"/containers/{id}/attach?stream=1&stdout=1&detachKeys=foo")
        assert answer.status == 400
        assert "Invalid detach keys (foo) provided" in answer.json["message"]
        assert (await client.call("POST", f"/containers/{id}/start")).status == 204
        body = {"Cmd": ["true"], "DetachKeys": "foo"}
        assert (await client.call("POST", f"/containers/{id}/exec", body)).status == 400
        await client.call("DELETE", f"/containers/{id}?force=1")

    play(tmp_path, story)
