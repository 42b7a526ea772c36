"""At the engine's start: exit files first, adopt what runs, record what ended, remove what is left over.

Killing any process at any point and starting the engine leads to a correct list and nothing leaked. One ``die`` each:
an end is recorded only if it is newer than the one on record.
"""

from __future__ import annotations

import asyncio
import os
from contextlib import suppress
from typing import TYPE_CHECKING

from msgspec import structs

from ..cgroup import choose
from ..errors import ProaError
from ..hull import records
from ..hull.contract import Exit, Handle
from . import trash
from .launch import shim_socket
from .lifecycle import clear

if TYPE_CHECKING:
    from ..hull.bundle import Cgroup
    from ..places import Places
    from .container import Container
    from .events import Events
    from .execs import Execs
    from .launch import Launch
    from .lifecycle import Lifecycle
    from .registry import Registry


class Recovery:
    """Run once, before the first client is answered."""

    def __init__(
        self,
        places: Places,
        events: Events,
        containers: Registry,
        launch: Launch,
        lifecycle: Lifecycle,
        execs: Execs,
        cgroup: Cgroup,
    ) -> None:
        self._cgroup = cgroup
        self._places = places
        self._events = events
        self._containers = containers
        self._launch = launch
        self._lifecycle = lifecycle
        self._execs = execs

    async def run(self) -> None:
        """Everything. Costs nothing where nothing was left."""
        self._note_boot()
        lost = [one for one in self._containers if one.alive or os.path.isdir(self._places.container_run(one.id))]
        await asyncio.gather(*(self._take_over(container) for container in lost))
        await self._sweep()
        for container in self._containers:
            if container.record.host.auto_remove and not container.alive and container.state.finished:
                with suppress(ProaError):
                    await self._lifecycle.remove(container)

    def _note_boot(self) -> None:
        """After a reboot no pid in RUN means what it meant: only the exit files still hold."""
        now, path = records.boot(), self._places.run + "/boot"
        try:
            with open(path) as file:
                before = file.read()
        except OSError:
            before = ""
        if before == now:
            return
        if before:
            for id in _names(f"{self._places.run}/containers"):
                with suppress(OSError):
                    os.unlink(f"{self._places.container_run(id)}/{records.STATE}")
        with open(path, "w") as file:
            file.write(now)

    async def _take_over(self, container: Container) -> None:
        hull = self._launch.hull(container)
        run = self._places.container_run(container.id)
        handle = await hull.adopt(container.id, run, shim_socket(self._places, container.id))
        if handle.status in ("running", "paused"):
            self._running(container, handle)
        else:
            await self._ended(container, handle)

    async def _ended(self, container: Container, handle: Handle) -> None:
        """Of a program that never ran there is no end to tell: the engine died between making the shim and the start,
        or the start was refused."""
        hull = self._launch.hull(container)
        exit: Exit = await hull.wait(handle)
        self._execs.adopted(container, handle.execs, complete=not exit.error)
        if container.alive:
            self._lifecycle.ended(container, exit)
        elif exit.started and exit.finished > container.state.finished:
            self._lifecycle.ended(container, exit, started=exit.started)
        await clear(hull, handle)

    def _running(self, container: Container, handle: Handle) -> None:
        missed = not container.alive
        status = "paused" if handle.status == "paused" else "running"
        state = structs.replace(container.state, status=status, pid=handle.pid, started=handle.started)
        state = structs.replace(state, hull={**state.hull, **handle.facts})
        if missed or state != container.state:
            with self._events.change() as change:
                change.db.set_state(container.id, state)
                if missed:
                    change.event("container", "start", container.id, container.attributes, time_ns=handle.started)
        container.state = state
        self._execs.adopted(container, handle.execs)
        self._lifecycle.follow(container, handle)

    async def _sweep(self) -> None:
        """Remove what belongs to no container: shims of unknown ids, their directories, what was thrown away."""
        known = {container.id for container in self._containers}
        for id in _names(f"{self._places.run}/containers"):
            if id not in known:
                await self._end_unknown(id)
        for path in trash.leftovers(self._places, known):
            self._lifecycle.tasks.start(trash.empty(self._launch.remove_directory, path))
        sockets = {shim_socket(self._places, container.id) for container in self._containers if container.alive}
        for name in _names(f"{self._places.run}/s"):
            path = self._places.shim_socket(name)
            if path not in sockets:
                with suppress(OSError):
                    os.unlink(path)
        carried = {container.id for container in self._containers if container.alive}
        await asyncio.to_thread(_sweep_cgroups, self._cgroup, carried)

    async def _end_unknown(self, id: str) -> None:
        """A shim whose row was removed, or never committed: end it by the hull that its state.json names."""
        run = self._places.container_run(id)
        hull = self._launch.hull_of_state(run)
        handle = await hull.adopt(id, run, shim_socket(self._places, id))
        await clear(hull, handle)


def _sweep_cgroups(value: Cgroup, carried: set[str]) -> None:
    """End and remove groups below our own parent that no container has, and the parent where none is left."""
    for id in choose.leftovers(value):
        if id not in carried:
            group = choose.open(value, id)
            group.kill()
            with suppress(OSError):
                group.remove()
    if not carried:
        choose.forget(value)


def _names(directory: str) -> list[str]:
    try:
        return os.listdir(directory)
    except FileNotFoundError:
        return []
