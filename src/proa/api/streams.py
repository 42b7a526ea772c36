"""/containers: attach and logs."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from .. import NAME
from ..dockerapi.frames import STAMPED
from ..engine import logs as log
from ..engine import times
from ..engine.execs import check_detach_keys
from ..engine.launch import log_path
from ..errors import InvalidRequest
from ..hull.contract import Attachment
from .message import Hijack, Request, Stream
from .routes import Answer, Route

if TYPE_CHECKING:
    from ..engine.container import Container
    from ..engine.wiring import Engine

RAW = "application/vnd.docker.raw-stream"
MULTIPLEXED = "application/vnd.docker.multiplexed-stream"
HEAD_SECONDS = 0.004
"""Between a 101 head and the first byte of a stream that runs: docker-py drops what comes in the same read."""


def content_type(request: Request, terminal: bool) -> str:
    """What a stream is called: frames have a name of their own from API 1.42."""
    return RAW if terminal or request.version < (1, 42) else MULTIPLEXED


async def attach(engine: Engine, request: Request) -> Answer:
    """The client's connection becomes the program's streams."""
    container = engine.containers.all.find(request.name)
    container.may("attach")
    terminal, ran = container.record.config.tty, container.alive
    wanted = Attachment(
        stdin=request.flag("stdin") and container.record.config.open_stdin,
        stdout=request.flag("stdout"),
        stderr=request.flag("stderr"),
        logs=request.flag("logs"),
        stream=request.flag("stream"),
        mux=not terminal,
        detach_keys=check_detach_keys(request.text("detachKeys")),
    )

    async def take(fd: int, early: bytes) -> None:
        if ran:
            await asyncio.sleep(HEAD_SECONDS)
        await engine.containers.life.attach(container, _with(wanted, early), fd, ran=ran)

    return Hijack(take, content_type(request, terminal), not terminal)


def _with(wanted: Attachment, early: bytes) -> Attachment:
    return Attachment(
        wanted.stdin,
        wanted.stdout,
        wanted.stderr,
        wanted.logs,
        wanted.stream,
        wanted.mux,
        wanted.detach_keys,
        early,
    )


async def logs(engine: Engine, request: Request) -> Answer:
    """What the program said, and with ``follow`` what it goes on to say. A client of ours may ask for stamped records:
    with them it can go on where an engine has died over it."""
    container = engine.containers.all.find(request.name)
    if not (request.flag("stdout") or request.flag("stderr")):
        raise InvalidRequest("Bad parameters: you must choose at least one stream", code="no-stream")
    terminal, stamped = container.record.config.tty, request.flag(f"{NAME}-stamped")
    query = log.Query(
        stdout=request.flag("stdout"),
        stderr=request.flag("stderr"),
        since=_moment(request, "since"),
        until=_moment(request, "until"),
        tail=_tail(request.text("tail")),
        timestamps=request.flag("timestamps") or stamped,
        follow=request.flag("follow"),
        mux=not terminal or stamped,
    )
    path = log_path(engine.places, container.id)
    kind = STAMPED if stamped else content_type(request, terminal)
    return Stream(log.read(path, query, lambda: _says_more(container)), kind)


def _says_more(container: Container) -> bool:
    return container.alive and not container.gone


def _moment(request: Request, key: str) -> int:
    text = request.text(key)
    return times.parse(text) if text and text != "0" else 0


def _tail(text: str) -> int:
    """Lines from the end, negative for all; what is no number means all, as dockerd has it."""
    try:
        return int(text)
    except ValueError:
        return -1


ROUTES: list[Route] = [
    ("POST", "/containers/{}/attach", attach),
    ("GET", "/containers/{}/logs", logs),
]
