"""``proa tag``: one more name for an image."""

from ...client.engine import Engine
from ...client.wire import quote, target
from ..options import Command
from ..references import split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...client.host import Host
    from ..options import Values


def run(host: "Host", values: "Values", arguments: "list[str]") -> int:
    """Tag; prints nothing."""
    source, name = arguments
    repository, tag = split(name)
    Engine(host).modified("POST", target(f"/images/{quote(source)}/tag", repo=repository, tag=tag or None))
    return 0


COMMAND = Command(
    "tag", "SOURCE_IMAGE[:TAG] TARGET_IMAGE[:TAG]", "Give an image one more name", (), run, arguments=(2, 2)
)
