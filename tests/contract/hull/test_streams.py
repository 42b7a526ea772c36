"""attach, exec, resize: what goes in and comes out."""

from __future__ import annotations

import asyncio
import hashlib
import os

import pytest

from contract.hull.world import ALL, WITH_STDIN, World
from proa.hull.contract import Attachment, Refused

LOGS = Attachment(stdin=False, stdout=True, stderr=True, logs=True, stream=True, mux=True)
TTY = Attachment(stdin=True, stdout=True, stderr=True, logs=False, stream=True, mux=False)


def test_stdin_and_half_close(world: World) -> None:
    async def test() -> None:
        handle = await world.create("sh", "-c", "cat; sleep 0.1; echo end", stdin=True)
        client = await world.attach(
            handle, Attachment(stdin=True, stdout=True, stderr=True, logs=False, stream=True, mux=True, early=b"early ")
        )
        await world.hull.start(handle)
        await client.send(b"typed\n")
        client.end()
        assert await client.everything() == (b"early typed\nend\n", b"")

    world.run(test)


def test_without_stdin_it_is_empty(world: World) -> None:
    async def test() -> None:
        exit, out, _ = await world.output("sh", "-c", "wc -c; ls -l /proc/self/fd/0")
        assert out.split()[0] == b"0"
        assert b"/dev/null" in out
        assert exit.status == 0

    world.run(test)


def test_much_stdin(world: World) -> None:
    async def test() -> None:
        handle = await world.create("sha256sum", stdin=True)
        client = await world.attach(handle, WITH_STDIN)
        await world.hull.start(handle)
        digest, piece = hashlib.sha256(), os.urandom(1 << 20)
        for _ in range(50):
            digest.update(piece)
            await client.send(piece)
        client.end()
        out, _ = await client.everything()
        assert out.split()[0].decode() == digest.hexdigest()

    world.run(test)


def test_much_output_to_one_who_reads_late(world: World) -> None:
    """A client that does not read stops neither the program nor another client, and loses nothing."""

    async def test() -> None:
        handle = await world.create("dd", "if=/dev/zero", "bs=64k", "count=320", "status=none")
        late, quick = await world.attach(handle), await world.attach(handle)
        await world.hull.start(handle)
        assert len((await quick.everything())[0]) == 320 << 16
        exit = await asyncio.wait_for(world.hull.wait(handle), 30)
        assert exit.status == 0
        await asyncio.sleep(0.2)
        assert len((await late.everything())[0]) == 320 << 16

    world.run(test)


def test_logs_then_live(world: World) -> None:
    async def test() -> None:
        handle = await world.start("sh", "-c", "echo one; echo two >&2; read x; echo three", stdin=True)
        first = await world.attach(handle, LOGS)
        await first.until(b"one\n")
        typist = await world.attach(handle, WITH_STDIN)
        await typist.send(b"go\n")
        assert (await typist.everything())[0] == b"three\n"
        out, _ = await first.everything()
        assert out == b"three\n"

    world.run(test)


def test_logs_of_several_runs_of_output(world: World) -> None:
    async def test() -> None:
        handle = await world.start("sh", "-c", "for i in 1 2 3; do echo $i; done; printf part; sleep 100")
        client = await world.attach(handle, LOGS)
        await client.until(b"1\n2\n3\npart")
        again = await world.attach(
            handle, Attachment(stdin=False, stdout=True, stderr=True, logs=True, stream=False, mux=True)
        )
        assert await again.everything() == (b"1\n2\n3\npart", b"")

    world.run(test)


def test_terminal(world: World) -> None:
    async def test() -> None:
        handle = await world.create("sh", "-c", "stty size; tty; read x; stty size; exit 4", terminal=True, stdin=True)
        client = await world.attach(handle, TTY)
        await world.hull.resize(handle, "", 33, 99)
        await world.hull.start(handle)
        said = await client.until(b"\n/dev/")
        assert b"33 99" in said
        await world.hull.resize(handle, "", 44, 111)
        await client.send(b"go\r")
        out, _ = await client.everything()
        assert b"44 111\r\n" in out
        assert (await world.hull.wait(handle)).status == 4

    world.run(test)


def test_interrupt_key(world: World) -> None:
    async def test() -> None:
        handle = await world.create("sh", "-c", "echo up; sleep 100", terminal=True, stdin=True, init=True)
        client = await world.attach(handle, TTY)
        await world.hull.start(handle)
        await client.until(b"up")
        await client.send(b"\x03")
        await client.everything()
        assert (await world.hull.wait(handle)).status == 130

    world.run(test)


def test_detach_keys(world: World) -> None:
    async def test() -> None:
        handle = await world.create("sh", "-c", "read x; echo got $x", terminal=True, stdin=True)
        client = await world.attach(handle, TTY)
        await world.hull.start(handle)
        await client.send(b"\x10")
        await client.send(b"\x11")
        await client.everything()
        assert handle.status == "running"
        await world.until(lambda: world.ops() == ["detached"])
        second = await world.attach(handle, TTY)
        await second.send(b"me\r")
        assert b"got me\r\n" in (await second.everything())[0]

    world.run(test)


def test_exec(world: World) -> None:
    async def test() -> None:
        handle = await world.start("sleep", "100")
        client = await world.exec(handle, "sh", "-c", "echo out; echo err >&2; exit 3")
        assert await client.everything() == (b"out\n", b"err\n")
        await world.until(lambda: world.ops() == ["exec-exited"])
        assert world.heard[0] == {"op": "exec-exited", "exec": client.target, "status": 3}

    world.run(test)


def test_exec_is_told_before_its_stream_ends(world: World) -> None:
    async def test() -> None:
        handle = await world.start("sleep", "100")
        for number in range(10):
            client = await world.exec(handle, "sh", "-c", f"exit {number}")
            await client.everything()
            await asyncio.sleep(0.001)  # both came; which the loop looks at first is chance
            assert world.heard[-1]["status"] == number

    world.run(test)


def test_many_execs_at_once(world: World) -> None:
    async def test() -> None:
        handle = await world.start("sleep", "100")
        clients = await asyncio.gather(
            *(world.exec(handle, "sh", "-c", f"cat; echo {n}; exit {n}", attachment=WITH_STDIN) for n in range(10))
        )
        for client in reversed(clients):
            await client.send(b"in ")
            client.end()
        for number, client in enumerate(clients):
            assert (await client.everything())[0] == b"in %d\n" % number
        await world.until(lambda: len(world.heard) == 10)
        assert sorted(message["status"] for message in world.heard) == list(range(10))
        assert handle.execs == {}

    world.run(test)


def test_exec_terminal(world: World) -> None:
    async def test() -> None:
        handle = await world.start("sleep", "100")
        client = await world.exec(handle, "sh", "-c", "tty; read x; stty size", attachment=TTY, terminal=True)
        await client.until(b"/dev/")
        await world.hull.resize(handle, client.target, 22, 77)
        await client.send(b"\r")
        assert b"22 77" in (await client.everything())[0]

    world.run(test)


def test_exec_signal(world: World) -> None:
    async def test() -> None:
        handle = await world.start("sleep", "100")
        client = await world.exec(handle, "sleep", "100")
        await world.hull.signal(handle, client.target, 9)
        await client.everything()
        await world.until(lambda: bool(world.heard))
        assert world.heard[0]["status"] == 137
        assert handle.status == "running"

    world.run(test)


def test_exec_refused_leaves_the_socket(world: World) -> None:
    async def test() -> None:
        import socket

        handle = await world.start("sleep", "100")
        ours, theirs = socket.socketpair()
        with ours, theirs:
            process = world.bundle("nope")["spec"]["process"]
            with pytest.raises(Refused) as caught:
                await world.hull.exec(handle, "e1", process, ALL, theirs.fileno())
            assert caught.value.exit == 127
            theirs.send(b"words")
            assert ours.recv(10) == b"words"
        await world.until(lambda: bool(world.heard))
        assert world.heard == [{"op": "exec-exited", "exec": "e1", "status": 127}]

    world.run(test)


def test_exec_detached(world: World) -> None:
    async def test() -> None:
        handle = await world.start("sleep", "100")
        process = world.bundle("sh", "-c", "cat; exit 2")["spec"]["process"]
        pid = await world.hull.exec(handle, "e1", process, None, None)
        assert pid > 0
        await world.until(lambda: bool(world.heard))
        assert world.heard[0]["status"] == 2

    world.run(test)


def test_exec_ends_with_its_container(world: World) -> None:
    async def test() -> None:
        handle = await world.start("sh", "-c", "sleep 0.3")
        client = await world.exec(handle, "sleep", "100")
        await client.everything()
        await world.hull.wait(handle)
        await world.until(lambda: world.ops() == ["exec-exited", "exited"])
        assert world.heard[0]["status"] == 137

    world.run(test)


def test_exec_with_something_in_the_background_ends_with_its_container(world: World) -> None:
    async def test() -> None:
        handle = await world.start("sh", "-c", "sleep 0.5")
        client = await world.exec(handle, "sh", "-c", "sleep 100 & exit 3")
        await asyncio.wait_for(client.everything(), 10)
        assert (await world.hull.wait(handle)).status == 0
        await world.until(lambda: "exec-exited" in world.ops() and "exited" in world.ops())
        assert [message["status"] for message in world.heard if message["op"] == "exec-exited"] == [3]

    world.run(test)


def test_background_child_does_not_keep_an_exec(world: World) -> None:
    async def test() -> None:
        handle = await world.start("sleep", "100")
        client = await world.exec(handle, "sh", "-c", "sleep 100 & echo started")
        assert (await asyncio.wait_for(client.everything(), 10))[0] == b"started\n"
        client = await world.exec(handle, "sh", "-c", "(sleep 0.2; echo late) & echo first")
        assert (await asyncio.wait_for(client.everything(), 10))[0] == b"first\nlate\n"

    world.run(test)


def test_client_hangs_up(world: World) -> None:
    async def test() -> None:
        handle = await world.create("sh", "-c", "while :; do echo x; sleep 0.01; done")
        client = await world.attach(handle)
        await world.hull.start(handle)
        await client.until(b"x")
        client.socket.close()
        await asyncio.sleep(0.1)
        assert handle.status == "running"

    world.run(test)


def test_an_attached_client_gets_all_at_the_end(world: World) -> None:
    async def test() -> None:
        for number in range(20 if world.kind == "container" else 4):
            exit, out, _ = await world.output("sh", "-c", "for i in 1 2 3 4 5 6 7 8 9; do echo line $i; done")
            assert out == b"".join(b"line %d\n" % i for i in range(1, 10)), number
            assert exit.status == 0

    world.run(test)
