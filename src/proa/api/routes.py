"""Which handler answers which path. One table; image names may hold slashes, so their paths are matched by suffix."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable
from typing import TYPE_CHECKING, TypeAlias

from ..errors import InvalidRequest, NotFound
from . import versions
from .message import Hijack, Reply, Request, Stream

if TYPE_CHECKING:
    from ..engine.wiring import Engine

Answer: TypeAlias = Reply | Stream | Hijack
Handler: TypeAlias = "Callable[[Engine, Request], Awaitable[Answer]]"
Route: TypeAlias = tuple[str, str, Handler]

IMAGE_VERBS = frozenset({"json", "history", "tag", "push", "get"})


class Routes:
    """``{}`` in a pattern is the one name in a path: a container, an exec, an image."""

    def __init__(self, routes: Iterable[Route]) -> None:
        self._fixed: dict[tuple[str, str], Handler] = {}
        self._named: dict[tuple[str, str, str], Handler] = {}
        for method, pattern, handler in routes:
            if "{}" not in pattern:
                self._fixed[method, pattern] = handler
                continue
            first, _, verb = pattern.strip("/").partition("/{}")
            self._named[method, first, verb.strip("/")] = handler

    def find(self, request: Request) -> Handler:
        """The handler; puts the name that the path holds into ``request.name``. Raises NotFound."""
        path = request.path.rstrip("/") or "/"
        method = "GET" if request.method == "HEAD" and (request.method, path) not in self._fixed else request.method
        fixed = self._fixed.get((method, path))
        if fixed is not None:
            return fixed
        first, _, rest = path.strip("/").partition("/")
        name, verb = _split_image(rest) if first == "images" else _split(rest)
        named = self._named.get((request.method, first, verb)) or self._named.get((method, first, verb))
        if named is None or not name:
            raise NotFound("page not found", code="no-such-route", input=path)
        request.name = name
        return named


def _split(rest: str) -> tuple[str, str]:
    name, _, verb = rest.partition("/")
    return name, verb


def _split_image(rest: str) -> tuple[str, str]:
    name, slash, verb = rest.rpartition("/")
    return (name, verb) if slash and verb in IMAGE_VERBS else (rest, "")


def split_version(path: str) -> tuple[tuple[int, int], str]:
    """``/v1.41/info`` as ((1, 41), "/info"); without a version the newest. Raises InvalidRequest for one not spoken."""
    if not path.startswith("/v"):
        return versions.NEWEST, path
    text, slash, rest = path[2:].partition("/")
    major, dot, minor = text.partition(".")
    if not (dot and major.isdecimal() and minor.isdecimal()):
        return versions.NEWEST, path
    if len(text) > 12:
        raise InvalidRequest("malformed API version", code="malformed-version", input=text)
    version = (int(major), int(minor))
    versions.check(version)
    return version, slash + rest
