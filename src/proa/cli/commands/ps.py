"""``proa ps``: the containers."""

from ...client.engine import Engine
from ...client.wire import target
from .. import filters
from ..options import Command
from ..output import document, text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ...client.host import Host
    from ..options import Values

_TABLE = "{{.ID}}\t{{.Image}}\t{{.Command}}\t{{.RunningFor}}\t{{.Status}}\t{{.Ports}}\t{{.Names}}"
_HEADS = {
    "ID": "CONTAINER ID", "Image": "IMAGE", "Command": "COMMAND", "CreatedAt": "CREATED AT", "RunningFor": "CREATED",
    "Status": "STATUS", "State": "STATE", "Ports": "PORTS", "Names": "NAMES", "Labels": "LABELS", "Size": "SIZE",
    "Mounts": "MOUNTS", "Networks": "NETWORKS", "LocalVolumes": "LOCAL VOLUMES",
}  # fmt: skip


def run(host: "Host", values: "Values", arguments: "list[str]") -> int:
    """Print the containers that run, or all (-a)."""
    found = _fetch(Engine(host), values)
    if values.on("json"):
        document(found)
    elif values.on("quiet") and not values.text("format"):
        cut = None if values.on("no-trunc") else 12
        text("".join(each["Id"][:cut] + "\n" for each in found))
    else:
        from ..listing import show

        format = values.text("format")
        if values.on("quiet"):
            format = "{{.ID}}" if format in ("table", "json") or format.startswith("table ") else format
        table = _TABLE + "\t{{.Size}}" if values.on("size") else _TABLE
        show([row(each, not values.on("no-trunc")) for each in found], format, table, _HEADS)
    return 0


def _fetch(engine: Engine, values: "Values") -> "list[dict[str, Any]]":
    last = 1 if values.on("latest") else values.number("last", -1)
    query = target(
        "/containers/json", all=values.on("all") or last > 0, limit=last if last > 0 else None,
        size=values.on("size"), filters=filters.encode(values.list("filter")),
    )  # fmt: skip
    return engine.call("GET", query) or []


def row(found: "dict[str, Any]", cut: bool) -> "dict[str, Any]":
    """One container as its row: docker's fields by docker's names; ``cut``: shortened as a table shows it."""
    import time

    from ..quantities import human_duration, human_size
    from ..table import quote, shorten
    from ..times import show_date

    command = found.get("Command") or ""
    names = [name.lstrip("/") for name in found.get("Names") or ()]
    if cut:
        names = [name for name in names if "/" not in name]
    mounts = [mount.get("Name") or mount.get("Source") or "" for mount in found.get("Mounts") or ()]
    image = found.get("Image") or "<no image>"
    size = human_size(found.get("SizeRw") or 0)
    if found.get("SizeRootFs"):
        size += f" (virtual {human_size(found['SizeRootFs'])})"
    return {
        "Command": quote(shorten(command, 20) if cut else command),
        "CreatedAt": show_date(found["Created"]),
        "ID": found["Id"][:12] if cut else found["Id"],
        "Image": _short_image(image) if cut else image,
        "Labels": ",".join(f"{key}={value}" for key, value in sorted((found.get("Labels") or {}).items())),
        "LocalVolumes": str(sum(1 for mount in found.get("Mounts") or () if mount.get("Type") == "volume")),
        "Mounts": ",".join(shorten(name, 15) if cut else name for name in mounts),
        "Names": ",".join(names),
        "Networks": ",".join(sorted((found.get("NetworkSettings") or {}).get("Networks") or {})),
        "Platform": None,
        "Ports": "",
        "RunningFor": human_duration(time.time() - found["Created"]) + " ago",
        "Size": size,
        "State": found.get("State") or "",
        "Status": found.get("Status") or "",
    }


def _short_image(image: str) -> str:
    digest = image.removeprefix("sha256:")
    return digest[:12] if len(digest) == 64 and image.startswith("sha256:") else image


COMMAND = Command(
    "ps",
    "[OPTIONS]",
    "List containers",
    (
        ("-a, --all", "", "Show all containers (default shows just running)"),
        ("-f, --filter", "list", "Filter output based on conditions provided"),
        ("--format", "string", "table, json, a template, or 'table TEMPLATE': {{.ID}} {{.Names}} {{.Status}} …"),
        ("-n, --last", "int", "Show n last created containers (includes all states)"),
        ("-l, --latest", "", "Show the latest created container (includes all states)"),
        ("--no-trunc", "", "Don't truncate output"),
        ("-q, --quiet", "", "Only display container IDs"),
        ("-s, --size", "", "Display total file sizes"),
    ),
    run,
)
