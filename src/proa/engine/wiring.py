"""Wiring: one engine put together from its parts. Embeddable:

engine = Engine(places)
await engine.open()          state is open, what ran is adopted
… engine.containers, engine.images, engine.execs, engine.events …
await engine.close()         containers go on
"""

from __future__ import annotations

import asyncio
import os
import resource
from typing import TYPE_CHECKING, Any, cast

from ..cgroup import choose, delegated
from ..hull.container import ContainerHull
from ..hull.spawn import Spawner
from ..hull.vm.hull import VmHull
from ..rootfs.block import Block
from ..rootfs.overlay import Overlay
from . import checkpoint, images, scope
from .container import Container
from .containers import Containers
from .events import Events
from .execs import Execs
from .hulls import Host, Hulls, Way
from .images import Images
from .info import Info
from .launch import Launch
from .lifecycle import Lifecycle
from .recover import Recovery
from .registry import Registry
from .seccomp import Filters
from .state import Database

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..hull.contract import Handle, Listener
    from ..places import Places
    from ..rootfs.contract import Rootfs
    from .images import Form
    from .records import HullKind

ARCHITECTURES = {"x86_64": "amd64", "aarch64": "arm64"}


class Engine:
    """Decisions and state of one pair of STATE and RUN. One process at a time may have it (``main`` sees to that)."""

    def __init__(
        self,
        places: Places,
        nofile: list[int] | None = None,
        *,
        own_scope: bool = False,
        spawner: Spawner | None = None,
        ways: Callable[[Listener], dict[HullKind, Way]] | None = None,
        rootfs: dict[Form, Rootfs] | None = None,
    ) -> None:
        """``nofile``: the limit that programs get; ``own_scope``: leave the session that this process was started in.
        The rest replaces parts: hulls made with our listener, roots."""
        self.places = places
        self.stopping = asyncio.Event()
        self._make_directories()
        self.db = Database(places.state + "/state.db")
        self.id = self._identity()
        self.events = Events(self.db)
        if own_scope:
            scope.enter(f"proa-{self.id}")
        self.host = _host(self.id, nofile or list(resource.getrlimit(resource.RLIMIT_NOFILE)))
        self.spawner = spawner or Spawner(places)
        self.registry = Registry()
        roots = rootfs or cast("dict[Form, Rootfs]", {"mounts": Overlay(places), "disks": Block(places)})
        self.hulls = Hulls(ways(self._heard) if ways else self._ways(), roots, self.spawner)
        self.images = Images(places, self.db, self.events, self.registry, roots)
        self.launch = launch = Launch(self.id, places, self.host, self.hulls, self.images, Filters(places))
        self.execs = Execs(self.db, self.events, self.registry, launch)
        self._lifecycle = Lifecycle(self.events, self.registry, launch, self.execs)
        self.containers = Containers(
            self.registry, self.events, self.images, self.hulls, self.host, self._lifecycle, self.execs
        )
        self.info = Info(self.id, places, self.host, self.hulls, self.registry, self.images)
        self._recovery = Recovery(
            places, self.events, self.registry, launch, self._lifecycle, self.execs, self.host.cgroup
        )
        self._idle = checkpoint.Idle(self.db, self.images.tidy, self.images.settle)

    def _make_directories(self) -> None:
        for path, mode in (
            (self.places.state, 0o711),
            (self.places.state + "/containers", 0o711),
            (self.places.run, 0o700),
        ):
            os.makedirs(path, mode, exist_ok=True)

    def _identity(self) -> str:
        """The engine's id, made once in STATE. The write also takes the log's first sync off every later path."""
        id = self.db.meta("id") or os.urandom(4).hex()
        with self.db.transaction():
            self.db.set_meta("id", id)
        return id

    def _ways(self) -> dict[HullKind, Way]:
        return {
            "container": Way(ContainerHull(self.places, self.spawner, self._heard), self.host.cgroup["version"]),
            "vm": Way(VmHull(self.places, self.spawner, self._heard), 2),
        }

    def _heard(self, handle: Handle, message: dict[str, Any]) -> None:
        self.containers.heard(handle, message)

    async def open(self) -> None:
        """Adopt what an earlier engine left; afterwards requests may be answered."""
        spawner = asyncio.ensure_future(self.spawner.start())
        images.discard_unfinished(self.places)
        for name, record, state in self.db.containers():
            self.registry.add(Container(name, record, state))
        await self._recovery.run()
        self._idle.start()
        self._lifecycle.tasks.start(_quietly(spawner))

    def request_stop(self) -> None:
        """Ask whoever runs this engine to end it."""
        self.stopping.set()

    async def close(self) -> None:
        """End the engine; containers go on under their shims."""
        watches = {one.watch for one in self.registry if one.watch is not None}
        await self._lifecycle.tasks.settle(10, watches)
        await self._idle.stop()
        await self.spawner.close()
        choose.forget(self.host.cgroup)  # it stays while anything runs in it
        delegated.give_back(self.host.cgroup)
        self.db.close()


async def _quietly(task: asyncio.Future[None]) -> None:
    """A spawner that will not start is an error of the first container, not of the engine."""
    try:
        await task
    except Exception:  # told again, to who asks for a container
        pass


def _host(engine_id: str, nofile: list[int]) -> Host:
    machine = os.uname().machine
    pages = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE")
    cgroup = choose.detect(f"proa-{engine_id}")
    delegated.make_room(cgroup)
    return Host(
        architecture=ARCHITECTURES.get(machine, machine),
        cpus=len(os.sched_getaffinity(0)),
        memory=pages,
        cgroup=cgroup,
        nofile=nofile,
    )
