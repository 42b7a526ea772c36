"""``proa restart``: stop and start again."""

from ...client.engine import Engine
from ...client.wire import quote, target
from ..each import each
from ..options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...client.host import Host
    from ..options import Values


def run(host: "Host", values: "Values", arguments: "list[str]") -> int:
    """Restart every container named."""
    engine = Engine(host)
    query = {"signal": values.get("signal"), "t": values.get("timeout")}

    def restart(name: str) -> None:
        engine.modified("POST", target(f"/containers/{quote(name)}/restart", **query))

    return each(values, arguments, restart)


COMMAND = Command(
    "restart",
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Restart one or more containers",
    (
        ("-s, --signal", "string", "Signal to send to the container"),
        ("-t, --time, --timeout", "int", "Seconds to wait before killing the container"),
    ),
    run,
    arguments=(1, -1),
)
