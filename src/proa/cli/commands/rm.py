"""``proa rm``: remove containers."""

from ...client.engine import Engine
from ...client.wire import quote, target
from ...errors import NotFound
from ..each import each
from ..options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...client.host import Host
    from ..options import Values


def run(host: "Host", values: "Values", arguments: "list[str]") -> int:
    """Remove every container named."""
    engine = Engine(host)
    query = {"force": values.on("force"), "v": values.on("volumes")}

    def remove(name: str) -> None:
        try:
            engine.modified("DELETE", target(f"/containers/{quote(name)}", **query))
        except NotFound:
            if not values.on("force"):
                raise

    return each(values, arguments, remove)


COMMAND = Command(
    "rm",
    "[OPTIONS] CONTAINER [CONTAINER...]",
    "Remove one or more containers",
    (
        ("-f, --force", "", "Force the removal of a running container (uses SIGKILL)"),
        ("-v, --volumes", "", "Remove anonymous volumes associated with the container"),
    ),
    run,
    arguments=(1, -1),
)
