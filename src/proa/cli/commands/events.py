"""``proa events``: what happens, as it happens."""

import time

from ... import NAME, jsontext
from ...client.engine import Engine
from ...client.wire import target
from ...errors import EngineGone
from .. import again, filters
from ..options import Command
from ..output import line, write
from ..template import Template
from ..times import point, show_local

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ...client.host import Host
    from ...client.wire import Response
    from ..options import Values


_NUMBER = f"{NAME}-number"


def run(host: "Host", values: "Values", arguments: "list[str]") -> int:
    """Print events until interrupted, or until --until."""
    query = {
        "filters": filters.encode(values.list("filter")),
        "since": point(values.text("since")) if values.get("since") else None,
        "until": point(values.text("until")) if values.get("until") else None,
    }
    format = values.text("format")
    template = Template(format) if format and format != "json" else None
    for text in _told(Engine(host), query):
        if values.on("json") or format == "json":
            write(1, text + b"\n")
        else:
            event = jsontext.loads(text)
            line(template.render(event) if template else _text(event))
    return 0


def _told(engine: Engine, query: "dict[str, Any]") -> "Iterator[bytes]":
    """Events as they come, each once; where an engine dies, the next one is asked for what is behind the last number.
    An engine that gives no numbers is followed to its end. Raises ProaError."""
    number, began = 0, time.time_ns()
    response: "Response | None" = engine.open("GET", target("/events", **query, **{_NUMBER: "0"}))
    while response is not None:
        try:
            for text in response.lines():
                head, mark, tail = text.rpartition(b',"Number":')
                number = int(tail[:-1]) if mark else -1
                yield head + b"}" if mark else text
            return
        except EngineGone:
            if number < 0:
                raise
            if not number and not query["since"]:
                query = {**query, "since": again.moment(began)}
            response = again.ask(engine, target("/events", **query, **{_NUMBER: str(number)}), query["until"] or "")


def _text(event: "dict[str, Any]") -> str:
    actor = event.get("Actor") or {}
    attributes = actor.get("Attributes") or {}
    words = [show_local(event["timeNano"]), event["Type"], event["Action"], actor.get("ID") or ""]
    text = " ".join(words)
    if attributes:
        text += " (" + ", ".join(f"{key}={attributes[key]}" for key in sorted(attributes)) + ")"
    return text


COMMAND = Command(
    "events",
    "[OPTIONS]",
    "Get real time events from the engine",
    (
        ("-f, --filter", "list", "Filter output based on conditions provided"),
        ("--format", "string", "json or a template: {{.Type}} {{.Action}} {{.Actor.ID}} …"),
        ("--since", "string", "Show all events created since timestamp"),
        ("--until", "string", "Stream events until this timestamp"),
    ),
    run,
)
