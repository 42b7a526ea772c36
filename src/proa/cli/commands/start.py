"""``proa start``: run what was created or has stopped."""

from ...client.engine import Engine
from ...client.wire import quote, target
from ...errors import InvalidRequest
from ..each import each
from ..keys import sequence
from ..options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...client.host import Host
    from ..options import Values


def run(host: "Host", values: "Values", arguments: "list[str]") -> int:
    """Start every container named; with -a or -i one, attached: then its exit code."""
    engine = Engine(host)
    if values.on("attach") or values.on("interactive"):
        return _attached(engine, values, arguments)

    def start(name: str) -> None:
        engine.begin(target(f"/containers/{quote(name)}"))

    return each(values, arguments, start)


def _attached(engine: Engine, values: "Values", arguments: "list[str]") -> int:
    from ..session import Ended, Session

    if len(arguments) > 1:
        raise InvalidRequest("you cannot start and attach multiple containers at once", code="arguments", exit=1)
    keys = sequence(values.text("detach-keys"))
    found = engine.call("GET", target(f"/containers/{quote(arguments[0])}/json"))
    config = found["Config"]
    session = Session(
        engine, found["Id"], tty=config["Tty"], stdin=values.on("interactive") and config["OpenStdin"], stdout=True,
        stderr=True, keys=keys, keys_text=values.text("detach-keys"), proxy=not config["Tty"],
        removed=found["HostConfig"]["AutoRemove"], began=found["State"]["StartedAt"],
    )  # fmt: skip
    try:
        return session.run()
    except Ended as ended:
        ended.error.exit = 1
        raise ended.error from ended


COMMAND = Command(
    "start",
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Start one or more stopped containers",
    (
        ("-a, --attach", "", "Attach STDOUT/STDERR and forward signals"),
        ("--detach-keys", "string", "Override the key sequence for detaching a container"),
        ("-i, --interactive", "", "Attach container's STDIN"),
    ),
    run,
    arguments=(1, -1),
)
