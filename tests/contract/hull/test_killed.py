"""SIGKILL to a shim or spawner at any moment of a life: whoever waits hears of it, and nothing is left."""

from __future__ import annotations

import asyncio
import os
import random
import signal

import pytest

from contract.hull.world import ALL, Client, World
from proa.errors import ProaError
from proa.hull import records, spawn
from proa.hull.contract import Handle, Refused

SCRIPT = "i=0; while [ $i -lt 200 ]; do echo $i; i=$((i+1)); done; exit 5"


def numbers(out: bytes) -> list[int]:
    """The whole lines."""
    return [int(line) for line in out.split(b"\n")[:-1]]


def children(pid: int) -> list[int]:
    with open(f"/proc/{pid}/task/{pid}/children") as file:
        return [int(word) for word in file.read().split()]


async def life(world: World, handle: Handle, client: Client) -> None:
    try:
        await world.hull.start(handle)
        await world.exec(handle, "sleep", "100")
    except (ProaError, OSError):
        pass


@pytest.mark.parametrize("seed", range(3))
def test_shim_at_any_moment(world: World, seed: int) -> None:
    chance = random.Random(seed)
    rounds, longest = (12, 0.03) if world.kind == "container" else (3, 2.0)

    async def one() -> None:
        handle = await world.create("sh", "-c", SCRIPT)
        client = await world.attach(handle)
        (shim,) = [pid for pid in shims(world) if cmdline_has_socket(pid, handle)]
        living = asyncio.ensure_future(life(world, handle, client))
        await asyncio.sleep(chance.random() * longest)
        try:
            os.kill(shim, signal.SIGKILL)
        except ProcessLookupError:
            pass  # it had ended
        exit = await asyncio.wait_for(world.hull.wait(handle), 20)
        await living
        out, _ = await client.everything()
        got = numbers(out)
        assert got == list(range(len(got)))
        assert (exit.status, exit.error) in [(137, "shim lost"), (5, "")]
        if exit.status == 5:
            assert len(got) == 200
        await world.until(lambda: records.started(handle.pid) == 0, 10)  # process 1 reaps it, when it gets to it
        await world.hull.delete(handle)
        world.handles.remove(handle)

    async def test() -> None:
        for _ in range(rounds):
            await one()

    world.run(test)


def shims(world: World) -> list[int]:
    """The spawner's children: shims that carry, and spare ones."""
    return children(world.spawner.pid)


def cmdline_has_socket(pid: int, handle: Handle) -> bool:
    """Whether it is the one that listens for ``handle``: its socket's inode is among its descriptors."""
    with open("/proc/net/unix") as file:
        inodes = {line.split()[6] for line in file if line.rstrip().endswith(handle.socket)}  # type: ignore[attr-defined]
    links = []
    try:
        for name in os.listdir(f"/proc/{pid}/fd"):
            links.append(os.readlink(f"/proc/{pid}/fd/{name}"))
    except FileNotFoundError:
        pass  # one more than is wanted ends at any time
    return any(f"socket:[{inode}]" in links for inode in inodes)


def test_spawner_at_any_moment(world: World) -> None:
    chance = random.Random(7)
    rounds = 12 if world.kind == "container" else 2

    async def kill_it() -> None:
        await asyncio.sleep(chance.random() * 0.01)
        try:
            os.kill(world.spawner.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass

    async def test() -> None:
        for _ in range(rounds):
            killing = asyncio.ensure_future(kill_it())
            exit, out, _ = await world.output("sh", "-c", SCRIPT)
            assert (exit.status, numbers(out)) == (5, list(range(200)))
            await killing

    world.run(test)


def test_spare_shims_killed(world: World) -> None:
    async def test() -> None:
        await world.until(lambda: len(shims(world)) == spawn.SPARES)
        for pid in shims(world):
            os.kill(pid, signal.SIGKILL)
        await asyncio.sleep(0.05)
        exit, out, _ = await world.output("echo", "hi")
        assert (exit.status, out) == (0, b"hi\n")

    world.run(test)


def test_spare_shims_end_with_the_engine(world: World) -> None:
    async def test() -> None:
        await world.until(lambda: len(shims(world)) == spawn.SPARES)
        spares = shims(world)
        await world.spawner.close()
        await world.until(lambda: all(records.started(pid) == 0 for pid in spares), 5)
        await world.open()

    world.run(test)


def test_many_at_once(world: World) -> None:
    async def one(number: int) -> None:
        handle = await world.create("sh", "-c", f"echo {number}; exit {number}")
        client = await world.attach(handle, ALL)
        try:
            await world.hull.start(handle)
        except Refused as refused:
            raise AssertionError(refused.what) from refused
        assert await client.everything() == (b"%d\n" % number, b"")
        assert (await world.hull.wait(handle)).status == number

    async def test() -> None:
        await asyncio.gather(*(one(number) for number in range(20 if world.kind == "container" else 3)))

    world.run(test)
