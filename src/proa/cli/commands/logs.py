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
    from ..following import Following
    from ..options import Values


def run(host: "Host", values: "Values", arguments: "list[str]") -> int:
    """Print the log; with -f until the container ends."""
    engine = Engine(host)
    path = f"/containers/{quote(arguments[0])}"
    query = {
        "stdout": 1, "stderr": 1, "follow": values.on("follow"), "timestamps": values.on("timestamps"),
        "tail": values.get("tail"), "since": _point(values, "since"), "until": _point(values, "until"),
    }  # fmt: skip
    if values.on("follow"):
        from ..following import Following

        following = Following(engine, path + "/logs", query)
        if following.stamped:
            _records(following, values)
            return 0
        response = following.response
    else:
        response = engine.open("GET", target(path + "/logs", **query))
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


def _records(following: "Following", values: "Values") -> None:
    stamped = values.on("timestamps")
    lines = _Lines(stamped)
    for found in following.records():
        for kind, stamp, data in found:
            text = stamp + b" " + data if stamped else data
            if values.on("json"):
                lines.add(kind, text)
            else:
                write(2 if kind == STDERR else 1, text)
    lines.end()


class _Lines:
    """Whole lines as JSON objects: stream, log, and time where timestamps were asked for."""

    def __init__(self, stamped: bool) -> None:
        self._stamped = stamped
        self._rests = {1: b"", 2: b""}

    def add(self, kind: int, data: bytes) -> None:
        """More of stream ``kind``."""
        *lines, self._rests[kind] = (self._rests.get(kind, b"") + data).split(b"\n")
        for line in lines:
            _object(kind, line, self._stamped)

    def end(self) -> None:
        """What has no end of line."""
        for kind, rest in self._rests.items():
            if rest:
                _object(kind, rest, self._stamped)


def _objects(response: "Response", stamped: bool) -> None:
    demultiplexer, lines = Demultiplexer(), _Lines(stamped)
    framed = "multiplexed" in response.headers.get("content-type", "")
    for data in response.pieces():
        for kind, piece in demultiplexer.feed(data) if framed else ((1, data),):
            lines.add(kind, piece)
    lines.end()


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
