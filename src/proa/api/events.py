"""/events: what happened, and what happens."""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable
from typing import TYPE_CHECKING, Any

from .. import NAME
from ..dockerapi.decode import encode
from ..engine import filters, times
from .message import Request, Stream
from .routes import Answer, Route

if TYPE_CHECKING:
    from ..engine.events import Event
    from ..engine.wiring import Engine

NUMBER = f"{NAME}-number"
FILTERS = "config container daemon event image label network node plugin scope secret service type volume".split()


async def follow(engine: Engine, request: Request) -> Answer:
    """From ``since`` (else now) to ``until`` (else for ever). A client of ours may ask for numbers (0), and for what is
    behind a number: with them it can go on where an engine has died over it."""
    wanted = filters.parse(request.text("filters"), FILTERS)
    since, until = request.text("since"), request.text("until")
    start = engine.events.since(times.parse(since)) if since else engine.events.last
    end = times.parse(until) if until else None
    old, numbered = request.version < (1, 52), bool(request.text(NUMBER))

    def show(event: Event) -> bytes:
        text = encode(_shape(event, old=old))
        return text[:-1] + b',"Number":%d}\n' % event.seq if numbered else text + b"\n"

    return Stream(_pieces(engine, request.number(NUMBER, 0) or start, end, wanted, show))


async def _pieces(
    engine: Engine, start: int, end: int | None, wanted: filters.Filters, show: Callable[[Event], bytes]
) -> AsyncIterator[bytes]:
    async for batch in engine.events.follow(start, end):
        shown = [show(event) for event in batch if matches(event, wanted)]
        if shown:
            yield b"".join(shown)


def matches(event: Event, wanted: filters.Filters) -> bool:
    """Whether an event passes the filters; ``event=exec_start`` also means ``exec_start: CMD``."""
    return (
        filters.any_of(wanted, "type", event.type)
        and filters.any_of(wanted, "event", event.action, event.action.partition(":")[0])
        and filters.any_of(wanted, "scope", "local")
        and filters.labels_match({k: v for k, v in wanted.items() if k == "label"}, event.attributes)
        and all(_actor(event, kind, wanted) for kind in ("container", "image", "network", "volume"))
    )


def _actor(event: Event, kind: str, wanted: filters.Filters) -> bool:
    names = wanted.get(kind)
    if not names:
        return True
    if kind == "image":
        image = event.id if event.type == "image" else event.attributes.get("image", "")
        known = (image, event.attributes.get("name", "")) if event.type == "image" else (image,)
        return any(name in known or any(one.partition(":")[0] == name for one in known) for name in names)
    if event.type != kind:
        return False
    return any(event.id.startswith(name) or event.attributes.get("name") == name.removeprefix("/") for name in names)


def _shape(event: Event, *, old: bool) -> dict[str, Any]:
    """``old``: below API 1.52 the actor's id and the action are repeated at the top."""
    shape: dict[str, Any] = {}
    if old:
        shape = {"status": event.action, "id": event.id}
        if event.type == "container":
            shape["from"] = event.attributes.get("image", "")
    return {
        **shape,
        "Type": event.type,
        "Action": event.action,
        "Actor": {"ID": event.id, "Attributes": dict(sorted(event.attributes.items()))},
        "scope": "local",
        "time": event.time // 1_000_000_000,
        "timeNano": event.time,
        "Sequence": event.seq,
    }


ROUTES: list[Route] = [("GET", "/events", follow)]
