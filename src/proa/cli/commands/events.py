"""``proa events``: what happens, as it happens."""

from ... import jsontext
from ...client.engine import Engine
from ...client.wire import target
from .. import filters
from ..options import Command
from ..output import line, write
from ..template import Template
from ..times import point, show_local

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ...client.host import Host
    from ..options import Values


def run(host: "Host", values: "Values", arguments: "list[str]") -> int:
    """Print events until interrupted, or until --until."""
    query = target(
        "/events", filters=filters.encode(values.list("filter")),
        since=point(values.text("since")) if values.get("since") else None,
        until=point(values.text("until")) if values.get("until") else None,
    )  # fmt: skip
    format = values.text("format")
    template = Template(format) if format and format != "json" else None
    for text in Engine(host).open("GET", query).lines():
        if values.on("json") or format == "json":
            write(1, text + b"\n")
        else:
            event = jsontext.loads(text)
            line(template.render(event) if template else _text(event))
    return 0


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
