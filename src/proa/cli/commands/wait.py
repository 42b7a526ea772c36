"""``proa wait``: block until containers stop."""

from ...client.engine import Engine
from ...client.wire import closed, quote, target
from ...errors import EngineGone, ProaError
from ..options import Command
from ..output import document, line
from ..report import report
from ..session import status

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...client.host import Host
    from ..options import Values

_ATTEMPTS = 10


def run(host: "Host", values: "Values", arguments: "list[str]") -> int:
    """Print each exit code as it comes, in the order of the names."""
    engine = Engine(host)
    results: list[dict[str, object]] = []
    code = 0
    for name in arguments:
        try:
            ended = _wait(engine, name)
        except ProaError as problem:
            code = 1
            results.append({"Name": name, "StatusCode": None, "Error": problem.to_json()})
            if not values.on("json"):
                report(problem)
            continue
        results.append({"Name": name, "StatusCode": ended, "Error": None})
        if not values.on("json"):
            line(str(ended))
    if values.on("json"):
        document(results)
    return code


def _wait(engine: Engine, name: str) -> int:
    """The exit code; an engine that dies meanwhile is followed by the next, which knows how it ended."""
    for _ in range(_ATTEMPTS):
        try:
            return status(engine.open("POST", target(f"/containers/{quote(name)}/wait")))
        except EngineGone as gone:
            if gone.code != "engine-closed":
                raise
    raise closed()


COMMAND = Command(
    "wait",
    "CONTAINER [CONTAINER...]",
    "Block until one or more containers stop, then print their exit codes",
    (),
    run,
    arguments=(1, -1),
)
