"""Ping, version, info, and what Docker's API lacks: who this engine is."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from .. import NAME, __version__
from . import versions
from .message import Reply, Request, json_reply
from .routes import Answer, Route

if TYPE_CHECKING:
    from ..engine.wiring import Engine

PING_HEADERS = (
    ("Builder-Version", "2"),
    ("Cache-Control", "no-cache, no-store, must-revalidate"),
    ("Pragma", "no-cache"),
    ("Swarm", "inactive"),
)


async def ping(engine: Engine, request: Request) -> Answer:
    """Every client's first request."""
    return Reply(200, b"OK", "text/plain; charset=utf-8", PING_HEADERS)


async def version(engine: Engine, request: Request) -> Answer:
    """What ``docker version`` shows."""
    kernel = os.uname()
    host = engine.info.host
    details = {
        "ApiVersion": versions.text(versions.NEWEST),
        "Arch": host.architecture,
        "BuildTime": "",
        "Experimental": "false",
        "GitCommit": "",
        "GoVersion": "",
        "KernelVersion": kernel.release,
        "MinAPIVersion": versions.text(versions.OLDEST),
        "Os": "linux",
    }
    return json_reply(
        {
            "Platform": {"Name": NAME.capitalize()},
            "Components": [{"Name": "Engine", "Version": __version__, "Details": details}],
            "Version": __version__,
            "ApiVersion": versions.text(versions.NEWEST),
            "MinAPIVersion": versions.text(versions.OLDEST),
            "GitCommit": "",
            "GoVersion": "",
            "Os": "linux",
            "Arch": host.architecture,
            "KernelVersion": kernel.release,
            "BuildTime": "",
        }
    )


async def info(engine: Engine, request: Request) -> Answer:
    """What ``docker info`` shows, with our hulls beside it."""
    return json_reply(await engine.info.gather())


async def engine(engine: Engine, request: Request) -> Answer:
    """Which process answers, and what it is."""
    return json_reply(
        {
            "Pid": os.getpid(),
            "Id": engine.id,
            "Version": __version__,
            "State": engine.places.state,
            "Run": engine.places.run,
            "Socket": engine.places.socket,
        }
    )


async def stop(engine: Engine, request: Request) -> Answer:
    """End this engine once the answer is out; with ``all`` its containers first."""
    if request.flag("all"):
        await engine.containers.stop_all(request.seconds())
    engine.request_stop()
    return Reply(204)


ROUTES: list[Route] = [
    ("GET", "/_ping", ping),
    ("HEAD", "/_ping", ping),
    ("GET", "/version", version),
    ("GET", "/info", info),
    ("GET", f"/{NAME}/v1/engine", engine),
    ("POST", f"/{NAME}/v1/engine/stop", stop),
]
