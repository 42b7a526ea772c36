"""Execs: further programs beside a container's own."""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Any

from msgspec import structs

from ..dockerapi import frames
from ..errors import Conflict, InvalidRequest, NotFound, ProaError
from ..hull import detach
from ..hull.contract import Attachment, Refused
from ..runtime.failure import quote
from . import failures, names, spec, texts
from .records import Exec

if TYPE_CHECKING:
    from ..dockerapi.execs import ExecCreate
    from .container import Container
    from .events import Events
    from .launch import Launch
    from .registry import Registry
    from .state import Database

DETACH_KEYS = "ctrl-p,ctrl-q"

ENDED_KEPT = 64
"""How many ended execs of a container are kept for inspect."""


def check_detach_keys(text: str) -> str:
    """``text``, or Docker's own keys for none. Raises InvalidRequest."""
    try:
        detach.parse(text)
    except ValueError as problem:
        raise InvalidRequest(
            f"Invalid detach keys ({text}) provided: {problem}", code="invalid-detach-keys", input=text
        ) from problem
    return text or DETACH_KEYS


class Execs:
    """By id. Each belongs to a container and is forgotten with it."""

    def __init__(self, db: Database, events: Events, containers: Registry, launch: Launch) -> None:
        self._events = events
        self._containers = containers
        self._launch = launch
        self._execs = {exec.id: exec for exec in db.execs()}

    def find(self, id: str) -> Exec:
        """Raises NotFound, also when its container is gone."""
        exec = self._execs.get(id)
        if exec is None or self._containers.by_id(exec.container) is None:
            self._execs.pop(id, None)
            raise NotFound(f"No such exec instance: {id}", code="no-such-exec", input=id)
        return exec

    def container(self, exec: Exec) -> Container:
        """The container that an exec belongs to."""
        return self._containers.find(exec.container)

    def of(self, container: Container) -> list[str]:
        """The ids of what runs, or is about to, beside a container's program."""
        if not container.alive:
            return []
        mine = [exec for exec in self._execs.values() if exec.container == container.id]
        return [exec.id for exec in mine if exec.running or not exec.started]

    def create(self, container: Container, body: ExecCreate) -> Exec:
        """Remember what is to run. Raises Conflict, InvalidRequest."""
        container.may("exec")
        if not body.cmd:
            raise InvalidRequest("No exec command specified", code="no-command")
        texts.no_nul(*body.cmd, *body.env, body.user, body.working_dir)
        check_detach_keys(body.detach_keys)
        exec = Exec(
            id=names.new_id(),
            container=container.id,
            args=body.cmd,
            env=body.env,
            user=body.user,
            cwd=body.working_dir,
            tty=body.tty,
            privileged=body.privileged,
            stdin=body.attach_stdin,
            stdout=body.attach_stdout,
            stderr=body.attach_stderr,
            detach_keys=body.detach_keys,
        )
        self._trim(container)
        self._put(exec, container, f"exec_create: {_told(exec)}")
        return exec

    def _trim(self, container: Container) -> None:
        """Forget the oldest that ended: a health check in a loop must not fill the disk."""
        ended = [e for e in self._execs.values() if e.container == container.id and e.status is not None]
        if len(ended) < ENDED_KEPT:
            return
        with self._events.change() as change:
            for exec in ended[: len(ended) - ENDED_KEPT + 1]:
                change.db.remove_exec(exec.id)
                del self._execs[exec.id]

    def _put(self, exec: Exec, container: Container, action: str, **attributes: str) -> None:
        with self._events.change() as change:
            change.db.put_exec(exec)
            change.event("container", action, container.id, {**container.attributes, "execID": exec.id, **attributes})
        self._execs[exec.id] = exec

    def may_start(self, exec: Exec) -> None:
        """Raises Conflict unless ``exec`` can be started now."""
        if exec.started:
            raise Conflict(f"Error: Exec command {exec.id} has already run", code="exec-already-run", input=exec.id)
        self.container(exec).may("exec")

    async def start(
        self, id: str, fd: int | None, *, early: bytes = b"", mux: bool = False, console_size: tuple[int, int] = (0, 0)
    ) -> None:
        """Run it. ``fd``: the client's socket, ours from now on; None: detached. A program that cannot be run is told
        on the socket; without one it is raised (Refused)."""
        try:
            await self._start(id, fd, early, mux, console_size)
        except ProaError as problem:
            if fd is None:
                raise
            await asyncio.to_thread(_tell, fd, problem.what, mux)
        finally:
            if fd is not None:
                os.close(fd)

    async def _start(self, id: str, fd: int | None, early: bytes, mux: bool, console_size: tuple[int, int]) -> None:
        exec = self.find(id)
        container = self.container(exec)
        self.may_start(exec)
        handle = container.handle
        if handle is None:
            raise Conflict(
                f"container {container.id} is not running", code="container-not-running", input=container.name
            )
        exec = structs.replace(exec, started=True, running=True)
        self._put(exec, container, f"exec_start: {_told(exec)}")
        process = spec.exec_process(exec, container.record, console_size)
        attachment = None if fd is None else _attachment(exec, early, mux)
        try:
            _check_environment(exec)
            pid = await self._launch.hull(container).exec(handle, id, process, attachment, fd)
        except Refused as problem:
            self._ended(id, 127 if problem.exit == 127 else 126)  # dockerd knows no other
            raise failures.exec_refused(problem) from problem
        except BaseException:
            self._ended(id, 126)
            raise
        if id in self._execs and self._execs[id].running:
            self._execs[id] = structs.replace(self._execs[id], pid=pid)

    async def resize(self, id: str, height: int, width: int) -> None:
        """Tell its terminal its size."""
        exec = self.find(id)
        container = self.container(exec)
        if not exec.running or container.handle is None:
            raise Conflict(f"exec {id} is not running", code="exec-not-running", input=id)
        await self._launch.hull(container).resize(container.handle, id, height, width)

    def heard(self, id: str, status: int) -> None:
        """A shim says that an exec ended."""
        self._ended(id, status)

    def _ended(self, id: str, status: int) -> None:
        known = self._execs.get(id)
        if known is None or known.status is not None:
            return
        exec = structs.replace(known, running=False, started=True, pid=0, status=status)
        container = self._containers.by_id(exec.container)
        if container is None:
            del self._execs[id]
            return
        self._put(exec, container, "exec_die", exitCode=str(status))

    def container_ended(self, container: Container) -> None:
        """Nothing runs beside a program that ended."""
        for exec in [e for e in self._execs.values() if e.container == container.id and e.running]:
            self._ended(exec.id, 137)

    def container_removed(self, container: Container) -> None:
        """The rows went with the container's."""
        for id in [exec.id for exec in self._execs.values() if exec.container == container.id]:
            del self._execs[id]

    def adopted(self, container: Container, states: dict[str, dict[str, Any]], *, complete: bool = True) -> None:
        """After a restart: take over what the shim says of its execs. One that a ``complete`` list does not have was
        never handed on: it has not run, and may be started yet."""
        for exec in [e for e in self._execs.values() if e.container == container.id and e.running]:
            state = states.get(exec.id)
            if state is None and complete:
                self._never_ran(exec)
            elif state is None or not state.get("running"):
                self._ended(exec.id, int((state or {}).get("status", 137)))

    def _never_ran(self, exec: Exec) -> None:
        exec = structs.replace(exec, running=False, started=False, pid=0)
        with self._events.change() as change:
            change.db.put_exec(exec)
        self._execs[exec.id] = exec


def _check_environment(exec: Exec) -> None:
    """As runc, which dockerd leaves it to: a variable needs a name. (An empty entry is none, and is left out.)"""
    for entry in exec.env:
        if entry.startswith("="):
            raise Refused("invalid", f"environment variable name can't be empty: {quote(entry)}")


def _told(exec: Exec) -> str:
    """The program, a space and its arguments, as dockerd's events have it: the space stands there without any too."""
    return f"{exec.args[0]} {' '.join(exec.args[1:])}"


def _attachment(exec: Exec, early: bytes, mux: bool) -> Attachment:
    return Attachment(
        stdin=exec.stdin,
        stdout=exec.stdout,
        stderr=exec.stderr,
        logs=False,
        stream=True,
        mux=mux,
        detach_keys=exec.detach_keys or DETACH_KEYS,
        early=early,
    )


def _tell(fd: int, text: str, mux: bool) -> None:
    """Write why it could not run where its output would have gone, as dockerd does."""
    data = text.encode("utf-8", "replace") + b"\r\n"
    os.set_blocking(fd, True)
    try:
        os.write(fd, frames.pack(frames.STDOUT, data) if mux else data)
    except OSError:
        pass  # the client has gone
