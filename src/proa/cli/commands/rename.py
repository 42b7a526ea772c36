"""``proa rename``: another name for a container."""

from ...client.engine import Engine
from ...client.wire import quote, target
from ..options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...client.host import Host
    from ..options import Values


def run(host: "Host", values: "Values", arguments: "list[str]") -> int:
    """Rename; prints nothing."""
    old, new = arguments
    Engine(host).modified("POST", target(f"/containers/{quote(old)}/rename", name=new))
    return 0


COMMAND = Command("rename", "CONTAINER NEW_NAME", "Rename a container", (), run, arguments=(2, 2))
