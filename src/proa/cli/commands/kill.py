"""``proa kill``: send a signal to the program."""

from ...client.engine import Engine
from ...client.wire import quote, target
from ..each import each
from ..options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...client.host import Host
    from ..options import Values


def run(host: "Host", values: "Values", arguments: "list[str]") -> int:
    """Signal every container named."""
    engine = Engine(host)
    signal = values.get("signal")

    def kill(name: str) -> None:
        engine.modified("POST", target(f"/containers/{quote(name)}/kill", signal=signal))

    return each(values, arguments, kill)


COMMAND = Command(
    "kill",
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Kill one or more running containers",
    (("-s, --signal", "string", "Signal to send to the container"),),
    run,
    arguments=(1, -1),
)
