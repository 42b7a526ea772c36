"""``proa logs``: what a container has written."""

from ...client.engine import Engine
from ...client.wire import quote, target
from ...dockerapi.frames import STDERR, SYSTEM_ERROR, Demultiplexer
from ..options import Command
from ..output import document, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...client.host import Host
    from ...client.wire import Response
    from ..options import Values


def run(host: "Host", values: "Values", arguments: "list[str]") -> int:
    """Print the log; with -f until the container ends."""
    engine = Engine(host)
    path = f"/containers/{quote(arguments[0])}"
    query = target(
        path + "/logs", stdout=1, stderr=1, follow=values.on("follow"), timestamps=values.on("timestamps"),
        tail=values.get("tail"), since=_point(values, "since"), until=_point(values, "until"),
    )  # fmt: skip
    response = engine.open("GET", query)
    if values.on("json"):
        _objects(response, values.on("timestamps"))
    elif _multiplexed(engine, path, response):
        _frames(response)
    else:
        for piece in response.pieces():
            write(1, piece)
    return 0


def _point(values: "Values", name: str) -> str | None:
    if not values.get(name):
        return None
    from ..times import point

    return point(values.text(name))


def _multiplexed(engine: Engine, path: str, response: "Response") -> bool:
    kind = response.headers.get("content-type", "")
    if kind:
        return "multiplexed" in kind
    return not engine.call("GET", target(path + "/json"))["Config"]["Tty"]


def _frames(response: "Response") -> None:
    demultiplexer = Demultiplexer()
    for data in response.pieces():
        for kind, piece in demultiplexer.feed(data):
            write(2 if kind in (STDERR, SYSTEM_ERROR) else 1, piece)


def _objects(response: "Response", stamped: bool) -> None:
    """A JSON object for each line: stream, log, and time where timestamps were asked for."""
    demultiplexer = Demultiplexer()
    framed = "multiplexed" in response.headers.get("content-type", "")
    rests = {1: b"", 2: b""}
    for data in response.pieces():
        for kind, piece in demultiplexer.feed(data) if framed else ((1, data),):
            *lines, rests[kind] = (rests.get(kind, b"") + piece).split(b"\n")
            for line in lines:
                _object(kind, line, stamped)
    for kind, rest in rests.items():
        if rest:
            _object(kind, rest, stamped)


def _object(kind: int, line: bytes, stamped: bool) -> None:
    text = line.decode("utf-8", "replace")
    found = {"stream": "stderr" if kind == STDERR else "stdout"}
    if stamped:
        found["time"], _, text = text.partition(" ")
    document({**found, "log": text})


COMMAND = Command(
    "logs",
    "[OPTIONS] CONTAINER",
    "Fetch the logs of a container",
    (
        ("-f, --follow", "", "Follow log output"),
        ("--since", "string", 'Show logs since timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m")'),
        ("-n, --tail", "string", 'Number of lines to show from the end of the logs (default "all")'),
        ("-t, --timestamps", "", "Show timestamps"),
        ("--until", "string", 'Show logs before a timestamp (e.g. "2013-01-02T13:23:37Z") or relative (e.g. "42m")'),
    ),
    run,
    arguments=(1, 1),
)
