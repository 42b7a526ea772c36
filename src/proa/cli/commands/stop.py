"""``proa stop``: ask programs to end, then end them."""

from ...client.engine import Engine
from ...client.wire import quote, target
from ..each import each
from ..options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...client.host import Host
    from ..options import Values


def run(host: "Host", values: "Values", arguments: "list[str]") -> int:
    """Stop every container named."""
    engine = Engine(host)
    query = {"signal": values.get("signal"), "t": values.get("timeout")}

    def stop(name: str) -> None:
        engine.modified("POST", target(f"/containers/{quote(name)}/stop", **query))

    return each(values, arguments, stop)


COMMAND = Command(
    "stop",
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Stop one or more running containers",
    (
        ("-s, --signal", "string", "Signal to send to the container"),
        ("-t, --time, --timeout", "int", "Seconds to wait before killing the container"),
    ),
    run,
    arguments=(1, -1),
)
