"""``proa unpause``: let every process of a container go on."""

from ...client.engine import Engine
from ...client.wire import quote, target
from ..each import each
from ..options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...client.host import Host
    from ..options import Values


def run(host: "Host", values: "Values", arguments: "list[str]") -> int:
    """Unpause every container named."""
    engine = Engine(host)

    def unpause(name: str) -> None:
        engine.modified("POST", target(f"/containers/{quote(name)}/unpause"))

    return each(values, arguments, unpause)


COMMAND = Command(
    "unpause",
    "CONTAINER [CONTAINER...]",
    "Unpause all processes within one or more containers",
    (),
    run,
    arguments=(1, -1),
)
