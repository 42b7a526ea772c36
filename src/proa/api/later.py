"""Routes of Docker's API that come later: 501, naming the command that a person typed, in place of `page not found`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..engine.unsupported import not_yet
from .message import Request
from .routes import Answer, Handler, Route

if TYPE_CHECKING:
    from ..engine.wiring import Engine

_COMMANDS = (
    ("GET", "/containers/{}/archive", "cp"),
    ("HEAD", "/containers/{}/archive", "cp"),
    ("PUT", "/containers/{}/archive", "cp"),
    ("GET", "/containers/{}/top", "top"),
    ("GET", "/containers/{}/stats", "stats"),
    ("GET", "/containers/{}/changes", "diff"),
    ("GET", "/containers/{}/export", "export"),
    ("POST", "/containers/{}/update", "update"),
    ("POST", "/commit", "commit"),
    ("POST", "/build", "build"),
    ("POST", "/build/prune", "builder prune"),
    ("POST", "/auth", "login"),
    ("GET", "/system/df", "system df"),
    ("GET", "/images/search", "search"),
    ("GET", "/images/get", "save"),
    ("GET", "/images/{}/get", "save"),
    ("POST", "/images/load", "load"),
    ("POST", "/images/{}/push", "push"),
    ("POST", "/networks/create", "network create"),
    ("POST", "/networks/{}/connect", "network connect"),
    ("POST", "/networks/{}/disconnect", "network disconnect"),
    ("POST", "/volumes/create", "volume create"),
)


def _handler(command: str) -> Handler:
    async def refuse(engine: Engine, request: Request) -> Answer:
        raise not_yet(command, "container")

    return refuse


ROUTES: list[Route] = [(method, path, _handler(command)) for method, path, command in _COMMANDS]
