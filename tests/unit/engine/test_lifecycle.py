"""A container's life over a fake hull: order, exit codes, who is woken."""

from __future__ import annotations

import asyncio
import os
import socket
from collections.abc import Awaitable, Callable
from pathlib import Path
from typing import Any

import pytest

from proa.engine.transitions import NotModified
from proa.engine.wiring import Engine
from proa.errors import Conflict, InvalidRequest, NotFound
from proa.hull.contract import Attachment, Refused

from .fakes import FakeHull, body, make, running

Story = Callable[[Engine, FakeHull], Awaitable[None]]
ATTACHMENT = Attachment(True, True, True, False, True, True)


def play(root: Path, story: Story) -> None:
    async def run() -> None:
        async with running(root) as (engine, hull):
            await story(engine, hull)

    asyncio.run(asyncio.wait_for(run(), 30))


def actions(engine: Engine) -> list[str]:
    return [event.action for event in engine.events.after(0) if event.type == "container"]


def test_create_start_exit_remove(tmp_path: Path) -> None:
    async def story(engine: Engine, hull: FakeHull) -> None:
        container, warnings = await engine.containers.create("one", body())
        assert warnings == []
        wait = engine.containers.waiter(container, "next-exit")
        removed = engine.containers.waiter(container, "removed")
        await engine.containers.life.start(container)
        assert container.state.status == "running"
        with pytest.raises(NotModified):
            await engine.containers.life.start(container)
        with pytest.raises(Conflict, match="stop the container before removing or force remove"):
            await engine.containers.life.remove(container)
        hull.handles[container.id].end(3)
        assert await wait == 3
        assert (container.state.status, container.state.exit_code) == ("exited", 3)
        assert not removed.done()
        await engine.containers.life.remove(container)
        assert await removed == 3
        assert actions(engine) == ["create", "start", "die", "destroy"]
        with pytest.raises(NotFound, match="No such container: one"):
            engine.containers.all.find("one")
        assert not engine.db.containers()

    play(tmp_path, story)


def test_a_container_can_run_again(tmp_path: Path) -> None:
    async def story(engine: Engine, hull: FakeHull) -> None:
        container, _ = await engine.containers.create("", body())
        for code in (1, 2):
            await engine.containers.life.start(container)
            wait = engine.containers.waiter(container, "not-running")
            hull.handles[container.id].end(code)
            assert await wait == code
        assert await engine.containers.waiter(container, "not-running") == 2

    play(tmp_path, story)


def test_auto_remove_wakes_in_order(tmp_path: Path) -> None:
    async def story(engine: Engine, hull: FakeHull) -> None:
        container, _ = await engine.containers.create("", body(HostConfig={"AutoRemove": True}))
        order: list[str] = []
        for condition in ("removed", "next-exit"):
            wait = engine.containers.waiter(container, condition)
            wait.add_done_callback(lambda _, condition=condition: order.append(condition))  # type: ignore[misc]
        await engine.containers.life.start(container)
        hull.handles[container.id].end(0)
        await engine.containers.waiter(container, "removed")
        await asyncio.sleep(0)
        assert order == ["next-exit", "removed"]
        assert hull.deleted == [container.id]
        assert len(engine.containers.all) == 0

    play(tmp_path, story)


@pytest.mark.parametrize(
    ("kind", "text", "code"), [("not-found", 'exec: "x": executable file not found in $PATH', 127)]
)
def test_a_refused_start_answers_who_waits(tmp_path: Path, kind: str, text: str, code: int) -> None:
    async def story(engine: Engine, hull: FakeHull) -> None:
        hull.refuse = Refused(kind, text)
        container, _ = await engine.containers.create("", body())
        wait = engine.containers.waiter(container, "next-exit")
        with pytest.raises(
            Refused, match=r"failed to create task for container: .*executable file not found"
        ) as caught:
            await engine.containers.life.start(container)
        assert (caught.value.status, caught.value.exit) == (400, code)
        assert await wait == code
        assert (container.state.status, container.state.exit_code) == ("created", code)
        assert hull.deleted == [container.id]
        assert container.handle is None

    play(tmp_path, story)


def test_a_refused_start_removes_an_auto_remove_container(tmp_path: Path) -> None:
    async def story(engine: Engine, hull: FakeHull) -> None:
        hull.refuse = Refused("denied", "permission denied")
        container, _ = await engine.containers.create("", body(HostConfig={"AutoRemove": True}))
        removed = engine.containers.waiter(container, "removed")
        with pytest.raises(Refused):
            await engine.containers.life.start(container)
        assert await removed == 126

    play(tmp_path, story)


def test_stop_asks_then_kills(tmp_path: Path) -> None:
    async def story(engine: Engine, hull: FakeHull) -> None:
        hull.obeys = {9}
        container, _ = await engine.containers.create("", body(StopSignal="SIGUSR1"))
        await engine.containers.life.start(container)
        await engine.containers.life.stop(container, 0)
        assert hull.handles[container.id].signals == [10, 9]
        assert container.state.exit_code == 137
        assert actions(engine)[-4:] == ["kill", "kill", "die", "stop"]
        with pytest.raises(NotModified):
            await engine.containers.life.stop(container, 0)

    play(tmp_path, story)


def test_kill_of_what_is_paused_thaws_it(tmp_path: Path) -> None:
    async def story(engine: Engine, hull: FakeHull) -> None:
        container, _ = await engine.containers.create("pp", body())
        await engine.containers.life.start(container)
        await engine.containers.life.pause(container)
        with pytest.raises(Conflict, match="Container pp is paused, unpause the container before exec"):
            container.may("exec")
        await engine.containers.life.kill(container, "KILL")
        assert container.state.exit_code == 137

    play(tmp_path, story)


def test_kill_of_what_does_not_run(tmp_path: Path) -> None:
    async def story(engine: Engine, hull: FakeHull) -> None:
        container, _ = await engine.containers.create("pp", body())
        with pytest.raises(Conflict, match=f"cannot kill container: pp: container {container.id} is not running"):
            await engine.containers.life.kill(container, "")
        with pytest.raises(InvalidRequest, match="invalid signal: NOPE"):
            await engine.containers.life.kill(container, "NOPE")

    play(tmp_path, story)


def test_forced_removal_of_an_auto_remove_container(tmp_path: Path) -> None:
    async def story(engine: Engine, hull: FakeHull) -> None:
        container, _ = await engine.containers.create("", body(HostConfig={"AutoRemove": True}))
        await engine.containers.life.start(container)
        await engine.containers.life.remove(container, force=True)
        assert actions(engine).count("destroy") == 1

    play(tmp_path, story)


def test_restart_keeps_an_auto_remove_container(tmp_path: Path) -> None:
    async def story(engine: Engine, hull: FakeHull) -> None:
        container, _ = await engine.containers.create("", body(HostConfig={"AutoRemove": True}))
        await engine.containers.life.start(container)
        await engine.containers.life.restart(container, 1)
        assert container.state.status == "running"
        assert actions(engine) == ["create", "start", "kill", "die", "stop", "start", "restart"]
        await engine.containers.life.remove(container, force=True)

    play(tmp_path, story)


def test_who_attaches_before_the_start_is_handed_over_first(tmp_path: Path) -> None:
    async def story(engine: Engine, hull: FakeHull) -> None:
        container, _ = await engine.containers.create("", body())
        ours, theirs = socket.socketpair()
        await engine.containers.life.attach(container, ATTACHMENT, theirs.detach())
        await engine.containers.life.start(container)
        ((target, attachment, fd),) = hull.handles[container.id].attached
        assert (target, attachment) == ("", ATTACHMENT)
        os.write(fd, b"hello")
        assert ours.recv(10) == b"hello"
        os.close(fd)
        assert ours.recv(10) == b""  # nobody else holds it
        ours.close()

    play(tmp_path, story)


def test_removal_hangs_up_on_who_waits_for_a_start(tmp_path: Path) -> None:
    async def story(engine: Engine, hull: FakeHull) -> None:
        container, _ = await engine.containers.create("", body())
        ours, theirs = socket.socketpair()
        await engine.containers.life.attach(container, ATTACHMENT, theirs.detach())
        await engine.containers.life.remove(container)
        assert ours.recv(10) == b""
        ours.close()

    play(tmp_path, story)


@pytest.mark.parametrize("moment", ["ended", "removed", "ending"])
def test_who_attached_to_what_has_ended_meanwhile_sees_its_end(tmp_path: Path, moment: str) -> None:
    """It ran when the client asked: nobody waits for another start, and nothing is said in the place of output."""

    async def story(engine: Engine, hull: FakeHull) -> None:
        container, _ = await engine.containers.create("", body())
        await engine.containers.life.start(container)
        if moment == "ending":  # the shim is dead, the engine has not heard of it

            async def attach(*_: object) -> None:
                raise Conflict("not running", code="container-not-running")

            hull.attach = attach  # type: ignore[assignment]
        else:
            hull.handles[container.id].end(7)
            await container.next_exit()
        if moment == "removed":
            await engine.containers.life.remove(container)
        ours, theirs = socket.socketpair()
        await engine.containers.life.attach(container, ATTACHMENT, theirs.detach(), ran=True)
        assert ours.recv(10) == b""
        assert not container.pending
        ours.close()
        if moment != "removed":
            await engine.containers.life.remove(container, force=True)

    play(tmp_path, story)


def test_a_client_that_left_is_not_kept(tmp_path: Path) -> None:
    async def story(engine: Engine, hull: FakeHull) -> None:
        container, _ = await engine.containers.create("", body())
        gone, theirs = socket.socketpair()
        await engine.containers.life.attach(container, ATTACHMENT, theirs.detach())
        gone.close()
        half, theirs = socket.socketpair()
        half.shutdown(socket.SHUT_WR)  # docker run without -i
        await engine.containers.life.attach(container, ATTACHMENT, theirs.detach())
        third, theirs = socket.socketpair()
        await engine.containers.life.attach(container, ATTACHMENT, theirs.detach())
        assert len(container.pending) == 2
        half.close()
        third.close()

    play(tmp_path, story)


def test_names_are_unique_and_free_again(tmp_path: Path) -> None:
    async def story(engine: Engine, hull: FakeHull) -> None:
        first, _ = await engine.containers.create("/pr", body())
        with pytest.raises(Conflict) as caught:
            await engine.containers.create("pr", body())
        assert caught.value.what == (
            f'Conflict. The container name "/pr" is already in use by container "{first.id}". '
            "You have to remove (or rename) that container to be able to reuse that name."
        )
        engine.containers.rename(first, "other")
        second, _ = await engine.containers.create("pr", body())
        assert engine.containers.all.find("/other") is first
        assert engine.containers.all.find(second.id[:10]) is second
        with pytest.raises(InvalidRequest, match="only \\[a-zA-Z0-9\\]"):
            await engine.containers.create("a b", body())

    play(tmp_path, story)


def test_many_creates_at_once(tmp_path: Path) -> None:
    async def story(engine: Engine, hull: FakeHull) -> None:
        made = await asyncio.gather(*(engine.containers.create("", body()) for _ in range(50)))
        assert len({container.name for container, _ in made}) == 50
        tries = await asyncio.gather(
            *(engine.containers.create("same", body()) for _ in range(5)), return_exceptions=True
        )
        assert sum(isinstance(one, Conflict) for one in tries) == 4

    play(tmp_path, story)


def test_an_oom_is_told(tmp_path: Path) -> None:
    async def story(engine: Engine, hull: FakeHull) -> None:
        container, _ = await engine.containers.create("", body())
        await engine.containers.life.start(container)
        wait = engine.containers.waiter(container, "not-running")
        handle = hull.handles[container.id]
        hull.listener(handle, {"op": "oom"})
        handle.end(137, oom=True)
        await wait
        assert container.state.oom
        assert actions(engine)[-2:] == ["oom", "die"]

    play(tmp_path, story)


def test_a_start_that_never_came_through_is_no_end(tmp_path: Path) -> None:
    """The engine died over it; the shim's exit file says that no program ran: the container is as it was."""

    async def run() -> None:
        engine, hull = make(tmp_path)
        await engine.open()
        from .fakes import import_image

        await import_image(engine)
        container, _ = await engine.containers.create("never", body())
        os.makedirs(engine.places.container_run(container.id))
        await engine.close()
        handle = await hull.create({"id": container.id})
        handle.end(127)

        again, _ = make(tmp_path, hull)
        await again.open()
        found = again.containers.all.find("never")
        assert (found.state.status, found.state.exit_code, found.state.finished) == ("created", 0, 0)
        assert [event.action for event in again.events.after(0) if event.type == "container"] == ["create"]
        assert hull.deleted == [container.id]
        await again.close()

    asyncio.run(asyncio.wait_for(run(), 30))


def test_state_survives_a_restart_of_the_engine(tmp_path: Path) -> None:
    async def run() -> None:
        engine, hull = make(tmp_path)
        await engine.open()
        from .fakes import import_image

        await import_image(engine)
        names: dict[str, Any] = {}
        for name in ("runs", "ends", "idle", "unseen"):
            names[name], _ = await engine.containers.create(name, body())
        for name in ("runs", "ends"):
            await engine.containers.life.start(names[name])
        os.makedirs(engine.places.container_run(names["unseen"].id))
        await engine.close()
        # while no engine is there: one ends, one was started by an engine that died before it could note that
        hull.handles[names["ends"].id].end(5)
        await hull.create({"id": names["unseen"].id})
        await hull.start(hull.handles[names["unseen"].id])
        hull.handles[names["unseen"].id].end(6)

        again, _ = make(tmp_path, hull)
        await again.open()
        states = {one.name: (one.state.status, one.state.exit_code) for one in again.containers.all}
        assert states == {
            "runs": ("running", 0),
            "ends": ("exited", 5),
            "idle": ("created", 0),
            "unseen": ("exited", 6),
        }
        events = [
            (event.attributes["name"], event.action) for event in again.events.after(0) if event.type == "container"
        ]
        assert events.count(("ends", "die")) == 1
        assert events[-2:] == [("unseen", "start"), ("unseen", "die")] or ("unseen", "die") in events
        wait = again.containers.waiter(again.containers.all.find("runs"), "not-running")
        hull.handles[names["runs"].id].end(9)
        assert await wait == 9
        assert again.id == engine.id
        await again.close()

    asyncio.run(asyncio.wait_for(run(), 30))


@pytest.mark.parametrize("way", ["stop", "kill", "remove"])
def test_what_has_ended_but_for_its_clients_can_be_ended(tmp_path: Path, way: str) -> None:
    async def story(engine: Engine, hull: FakeHull) -> None:
        life = engine.containers.life
        container, _ = await engine.containers.create("pp", body())
        await life.start(container)

        async def signal(handle: Any, target: str, number: int) -> None:
            asyncio.get_running_loop().call_later(0.05, handle.end, 3)
            raise Conflict(f"container {handle.id} is not running")

        hull.signal = signal  # type: ignore[method-assign]
        if way == "remove":
            await life.remove(container, force=True)
        else:
            await (life.stop(container, 5) if way == "stop" else life.kill(container, "KILL"))
            assert container.state.exit_code == 3

    play(tmp_path, story)


def test_a_stop_signal_of_its_own_thaws_too(tmp_path: Path) -> None:
    async def story(engine: Engine, hull: FakeHull) -> None:
        container, _ = await engine.containers.create("pp", body(StopSignal="SIGQUIT"))
        await engine.containers.life.start(container)
        await engine.containers.life.pause(container)
        await engine.containers.life.kill(container, "QUIT")
        assert container.state.status == "running"
        await engine.containers.life.remove(container, force=True)

    play(tmp_path, story)


def test_a_client_that_does_not_read_an_old_log_keeps_nobody_from_the_container(tmp_path: Path) -> None:
    async def story(engine: Engine, hull: FakeHull) -> None:
        container, _ = await engine.containers.create("pp", body())
        path = Path(engine.launch.log_path(container))
        path.parent.mkdir()
        line = b'{"log":"' + b"x" * 1000 + b'\\n","stream":"stdout","time":"2026-01-01T00:00:00.000000000Z"}\n'
        path.write_bytes(line * 2000)
        ours, theirs = socket.socketpair()
        with ours:
            wanted = Attachment(False, True, True, True, True, True)
            attach = asyncio.ensure_future(engine.containers.life.attach(container, wanted, theirs.detach()))
            await asyncio.sleep(0.2)
            await asyncio.wait_for(engine.containers.life.remove(container), 5)
            assert not attach.done()
        with pytest.raises(NotFound):
            await attach

    play(tmp_path, story)


def test_what_cannot_be_cleared_away_keeps_nobody_waiting(tmp_path: Path) -> None:
    async def story(engine: Engine, hull: FakeHull) -> None:
        async def delete(handle: Any) -> None:
            raise OSError(16, "Device or resource busy")

        hull.delete = delete  # type: ignore[method-assign]
        container, _ = await engine.containers.create("pp", body(HostConfig={"AutoRemove": True}))
        removed = engine.containers.waiter(container, "removed")
        await engine.containers.life.start(container)
        hull.handles[container.id].end(4)
        assert await asyncio.wait_for(removed, 5) == 4

    play(tmp_path, story)
