"""``proa inspect``: all that is known of containers and images."""

from ...client.engine import Engine
from ...client.wire import quote, target
from ...errors import InvalidRequest, NotFound, ProaError
from ..options import Command
from ..output import document, line, text
from ..report import report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ...client.host import Host
    from ..options import Values

_KINDS = ("container", "image")


def run(host: "Host", values: "Values", arguments: "list[str]") -> int:
    """Print a JSON list, or --format for each. What is not there is told; then the exit code is 1."""
    kind = values.text("type")
    if kind and kind not in _KINDS:
        what = f'"{kind}" is not a valid value for --type'
        raise InvalidRequest(what, code="invalid-type", input=kind, next_step="use container or image", exit=1)
    engine = Engine(host)
    found: list[Any] = []
    problems: list[ProaError] = []
    for name in arguments:
        try:
            found.append(_find(engine, name, kind, values.on("size")))
        except ProaError as problem:
            problems.append(problem)
    _print(values, found)
    for each in problems:
        report(each, values.on("json"))
    return 1 if problems else 0


def _find(engine: Engine, name: str, kind: str, size: bool) -> "Any":
    for each in (kind,) if kind else _KINDS:
        try:
            return engine.call("GET", target(f"/{each}s/{quote(name)}/json", size=size and each == "container"))
        except NotFound:
            if kind:
                raise
    raise NotFound(f"No such object: {name}", code="no-such-object", input=name)


def _print(values: "Values", found: "list[Any]") -> None:
    format = values.text("format")
    if values.on("json"):
        document(found)
    elif not format:
        from ..jsonview import indented

        text(indented(found) + "\n")
    else:
        from ..template import Template

        template = Template("{{json .}}" if format == "json" else format)
        for each in found:
            line(template.render(each))


COMMAND = Command(
    "inspect",
    "[OPTIONS] NAME|ID [NAME|ID...]",
    "Return low-level information on containers and images",
    (
        ("-f, --format", "string", "json or a template: {{.State.Pid}}, {{json .Config.Env}} …"),
        ("-s, --size", "", "Display total file sizes if the type is container"),
        ("--type", "string", "Only inspect objects of the given type: container or image"),
    ),
    run,
    arguments=(1, -1),
)
