"""/containers: create, list, inspect, and what changes their state."""

from __future__ import annotations

import asyncio
import math
from collections.abc import AsyncIterator
from contextlib import suppress
from typing import TYPE_CHECKING

from .. import NAME
from ..dockerapi.containers import CreateBody
from ..dockerapi.decode import decode, encode
from ..engine import filters
from ..engine.containers import CONDITIONS
from ..errors import Conflict, InvalidRequest, NotFound
from . import shapes
from .message import Reply, Request, Stream, json_reply
from .routes import Answer, Route

if TYPE_CHECKING:
    from ..engine.container import Container
    from ..engine.wiring import Engine

FILTERS = (
    "ancestor before exited expose health id is-task isolation label label! name network publish since status volume"
).split()
STATUSES = ("created", "restarting", "running", "removing", "paused", "exited", "dead")
REQUEST_MAX = 64
"""Characters of what a client of ours calls its request, so that it may ask again when an engine has died over it."""
START_BODY_MAX = 7
"""A start with a longer body is an old client that sends a HostConfig: refused, as dockerd does."""


def _find(engine: Engine, request: Request) -> Container:
    return engine.containers.all.find(request.name)


async def create(engine: Engine, request: Request) -> Answer:
    """201 with the id."""
    data = await request.json_body()
    if not data:
        raise InvalidRequest("invalid JSON: got EOF while reading request body", code="invalid-json")
    asked = request.text(f"{NAME}-request")[:REQUEST_MAX]
    container, warnings = await engine.containers.create(request.text("name"), decode(data, CreateBody), asked)
    return json_reply({"Id": container.id, "Warnings": warnings}, 201)


async def list_(engine: Engine, request: Request) -> Answer:
    """Newest first; those that run, unless asked for all."""
    wanted = filters.parse(request.text("filters"), FILTERS)
    filters.only(wanted, "status", STATUSES)
    filters.only(wanted, "health", ("starting", "healthy", "unhealthy", "none"))
    filters.numbers(wanted, "exited")
    filters.flag(wanted, "is-task")
    names, span = filters.patterns(wanted, "name"), _span(engine, wanted)
    limit = request.number("limit", 0)
    everything = request.flag("all") or limit > 0 or "status" in wanted or "exited" in wanted
    found = sorted(engine.containers.all, key=lambda container: -container.record.created)
    matches = [
        one
        for one in found
        if (everything or one.alive)
        and filters.found(names, "/" + one.name, one.name)
        and span[0] < one.record.created < span[1]
        and _matches(engine, one, wanted)
    ]
    rows = [shapes.row(engine, one) for one in (matches[:limit] if limit > 0 else matches)]
    if request.flag("size"):
        for container, row in zip(matches, rows, strict=False):
            row.update(await _sizes(engine, container))
    return json_reply(rows)


async def _sizes(engine: Engine, container: Container) -> dict[str, int]:
    """SizeRw: bytes that it wrote; SizeRootFs: with its image's, while that is there."""
    written = await asyncio.to_thread(shapes.size, engine, container)
    try:
        image = (await engine.images.resolve(container.record.image_id)).size
    except NotFound:
        image = 0
    return {"SizeRw": written, "SizeRootFs": image + written}


def _matches(engine: Engine, container: Container, wanted: filters.Filters) -> bool:
    record = container.record
    return (
        filters.labels_match(wanted, record.config.labels)
        and filters.prefix(wanted, "id", container.id)
        and filters.any_of(wanted, "status", container.status)
        and filters.any_of(wanted, "exited", _exited(container))
        and filters.any_of(wanted, "isolation", record.hull, record.host.isolation)
        and filters.any_of(wanted, "network", record.host.network_mode)
        and filters.any_of(wanted, "health", "none")
        and _ancestor(engine, container, wanted)
    )


def _exited(container: Container) -> str:
    return str(container.state.exit_code) if container.state.status == "exited" else ""


def _ancestor(engine: Engine, container: Container, wanted: filters.Filters) -> bool:
    names = wanted.get("ancestor")
    return not names or any(engine.images.means(name, container.record.image_id) for name in names)


def _span(engine: Engine, wanted: filters.Filters) -> tuple[float, float]:
    """Between which moments (ns) it must have been created: what ``since`` and ``before`` name. Raises NotFound."""
    since = [engine.containers.all.find(name).record.created for name in wanted.get("since", ())]
    before = [engine.containers.all.find(name).record.created for name in wanted.get("before", ())]
    return max(since, default=-math.inf), min(before, default=math.inf)


async def inspect(engine: Engine, request: Request) -> Answer:
    """Everything about one."""
    container = _find(engine, request)
    found = shapes.inspect(engine, container)
    if request.flag("size"):
        found.update(await _sizes(engine, container))
    return json_reply(found)


async def start(engine: Engine, request: Request) -> Answer:
    """204, or 304 if it runs."""
    if len(await request.body.read(1 << 16)) > START_BODY_MAX:
        raise InvalidRequest(
            "starting container with non-empty request body was deprecated since API v1.22 and removed in v1.24"
        )
    await engine.containers.life.start(_find(engine, request))
    return Reply(204)


async def stop(engine: Engine, request: Request) -> Answer:
    """204, or 304 if it does not run."""
    await engine.containers.life.stop(_find(engine, request), request.seconds(), request.text("signal"))
    return Reply(204)


async def restart(engine: Engine, request: Request) -> Answer:
    """Stop if it runs, then start."""
    await engine.containers.life.restart(_find(engine, request), request.seconds(), request.text("signal"))
    return Reply(204)


async def kill(engine: Engine, request: Request) -> Answer:
    """Send a signal."""
    await engine.containers.life.kill(_find(engine, request), request.text("signal"))
    return Reply(204)


async def pause(engine: Engine, request: Request) -> Answer:
    """Freeze it."""
    await engine.containers.life.pause(_find(engine, request))
    return Reply(204)


async def unpause(engine: Engine, request: Request) -> Answer:
    """Let it go on."""
    await engine.containers.life.unpause(_find(engine, request))
    return Reply(204)


async def resize(engine: Engine, request: Request) -> Answer:
    """The size of its terminal."""
    container = _find(engine, request)
    await engine.containers.life.resize(container, *size_of(request))
    return Reply(200)


def size_of(request: Request) -> tuple[int, int]:
    """``h`` and ``w``. Raises InvalidRequest."""
    height, width = request.number("h", -1), request.number("w", -1)
    if not (0 <= height < 1 << 16 and 0 <= width < 1 << 16):
        raise InvalidRequest("h and w must be a terminal's height and width", code="invalid-parameter")
    return height, width


async def rename(engine: Engine, request: Request) -> Answer:
    """Another name."""
    name = request.text("name")
    if not name:
        raise InvalidRequest("Neither old nor new names may be empty", code="invalid-name")
    engine.containers.rename(_find(engine, request), name)
    return Reply(204)


async def remove(engine: Engine, request: Request) -> Answer:
    """204 once nothing is left."""
    await engine.containers.life.remove(_find(engine, request), force=request.flag("force"))
    return Reply(204)


async def prune(engine: Engine, request: Request) -> Answer:
    """Remove what does not run."""
    wanted = filters.parse(request.text("filters"), ("label", "label!", "until"))
    until = filters.until(wanted)
    idle = [
        one
        for one in engine.containers.all
        if not one.alive
        and filters.labels_match(wanted, one.record.config.labels)
        and (until is None or one.record.created < until)
    ]
    deleted = []
    for container in idle:
        with suppress(Conflict, NotFound):  # started or removed meanwhile
            await engine.containers.life.remove(container)
            deleted.append(container.id)
    return json_reply({"ContainersDeleted": deleted or None, "SpaceReclaimed": 0})


async def wait(engine: Engine, request: Request) -> Answer:
    """The headers at once, the exit code when there is one."""
    condition = request.text("condition") or "not-running"
    if condition not in CONDITIONS:
        raise InvalidRequest(f'invalid condition: "{condition}"', code="invalid-condition", input=condition)
    container = _find(engine, request)
    return Stream(_waited(engine.containers.waiter(container, condition)))


async def _waited(future: asyncio.Future[int]) -> AsyncIterator[bytes]:
    code = await future
    yield encode({"StatusCode": code}) + b"\n"


ROUTES: list[Route] = [
    ("POST", "/containers/create", create),
    ("GET", "/containers/json", list_),
    ("POST", "/containers/prune", prune),
    ("GET", "/containers/{}/json", inspect),
    ("POST", "/containers/{}/start", start),
    ("POST", "/containers/{}/stop", stop),
    ("POST", "/containers/{}/restart", restart),
    ("POST", "/containers/{}/kill", kill),
    ("POST", "/containers/{}/pause", pause),
    ("POST", "/containers/{}/unpause", unpause),
    ("POST", "/containers/{}/resize", resize),
    ("POST", "/containers/{}/rename", rename),
    ("POST", "/containers/{}/wait", wait),
    ("DELETE", "/containers/{}", remove),
]
