"""/images: list, inspect, history, import, tag, remove."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Any

from .. import NAME
from ..dockerapi.decode import encode
from ..engine import filters, times
from ..errors import InvalidRequest, NotFound
from .message import Reply, Request, json_reply
from .routes import Answer, Route

if TYPE_CHECKING:
    from ..engine.wiring import Engine
    from ..image.store import ImageRecord

FILTERS = ("before", "dangling", "label", "label!", "reference", "since", "until")


async def list_(engine: Engine, request: Request) -> Answer:
    """Newest first."""
    wanted = filters.parse(request.text("filters"), FILTERS)
    dangling, references = filters.flag(wanted, "dangling"), _references(wanted)
    since, before = await _span(engine, wanted)
    rows = []
    for record in await engine.images.all():
        names = engine.images.names(record.id)
        if (
            dangling in (None, not names)
            and since < _created(record) < before
            and (not references or any(_glob(name, one) for name in names for one in references))
            and filters.labels_match(wanted, record.defaults.get("Labels") or {})
        ):
            rows.append(_row(engine, record, names, old=request.version < (1, 44)))
    return json_reply(rows)


async def _span(engine: Engine, wanted: filters.Filters) -> tuple[float, float]:
    """Between which moments (ns) it must have been created: what ``since``, ``before`` and ``until`` name. Raises
    NotFound, InvalidRequest."""
    since = [_created(await engine.images.resolve(name)) for name in wanted.get("since", ())]
    before = [_created(await engine.images.resolve(name)) for name in wanted.get("before", ())]
    until = filters.until(wanted)
    if until is not None:
        before.append(until)
    return max(since, default=-math.inf), min(before, default=math.inf)


def _references(wanted: filters.Filters) -> list[str]:
    """The patterns of names. Raises InvalidRequest for a bracket that is not closed, as dockerd does."""
    for one in wanted.get("reference", ()):
        if "]" not in one[one.rfind("[") :] and "[" in one:
            raise InvalidRequest(
                f"invalid filter 'reference={one}': syntax error in pattern", code="invalid-filter", input=one
            )
    return wanted.get("reference", [])


def _glob(name: str, pattern: str) -> bool:
    from fnmatch import fnmatchcase

    return fnmatchcase(name, pattern) or fnmatchcase(name.rpartition(":")[0], pattern)


def _row(engine: Engine, record: ImageRecord, names: list[str], *, old: bool) -> dict[str, Any]:
    row = {
        "Containers": -1,
        "Created": _created(record) // 1_000_000_000,
        "Id": record.id,
        "Labels": record.defaults.get("Labels"),
        "ParentId": "",
        "RepoDigests": [],
        "RepoTags": names,
        "SharedSize": -1,
        "Size": record.size,
    }
    return {**row, "VirtualSize": record.size} if old else row


def _created(record: ImageRecord) -> int:
    try:
        return times.parse_rfc3339(record.created)
    except ValueError:
        return 0


async def inspect(engine: Engine, request: Request) -> Answer:
    """Everything about one."""
    record = await engine.images.resolve(request.name)
    config = record.config
    old: dict[str, Any] = {"VirtualSize": record.size} if request.version < (1, 44) else {}
    if request.version < (1, 45):
        old.update(Container="", ContainerConfig=_config({}))
    return json_reply(
        {
            **old,
            "Id": record.id,
            "RepoTags": engine.images.names(record.id),
            "RepoDigests": [],
            "Parent": "",
            "Comment": (config.get("history") or [{}])[-1].get("comment", ""),
            "Created": record.created,
            "DockerVersion": "",
            "Author": config.get("author", ""),
            "Config": _config(record.defaults),
            "Architecture": record.architecture,
            "Os": record.os,
            "Size": record.size,
            "GraphDriver": {"Data": None, "Name": "overlay"},
            "RootFS": {"Type": "layers", "Layers": list(record.diff_ids)},
            "Metadata": {"LastTagTime": times.rfc3339(engine.images.tagged(record.id))},
        }
    )


def _config(defaults: dict[str, Any]) -> dict[str, Any]:
    base = {
        "Hostname": "",
        "Domainname": "",
        "User": "",
        "AttachStdin": False,
        "AttachStdout": False,
        "AttachStderr": False,
        "Tty": False,
        "OpenStdin": False,
        "StdinOnce": False,
        "Env": None,
        "Cmd": None,
        "Image": "",
        "Volumes": None,
        "WorkingDir": "",
        "Entrypoint": None,
        "OnBuild": None,
        "Labels": None,
    }
    return {**base, **defaults}


async def history(engine: Engine, request: Request) -> Answer:
    """How it was made, newest first."""
    record = await engine.images.resolve(request.name)
    entries = list(reversed(record.config.get("history") or []))
    names = engine.images.names(record.id)
    rows = []
    for index, entry in enumerate(entries):
        rows.append(
            {
                "Comment": entry.get("comment", ""),
                "Created": _created(record) // 1_000_000_000,
                "CreatedBy": entry.get("created_by", ""),
                "Id": record.id if index == 0 else "<missing>",
                "Size": record.size if index == 0 else 0,
                "Tags": names if index == 0 and names else None,
            }
        )
    return json_reply(rows)


async def create(engine: Engine, request: Request) -> Answer:
    """``fromSrc=-``: the body is a root file system's tar. Pulling comes later, and says what works instead."""
    source = request.text("fromSrc")
    if not source:
        shown = engine.images.familiar(request.text("fromImage"), request.text("tag"))
        raise NotFound(
            f"cannot pull {shown}: registries are not supported yet; import a root file system instead: "
            f"{NAME} import FILE.tar {shown}",
            code="no-registry",
            input=shown,
            next_step=f"{NAME} import FILE.tar {shown}",
        )
    if source != "-":
        raise InvalidRequest("only fromSrc=- is supported: send the archive as the body", code="import-source")
    repo, tag = request.text("repo"), request.text("tag")
    record = await engine.images.import_tar(
        request.body.chunks(),
        f"{repo}:{tag}" if repo and tag else repo,
        changes=request.query.get("changes", []),
        message=request.text("message"),
        platform=request.text("platform"),
    )
    return Reply(200, encode({"status": record.id}) + b"\r\n", "application/json")


async def tag(engine: Engine, request: Request) -> Answer:
    """One more name."""
    repo, name = request.text("repo"), request.text("tag")
    await engine.images.tag(request.name, f"{repo}:{name}" if name else repo)
    return Reply(201)


async def remove(engine: Engine, request: Request) -> Answer:
    """Take a name away, and the image with its last one."""
    return json_reply(await engine.images.remove(request.name, force=request.flag("force")))


async def prune(engine: Engine, request: Request) -> Answer:
    """Remove images without a name, or, with dangling=false, all that no container uses."""
    wanted = filters.parse(request.text("filters"), ("dangling", "label", "label!", "until"))
    everything = filters.flag(wanted, "dangling") is False
    until = filters.until(wanted)
    deleted: list[dict[str, str]] = []
    reclaimed = 0
    for record in await engine.images.all():
        idle = not engine.images.users(record.id) and (everything or not engine.images.names(record.id))
        kept = until is not None and _created(record) >= until
        if idle and not kept and filters.labels_match(wanted, record.defaults.get("Labels") or {}):
            deleted += await engine.images.remove(record.id, force=True)
            reclaimed += record.size
    return json_reply({"ImagesDeleted": deleted or None, "SpaceReclaimed": reclaimed})


ROUTES: list[Route] = [
    ("GET", "/images/json", list_),
    ("POST", "/images/create", create),
    ("POST", "/images/prune", prune),
    ("GET", "/images/{}/json", inspect),
    ("GET", "/images/{}/history", history),
    ("POST", "/images/{}/tag", tag),
    ("DELETE", "/images/{}", remove),
]
