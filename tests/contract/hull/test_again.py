"""A shim whose container has ended carries the next one: as a new one would, and with nothing of the last one's."""

from __future__ import annotations

import os

import pytest

from contract.hull.test_killed import children, shims
from contract.hull.world import ALL, World
from proa.hull import records, spawn

ROUNDS = 9


@pytest.fixture(autouse=True)
def container_only(world: World) -> None:
    if world.kind != "container":
        pytest.skip("a virtual machine's shim carries one")


async def life(world: World, status: int, *, exec: bool = False) -> int:
    """One container with a client, and the pid of its shim."""
    handle = await world.create("sh", "-c", f"sleep 0.2; echo {status}; exit {status}")
    client = await world.attach(handle, ALL)
    await world.hull.start(handle)
    shim = int((records.read(handle.run, records.STATE) or {})["shim"])  # type: ignore[attr-defined]
    if exec:
        beside = await world.exec(handle, "echo", "beside")
        assert (await beside.everything())[0] == b"beside\n"
        await world.exec(handle, "sleep", "1000")
    assert await client.everything() == (b"%d\n" % status, b"")
    exit = await world.hull.wait(handle)
    assert (exit.status, exit.error) == (status, "")
    await world.hull.delete(handle)
    world.handles.remove(handle)
    return shim


def test_one_after_the_other(world: World) -> None:
    async def test() -> None:
        pids = [await life(world, number, exec=number % 3 == 2) for number in range(ROUNDS)]
        assert len(set(pids)) <= spawn.SPARES
        await world.until(lambda: all(_as_new(pid) for pid in shims(world)))

    world.run(test)


def _as_new(pid: int) -> bool:
    """Whether it has no child, and no descriptor but of its socket and the next container's network."""
    links = {os.readlink(f"/proc/{pid}/fd/{name}") for name in os.listdir(f"/proc/{pid}/fd")}
    kinds = sorted(link.partition("[")[0] for link in links)
    return not children(pid) and kinds == ["/dev/null", "net:", "socket:"]


def test_more_than_are_wanted_end(world: World) -> None:
    async def test() -> None:
        handles = [await world.start("sleep", "1000") for _ in range(spawn.SPARES + 3)]
        for handle in handles:
            await world.hull.signal(handle, "", 9)
            await world.hull.wait(handle)
        for handle in handles:
            await world.hull.delete(handle)
            world.handles.remove(handle)
        await world.until(lambda: len(shims(world)) <= spawn.SPARES)

    world.run(test)
