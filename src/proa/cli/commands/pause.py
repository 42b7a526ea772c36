"""``proa pause``: hold every process of a container."""

from ...client.engine import Engine
from ...client.wire import quote, target
from ..each import each
from ..options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...client.host import Host
    from ..options import Values


def run(host: "Host", values: "Values", arguments: "list[str]") -> int:
    """Pause every container named."""
    engine = Engine(host)

    def pause(name: str) -> None:
        engine.modified("POST", target(f"/containers/{quote(name)}/pause"))

    return each(values, arguments, pause)


COMMAND = Command(
    "pause",
    "CONTAINER [CONTAINER...]",
    "Pause all processes within one or more containers",
    (),
    run,
    arguments=(1, -1),
)
