"""``proa images``: the images."""

from ...client.engine import Engine
from ...client.wire import target
from .. import filters
from ..listing import show
from ..options import Command
from ..output import document, text
from ..references import split

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ...client.host import Host
    from ..options import Values

_TABLE = "{{.Repository}}\t{{.Tag}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}"
_DIGESTS = "{{.Repository}}\t{{.Tag}}\t{{.Digest}}\t{{.ID}}\t{{.CreatedSince}}\t{{.Size}}"
_HEADS = {
    "Repository": "REPOSITORY", "Tag": "TAG", "Digest": "DIGEST", "ID": "IMAGE ID", "CreatedSince": "CREATED",
    "CreatedAt": "CREATED AT", "Size": "SIZE", "Containers": "CONTAINERS", "SharedSize": "SHARED SIZE",
    "UniqueSize": "UNIQUE SIZE",
}  # fmt: skip
_NONE = "<none>"


def run(host: "Host", values: "Values", arguments: "list[str]") -> int:
    """Print the images, or those of one repository."""
    asked = values.list("filter") + [f"reference={name}" for name in arguments]
    query = target("/images/json", all=values.on("all"), filters=filters.encode(asked))
    found = Engine(host).call("GET", query) or []
    if values.on("json"):
        document(found)
        return 0
    digests = values.on("digests")
    rows = [row for image in found for row in _rows(image, not values.on("no-trunc"), digests)]
    if values.on("quiet") and not values.text("format"):
        text("".join(f"{row['ID']}\n" for row in rows))
    else:
        show(rows, values.text("format"), _DIGESTS if digests else _TABLE, _HEADS)
    return 0


def _rows(image: "dict[str, Any]", cut: bool, digests: bool) -> "list[dict[str, str]]":
    """A row for each name of an image."""
    import time

    from ..quantities import human_duration, human_size
    from ..times import show_date

    size = human_size(image.get("Size") or 0)
    common = {
        "ID": image["Id"].removeprefix("sha256:")[:12] if cut else image["Id"],
        "CreatedSince": human_duration(time.time() - image["Created"]) + " ago" if image["Created"] > 0 else "N/A",
        "CreatedAt": show_date(image["Created"]),
        "Size": size,
        "Containers": "N/A",
        "SharedSize": "N/A",
        "UniqueSize": "N/A",
        "VirtualSize": human_size(image.get("Size") or 0, 4),
    }
    known = {entry.partition("@")[0]: entry.partition("@")[2] for entry in image.get("RepoDigests") or ()}
    rows = []
    for name in image.get("RepoTags") or [f"{_NONE}:{_NONE}"]:
        repository, tag = split(name)
        rows.append({"Repository": repository, "Tag": tag, "Digest": known.get(repository, _NONE), **common})
    return rows


COMMAND = Command(
    "images",
    "[OPTIONS] [REPOSITORY[:TAG]]",
    "List images",
    (
        ("-a, --all", "", "Show all images (default hides intermediate images)"),
        ("--digests", "", "Show digests"),
        ("-f, --filter", "list", "Filter output based on conditions provided"),
        ("--format", "string", "table, json, a template, or 'table TEMPLATE': {{.ID}} {{.Repository}} {{.Size}} …"),
        ("--no-trunc", "", "Don't truncate output"),
        ("-q, --quiet", "", "Only show image IDs"),
    ),
    run,
    arguments=(0, 1),
)
