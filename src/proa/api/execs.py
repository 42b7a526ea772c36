"""/exec, and /containers/{}/exec."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from ..dockerapi.decode import decode
from ..dockerapi.execs import ExecCreate, ExecStart
from .containers import size_of
from .message import Hijack, Reply, Request, json_reply
from .routes import Answer, Route
from .streams import HEAD_SECONDS, content_type

if TYPE_CHECKING:
    from ..engine.records import Exec
    from ..engine.wiring import Engine


async def create(engine: Engine, request: Request) -> Answer:
    """201 with the exec's id."""
    body = decode(await request.json_body(), ExecCreate)
    exec = engine.execs.create(engine.containers.all.find(request.name), body)
    return json_reply({"Id": exec.id}, 201)


async def start(engine: Engine, request: Request) -> Answer:
    """Its output on this connection, or nothing if detached."""
    body = decode(await request.json_body(), ExecStart)
    exec = engine.execs.find(request.name)
    engine.execs.may_start(exec)
    size = body.console_size
    if body.detach:
        await engine.execs.start(exec.id, None, console_size=size)
        return Reply(200)

    async def take(fd: int, early: bytes) -> None:
        await asyncio.sleep(HEAD_SECONDS)
        await engine.execs.start(exec.id, fd, early=early, mux=not exec.tty, console_size=size)

    return Hijack(take, content_type(request, exec.tty), not exec.tty)


async def resize(engine: Engine, request: Request) -> Answer:
    """The size of its terminal."""
    await engine.execs.resize(request.name, *size_of(request))
    return Reply(200)


async def inspect(engine: Engine, request: Request) -> Answer:
    """Whether it runs, and how it ended."""
    return json_reply(_shape(engine.execs.find(request.name)))


def _shape(exec: Exec) -> dict[str, Any]:
    return {
        "ID": exec.id,
        "Running": exec.running,
        "ExitCode": exec.status,
        "ProcessConfig": {
            "tty": exec.tty,
            "entrypoint": exec.args[0],
            "arguments": exec.args[1:],
            "privileged": exec.privileged,
            **({"user": exec.user} if exec.user else {}),
        },
        "OpenStdin": exec.stdin,
        "OpenStderr": exec.stderr,
        "OpenStdout": exec.stdout,
        "CanRemove": exec.status is not None,
        "ContainerID": exec.container,
        "DetachKeys": "",
        "Pid": exec.pid,
    }


ROUTES: list[Route] = [
    ("POST", "/containers/{}/exec", create),
    ("POST", "/exec/{}/start", start),
    ("POST", "/exec/{}/resize", resize),
    ("GET", "/exec/{}/json", inspect),
]
