"""Containers: the front of the engine for everything but execs. Finds them, makes them, hands on to ``lifecycle``."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import suppress
from typing import TYPE_CHECKING, Any

from msgspec import structs

from ..errors import Conflict, ProaError
from . import names, request
from .container import Container
from .records import State
from .transitions import NotModified

if TYPE_CHECKING:
    from ..dockerapi.containers import CreateBody
    from ..hull.contract import Handle
    from .events import Events
    from .execs import Execs
    from .hulls import Host, Hulls
    from .images import Images
    from .lifecycle import Lifecycle
    from .registry import Registry

TAKEN = (
    'Conflict. The container name "/{name}" is already in use by container "{id}". '
    "You have to remove (or rename) that container to be able to reuse that name."
)
CONDITIONS = ("not-running", "next-exit", "removed")


class Containers:
    """See the module's docstring."""

    def __init__(
        self,
        registry: Registry,
        events: Events,
        images: Images,
        hulls: Hulls,
        host: Host,
        lifecycle: Lifecycle,
        execs: Execs,
    ) -> None:
        self.all = registry
        self.life = lifecycle
        self._events = events
        self._images = images
        self._hulls = hulls
        self._host = host
        self._execs = execs

    async def create(self, name: str, body: CreateBody, asked: str = "") -> tuple[Container, list[str]]:
        """A container, and warnings. Raises NotFound (no such image), Conflict (name), InvalidRequest, HostCannot.

        ``asked``: what the client calls this request. One that an earlier engine has carried out, and could not answer
        any more, is answered with its container, and no second one is made."""
        wanted = names.check(name) if name else ""
        image = await self._images.resolve(body.image)
        record, warnings = request.record(body, image, self._host.cpus)
        await self._hulls.needs(record.hull)
        if asked:
            made = self.all.requested(asked)
            if made is not None:
                return made, warnings
            record = structs.replace(record, request=asked)
        if wanted:
            self._check_free(wanted)
        while not wanted or (not name and self.all.named(wanted)):
            wanted = names.suggest()
        container = Container(wanted, record, State())
        try:
            with self._events.change() as change:
                change.db.add_container(wanted, record, container.state)
                change.event("container", "create", record.id, container.attributes)
        except sqlite3.IntegrityError as problem:
            raise self._taken(wanted) from problem
        self.all.add(container)
        return container, warnings

    def _check_free(self, name: str) -> None:
        if self.all.named(name) is not None:
            raise self._taken(name)

    def _taken(self, name: str) -> Conflict:
        owner = self.all.named(name)
        return Conflict(TAKEN.format(name=name, id=owner.id if owner else "?"), code="name-in-use", input=name)

    def rename(self, container: Container, name: str) -> None:
        """Raises Conflict, InvalidRequest."""
        wanted = names.check(name)
        if wanted == container.name:
            raise Conflict("Renaming a container with the same name as its current name", code="same-name", input=name)
        self._check_free(wanted)
        self.life.rename(container, wanted)

    def waiter(self, container: Container, condition: str) -> asyncio.Future[int]:
        """Resolved with an exit code when ``condition`` (one of CONDITIONS) holds. Registered at once."""
        if condition == "removed":
            return container.next_removal()
        future = container.next_exit()
        if condition != "next-exit" and not container.alive:
            future.set_result(container.state.exit_code)
        return future

    def heard(self, handle: Handle, message: dict[str, Any]) -> None:
        """What a shim tells unasked. The end itself comes through ``Hull.wait``."""
        container = self.all.by_id(handle.id)
        if container is None:
            return
        match message.get("op"):
            case "oom":
                self._event(container, "oom")
            case "detached":
                self._event(container, "detach")
            case "exec-exited":
                self._execs.heard(str(message["exec"]), int(message["status"]))

    def _event(self, container: Container, action: str) -> None:
        with self._events.change() as change:
            if action == "oom" and container.alive:
                container.state = structs.replace(container.state, oom=True)
                change.db.set_state(container.id, container.state)
            change.event("container", action, container.id, container.attributes)

    async def stop_all(self, seconds: int | None) -> None:
        """End everything that runs. ``seconds`` as in Lifecycle.stop; None: each one's own."""

        async def stop(container: Container) -> None:
            with suppress(NotModified, ProaError):
                await self.life.stop(container, seconds)

        await asyncio.gather(*(stop(container) for container in self.all if container.alive))
