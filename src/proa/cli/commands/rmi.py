"""``proa rmi``: remove images, or names of images."""

from ...client.engine import Engine
from ...client.wire import quote, target
from ...errors import ProaError
from ..options import Command
from ..output import document, line
from ..report import report

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...client.host import Host
    from ..options import Values


def run(host: "Host", values: "Values", arguments: "list[str]") -> int:
    """Remove every image named and print what went."""
    engine = Engine(host)
    gone: list[dict[str, str]] = []
    code = 0
    for name in arguments:
        query = target(f"/images/{quote(name)}", force=values.on("force"), noprune=values.on("no-prune"))
        try:
            gone += engine.call("DELETE", query) or []
        except ProaError as problem:
            code = 1
            report(problem, values.on("json"))
    if values.on("json"):
        document(gone)
    else:
        for each in gone:
            for what, image in each.items():
                line(f"{what}: {image}")
    return code


COMMAND = Command(
    "rmi",
    "[OPTIONS] IMAGE [IMAGE...]",
    "Remove one or more images",
    (
        ("-f, --force", "", "Force removal of the image"),
        ("--no-prune", "", "Do not delete untagged parents"),
    ),
    run,
    arguments=(1, -1),
)
