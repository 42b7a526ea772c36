"""create, start, wait, delete, adopt: how a container lives and ends."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket

import pytest

from contract.hull.world import WITH_STDIN, World
from proa.errors import Conflict
from proa.hull import records
from proa.hull.contract import Attachment, Refused


def test_output_and_exit_code(world: World) -> None:
    async def test() -> None:
        exit, out, err = await world.output("sh", "-c", "echo out; echo err >&2; exit 3")
        assert (exit.status, exit.oom, exit.error, out, err) == (3, False, "", b"out\n", b"err\n")
        assert world.ops() == ["exited"]

    world.run(test)


def test_needs_and_facts(world: World) -> None:
    async def test() -> None:
        needs = world.hull.needs()
        assert needs.root in ("mounts", "disks")
        handle = await world.start("sleep", "100")
        assert handle.facts["Kind"] == world.hull.kind
        assert handle.facts["Kernel"]
        assert (handle.status, handle.pid > 0, handle.started > 0) == ("running", True, True)
        os.kill(handle.pid, 0)

    world.run(test)


def test_nothing_runs_before_start(world: World) -> None:
    async def test() -> None:
        handle = await world.create("sh", "-c", "echo ran > /proc/1/fd/1")
        assert (handle.status, handle.pid, handle.started) == ("created", 0, 0)
        await asyncio.sleep(0.1)
        assert handle.status == "created"

    world.run(test)


@pytest.mark.parametrize(
    ("args", "kind", "text"),
    [
        (["nope"], "not-found", 'exec: "nope": executable file not found in $PATH'),
        (["/nope"], "not-found", 'exec: "/nope": stat /nope: no such file or directory'),
        (["/etc/passwd"], "denied", 'exec: "/etc/passwd": permission denied'),
        (["/etc"], "denied", 'exec: "/etc"'),
    ],
)
def test_refused_programs(world: World, args: list[str], kind: str, text: str) -> None:
    async def test() -> None:
        handle = await world.create(*args)
        client = await world.attach(handle)
        with pytest.raises(Refused) as caught:
            await world.hull.start(handle)
        assert text in caught.value.what
        assert caught.value.kind in (kind, "not-executable")
        exit = await asyncio.wait_for(world.hull.wait(handle), 5)
        assert exit.status == (127 if kind == "not-found" else 126)
        assert text in exit.error
        assert await client.everything() == (b"", b"")
        assert world.ops() == []
        assert handle.status == "exited"

    world.run(test)


def test_ends_by_signal(world: World) -> None:
    async def test() -> None:
        handle = await world.start("sleep", "100")
        await world.hull.signal(handle, "", signal.SIGKILL)
        assert (await world.hull.wait(handle)).status == 137

        handle = await world.start("sh", "-c", "trap 'echo got; exit 7' TERM; echo up; while :; do sleep 0.05; done")
        client = await world.attach(handle, Attachment(False, True, True, logs=True, stream=True, mux=True))
        await client.until(b"up\n")
        await world.hull.signal(handle, "", signal.SIGTERM)
        assert await client.everything() == (b"got\n", b"")
        assert (await world.hull.wait(handle)).status == 7

    world.run(test)


def test_what_has_ended_takes_no_signal(world: World) -> None:
    async def test() -> None:
        handle = await world.start("true")
        await world.hull.wait(handle)
        with pytest.raises((Conflict, Refused)):
            await world.hull.signal(handle, "", signal.SIGTERM)

    world.run(test)


def test_init_reaps_forwards_and_keeps_the_code(world: World) -> None:
    async def test() -> None:
        exit, out, _ = await world.output("sh", "-c", "echo $$; exit 9", init=True)
        assert exit.status == 9
        assert out != b"1\n"
        handle = await world.start("sh", "-c", "trap 'exit 8' TERM; echo up; while :; do sleep 0.05; done", init=True)
        client = await world.attach(handle, Attachment(False, True, True, logs=True, stream=True, mux=True))
        await client.until(b"up\n")
        await world.hull.signal(handle, "", signal.SIGTERM)
        await client.everything()
        assert (await world.hull.wait(handle)).status == 8

    world.run(test)


def test_clean_inside(world: World) -> None:
    """No signal is ignored or blocked, no descriptor but 0, 1 and 2 is open, for the program and for an exec."""

    async def test() -> None:
        look = "grep -E 'Sig(Ign|Blk)' /proc/self/status; ls /proc/$$/fd; true"
        handle = await world.start("sh", "-c", f"{look}; sleep 100")
        client = await world.attach(handle, Attachment(False, True, True, logs=True, stream=True, mux=True))
        said = await client.until(b"2\n")
        assert said == b"SigBlk:\t0000000000000000\nSigIgn:\t0000000000000000\n0\n1\n2\n"
        assert (await (await world.exec(handle, "sh", "-c", look)).everything())[0] == said

    world.run(test)


def test_freeze(world: World) -> None:
    async def test() -> None:
        handle = await world.start("sh", "-c", "while :; do echo x; sleep 0.01; done")
        client = await world.attach(handle)
        await client.until(b"x")
        await world.hull.freeze(handle, True)
        assert handle.status == "paused"
        with pytest.raises(TimeoutError):
            while True:
                await asyncio.wait_for(client.read(), 0.3)
        with pytest.raises(Refused, match="is paused"):
            await world.exec(handle, "true")
        await world.hull.freeze(handle, False)
        assert handle.status == "running"
        await client.until(b"x")
        await world.hull.freeze(handle, True)
        await world.hull.signal(handle, "", signal.SIGKILL)
        assert (await asyncio.wait_for(world.hull.wait(handle), 10)).status == 137
        client.socket.close()

    world.run(test)


def test_delete_ends_what_runs(world: World) -> None:
    async def test() -> None:
        handle = await world.start("sh", "-c", "trap '' TERM; sleep 100 & sleep 100")
        await world.hull.exec(handle, "e", {**world.bundle("sleep", "100")["spec"]["process"]}, None, None)
        pid = handle.pid
        await world.hull.delete(handle)
        assert handle.status == "exited"
        assert records.started(pid) == 0
        await world.hull.delete(handle)  # twice is fine

    world.run(test)


def test_oom(world: World) -> None:
    async def test() -> None:
        eat = "x=x; while :; do x=$x$x; done"
        exit, _, _ = await world.output("sh", "-c", eat, resources={"memory": {"limit": 16 << 20, "swap": 16 << 20}})
        assert (exit.status, exit.oom) == (137, True)
        assert world.ops() == ["oom", "exited"]

    world.run(test)


def test_oom_of_a_child_is_told_at_once(world: World) -> None:
    async def test() -> None:
        eat = "(x=x; while :; do x=$x$x; done); sleep 100"
        handle = await world.start("sh", "-c", eat, resources={"memory": {"limit": 16 << 20, "swap": 16 << 20}})
        await world.until(lambda: "oom" in world.ops())
        assert handle.status == "running"

    world.run(test)


def test_a_second_engine_adopts(world: World) -> None:
    async def test() -> None:
        first = world.hull
        handle = await world.start("sh", "-c", "read x; echo got $x; exit 5", stdin=True)
        client = await world.attach(handle, WITH_STDIN)
        handle.link.close()  # type: ignore[attr-defined]  # the first engine dies
        await world.spawner.close()
        await world.open()
        assert world.hull is not first
        again = await world.hull.adopt(handle.id, handle.run, handle.socket)  # type: ignore[attr-defined]
        world.handles = [again]
        assert (again.status, again.pid, again.started) == ("running", handle.pid, handle.started)
        assert again.facts == handle.facts
        await client.send(b"me\n")
        assert await client.everything() == (b"got me\n", b"")
        assert (await world.hull.wait(again)).status == 5
        assert world.ops() == ["exited"]

    world.run(test)


def test_ended_while_no_engine_was_there(world: World) -> None:
    async def test() -> None:
        handle = await world.start("sh", "-c", "sleep 0.1; exit 6")
        handle.link.close()  # type: ignore[attr-defined]
        run = handle.run  # type: ignore[attr-defined]
        await world.until(lambda: os.path.exists(f"{run}/exit"))
        again = await world.hull.adopt(handle.id, run, handle.socket)  # type: ignore[attr-defined]
        world.handles = [again]
        assert (await world.hull.wait(again)).status == 6
        assert again.status == "exited"
        with open(f"{run}/exit") as file:
            assert json.load(file)["status"] == 6

    world.run(test)


def shim_of(handle: object) -> int:
    with open(f"{handle.run}/state.json") as file:  # type: ignore[attr-defined]
        return int(json.load(file)["shim"])


def test_shim_lost(world: World) -> None:
    async def test() -> None:
        handle = await world.start("sh", "-c", "sleep 100 & sleep 100")
        pid = handle.pid
        os.kill(shim_of(handle), signal.SIGKILL)
        exit = await asyncio.wait_for(world.hull.wait(handle), 10)
        assert (exit.status, exit.error) == (137, "shim lost")
        assert world.ops() == ["exited"]
        await world.until(lambda: records.started(pid) == 0, 10)  # process 1 reaps it, when it gets to it

    world.run(test)


def test_shim_lost_while_no_engine_was_there(world: World) -> None:
    async def test() -> None:
        handle = await world.start("sleep", "100")
        handle.link.close()  # type: ignore[attr-defined]
        os.kill(shim_of(handle), signal.SIGKILL)
        again = await world.hull.adopt(handle.id, handle.run, handle.socket)  # type: ignore[attr-defined]
        world.handles = [again]
        exit = await world.hull.wait(again)
        assert (exit.status, exit.error, again.status) == (137, "shim lost", "exited")
        assert world.ops() == []

    world.run(test)


def test_spawner_killed(world: World) -> None:
    async def test() -> None:
        handle = await world.start("sleep", "100")
        os.kill(world.spawner.pid, signal.SIGKILL)
        exit, out, _ = await world.output("echo", "hi")
        assert (exit.status, out) == (0, b"hi\n")
        assert handle.status == "running"

    world.run(test)


def test_attach_to_what_has_ended(world: World) -> None:
    async def test() -> None:
        handle = await world.start("true")
        await world.hull.wait(handle)
        ours, theirs = socket.socketpair()
        with ours, theirs, pytest.raises((Conflict, Refused)):
            await world.hull.attach(handle, "", WITH_STDIN, theirs.fileno())

    world.run(test)
