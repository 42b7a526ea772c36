"""``proa create``: as ``run``, without running it."""

from ...client.engine import Engine
from ...errors import ProaError
from ..creation import cidfile, create
from ..options import Command
from ..output import document, line
from ..request import OPTIONS, Streams, body

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...client.host import Host
    from ..options import Values


def run(host: "Host", values: "Values", arguments: "list[str]") -> int:
    """Create a container and print its id."""
    request = body(values, arguments, Streams(values))
    with cidfile(values.text("cidfile")) as note:
        try:
            created = create(Engine(host), values, request)
        except ProaError as problem:
            problem.exit = 1
            raise
        note(created["Id"])
    if values.on("json"):
        document(created)
    else:
        line(created["Id"])
    return 0


COMMAND = Command(
    "create",
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    "Create a new container",
    OPTIONS,
    run,
    arguments=(1, -1),
    interspersed=False,
)
