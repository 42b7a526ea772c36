"""A container's life: start, stop, kill, pause, wait, remove. The only place that takes a container's lock.

At the end, in this order: the log is complete (the shim says ``exited``) → row and ``die`` event in one transaction →
who waits for the end → what the hull left is removed → AutoRemove and ``destroy`` → who waits for the removal.
"""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from msgspec import UNSET, structs

from ..errors import Conflict, Internal, NotFound, ProaError
from ..hull.contract import Attachment, Exit, Handle, Hull
from . import failures, replay, signals, trash
from .container import Container, Pending
from .records import State
from .request import stop_signal
from .tasks import Tasks
from .transitions import NotModified

if TYPE_CHECKING:
    from .events import Events
    from .execs import Execs
    from .launch import Launch
    from .registry import Registry

STOP_SECONDS = 10
KILL_SECONDS = 10
LONGEST = 1 << 31
"""Seconds to wait before a kill; more is for ever."""


class Lifecycle:
    """See the module's docstring."""

    def __init__(self, events: Events, containers: Registry, launch: Launch, execs: Execs) -> None:
        self._events = events
        self._execs = execs
        self._containers = containers
        self._launch = launch
        self.tasks = Tasks()

    # start

    async def start(self, container: Container) -> None:
        """Run the program. Raises NotModified, Conflict, HostCannot, Refused (the container is then as before)."""
        async with self._locked(container):
            container.may("start")
            try:
                await self._start(container)
                return
            except (ProaError, OSError) as problem:
                error = self._not_started(container, problem)
        if container.record.host.auto_remove:
            await self.remove(container, force=True)
        raise error from None

    async def _start(self, container: Container) -> None:
        handle = await self._launch.start(container)
        try:
            self._started(container, handle)
        except ProaError:  # it cannot be noted (a full disk): nothing runs that nobody knows of
            await self._launch.hull(container).delete(handle)
            raise

    def _not_started(self, container: Container, problem: ProaError | OSError) -> ProaError:
        """Remember why, answer who waits; the error to raise."""
        error = failures.explain(problem)
        state = structs.replace(container.state, exit_code=error.exit, error=error.what)
        with suppress(ProaError), self._events.change() as change:
            change.db.set_state(container.id, state)
        container.state = state
        container.handle = None
        container.tell_end(error.exit)
        return error

    def _started(self, container: Container, handle: Handle) -> None:
        state = State(
            status="running",
            pid=handle.pid,
            started=handle.started,
            finished=container.state.finished,
            restarts=container.state.restarts,
            hull=dict(handle.facts),
        )
        with self._events.change() as change:
            change.db.set_state(container.id, state)
            change.event("container", "start", container.id, container.attributes)
        container.state = state
        self.follow(container, handle)

    # the end

    def follow(self, container: Container, handle: Handle) -> None:
        """See to it that the end of what runs is recorded."""
        container.handle = handle
        container.stopped = False
        container.watch = self.tasks.start(self._watch(container, handle))

    async def _watch(self, container: Container, handle: Handle) -> None:
        hull = self._launch.hull(container)
        exit = await hull.wait(handle)
        async with container.lock:
            if self._noted(container, exit):
                await asyncio.sleep(0)  # who waits for the end is answered first
                await clear(hull, handle)
            container.handle = None
        if container.record.host.auto_remove and not container.kept and not container.removing:
            await self._remove_itself(container)

    async def _remove_itself(self, container: Container) -> None:
        """AutoRemove; where that fails, who waits for the removal hears of the end at least."""
        try:
            await self.remove(container)
        except (NotFound, Conflict):
            pass  # somebody else's removal, or a start, was faster
        except ProaError as problem:
            print(f"{container.id}: it could not be removed: {problem.what}", file=sys.stderr)
            container.tell_removal()

    def _noted(self, container: Container, exit: Exit) -> bool:
        """Record an end. One that cannot be (a full disk) is told all the same, and its exit file is left for the next
        engine's start."""
        try:
            self.ended(container, exit)
        except ProaError as problem:
            print(f"{container.id}: its end could not be recorded: {problem.what}", file=sys.stderr)
            container.state = _after(container.state, exit)
            container.tell_end(exit.status)
            return False
        return True

    def ended(self, container: Container, exit: Exit, *, started: int = 0) -> None:
        """Record an end and tell it. ``started``: the start was missed too (the engine was down)."""
        state = _after(container.state, exit)
        if started:
            state = structs.replace(state, started=started)
        attributes = {**container.attributes, "exitCode": str(exit.status)}
        if exit.finished and state.started:
            attributes["execDuration"] = str((exit.finished - state.started) // 1_000_000_000)
        with self._events.change(ends=True) as change:
            change.db.set_state(container.id, state)
            if started:
                change.event("container", "start", container.id, container.attributes, time_ns=started)
            change.event("container", "die", container.id, attributes)
        container.state = state
        self._execs.container_ended(container)
        container.tell_end(exit.status)

    # stop, kill, pause

    async def stop(self, container: Container, seconds: int | None, signal: str = "") -> None:
        """Ask the program to end, and kill it after ``seconds`` (negative: wait for ever)."""
        config = container.record.config
        if seconds is None:
            seconds = config.stop_timeout if config.stop_timeout is not UNSET else STOP_SECONDS
        number = signals.number(signal or stop_signal(config))
        async with self._locked(container):
            container.may("stop")
            ended = container.next_exit()
            container.stopped = True
            with suppress(Conflict):  # its end is on the way
                await self._signal(container, number)
        if not await _within(ended, seconds):
            await self._kill_now(container, ended)
        with self._events.change() as change:
            change.event("container", "stop", container.id, container.attributes)

    async def kill(self, container: Container, signal: str) -> None:
        """Send a signal; after SIGKILL return once the end is recorded. Raises Conflict, InvalidRequest."""
        number = signals.number(signal or "SIGKILL")
        async with self._locked(container):
            try:
                container.may("kill")
            except Conflict as problem:
                raise Conflict(
                    f"cannot kill container: {container.name}: {problem.what}", code=problem.code, input=container.name
                ) from problem
            ended = container.next_exit()
            try:
                await self._signal(container, number)
            except Conflict:
                if number != signals.KILL:
                    raise  # else its end, which is on the way, is what was asked for
        if number == signals.KILL:
            await self._finish(container, ended)

    async def _signal(self, container: Container, number: int) -> None:
        hull, handle = self._launch.hull(container), self._handle(container)
        await hull.signal(handle, "", number)
        with self._events.change(ends=True) as change:
            change.event("container", "kill", container.id, {**container.attributes, "signal": str(number)})
        ending = (signals.KILL, signals.TERM, signals.number(stop_signal(container.record.config)))
        if container.state.status == "paused" and number in ending:
            # what is frozen takes no signal: it must thaw to end
            with suppress(Conflict):  # it has, by SIGKILL
                await hull.freeze(handle, False)
                self._set_status(container, "running", "unpause")

    async def _kill_now(self, container: Container, ended: asyncio.Future[int]) -> None:
        async with container.lock:
            if container.alive and not ended.done():
                with suppress(Conflict):  # its end is on the way
                    await self._signal(container, signals.KILL)
        await self._finish(container, ended)

    async def _finish(self, container: Container, ended: asyncio.Future[int]) -> None:
        """Wait for an end that must come; the hull ends what does not."""
        if await _within(ended, KILL_SECONDS):
            return
        async with container.lock:
            if container.handle is not None and not ended.done():
                await self._launch.hull(container).delete(container.handle)
        if not await _within(ended, KILL_SECONDS):
            raise Internal(
                f"container {container.id} did not end after SIGKILL", code="cannot-kill", input=container.id
            )

    async def restart(self, container: Container, seconds: int | None, signal: str = "") -> None:
        """Stop and start again; AutoRemove does not act in between."""
        container.kept = True
        try:
            with suppress(NotModified):
                await self.stop(container, seconds, signal)
            with suppress(NotModified):
                await self.start(container)
        finally:
            container.kept = False
        with self._events.change() as change:
            change.event("container", "restart", container.id, container.attributes)

    async def pause(self, container: Container) -> None:
        """Freeze all that runs in it."""
        async with self._locked(container):
            container.may("pause")
            await self._launch.hull(container).freeze(self._handle(container), True)
            self._set_status(container, "paused", "pause")

    async def unpause(self, container: Container) -> None:
        """Let it go on."""
        async with self._locked(container):
            container.may("unpause")
            await self._launch.hull(container).freeze(self._handle(container), False)
            self._set_status(container, "running", "unpause")

    def _set_status(self, container: Container, status: str, action: str) -> None:
        if not container.alive:
            return  # it ended meanwhile, which is already told
        state = structs.replace(container.state, status=status)
        with self._events.change() as change:
            change.db.set_state(container.id, state)
            change.event("container", action, container.id, container.attributes)
        container.state = state

    # attach, resize

    async def attach(self, container: Container, attachment: Attachment, fd: int, *, ran: bool = False) -> None:
        """Give a client's socket to what runs, or keep it for the next start. Of what ``ran`` when the client asked and
        has ended since, the stream has ended too. ``fd`` is ours from now on."""
        try:
            if attachment.logs and not container.alive and replay.is_long(self._launch.log_path(container)):
                # who reads it slowly, or never, must not keep others from the container
                await replay.send(self._launch.log_path(container), attachment, fd)
                attachment = replace(attachment, logs=False)
            async with self._locked(container):
                container.may("attach")
                with self._events.change() as change:
                    change.event("container", "attach", container.id, container.attributes)
                if not container.alive:
                    await self._attach_later(container, replace(attachment, stream=attachment.stream and not ran), fd)
                    return
                await self._launch.hull(container).attach(self._handle(container), "", attachment, fd)
        except NotFound:
            if not ran:
                raise
        except Conflict as problem:
            if not (ran and problem.code == "container-not-running"):
                raise
        finally:
            os.close(fd)

    async def _attach_later(self, container: Container, attachment: Attachment, fd: int) -> None:
        """Nothing runs: show the log if that was asked for, then wait for the next start."""
        container.drop_pending(gone_only=True)
        if attachment.logs:
            await replay.send(self._launch.log_path(container), attachment, fd)
            attachment = replace(attachment, logs=False)
        if attachment.stream:
            container.pending.append(Pending(attachment, os.dup(fd)))

    async def resize(self, container: Container, height: int, width: int) -> None:
        """Tell the program's terminal its size."""
        async with self._locked(container):
            container.may("resize")
            await self._launch.hull(container).resize(self._handle(container), "", height, width)
        with self._events.change() as change:
            change.event(
                "container",
                "resize",
                container.id,
                {**container.attributes, "height": str(height), "width": str(width)},
            )

    # remove, rename

    async def remove(self, container: Container, *, force: bool = False) -> None:
        """Forget a container and all that is its own. ``force``: kill it first. Raises Conflict."""
        container.kept = True  # AutoRemove leaves it to us
        try:
            if force and container.alive:
                with suppress(Conflict):
                    await self.kill(container, "SIGKILL")
            async with self._locked(container):
                container.may("remove")
                container.removing = True
                try:
                    await self._remove(container)
                finally:
                    container.removing = container.gone
        finally:
            container.kept = False

    async def _remove(self, container: Container) -> None:
        if container.handle is not None:
            await self._launch.hull(container).delete(container.handle)
            container.handle = None
        with self._events.change(ends=True) as change:
            change.db.remove_container(container.id)
            change.event("container", "destroy", container.id, container.attributes)
        self._containers.remove(container)
        self._execs.container_removed(container)
        container.gone = True
        container.drop_pending()
        thrown = trash.throw(self._launch.places, container.id)
        if thrown:
            self.tasks.start(self._emptied(thrown))
        container.tell_removal()

    async def _emptied(self, directory: str) -> None:
        await trash.empty(self._launch.remove_directory, directory)
        self._events.refill()

    def rename(self, container: Container, name: str) -> None:
        """Let a container answer to another name. Raises Conflict."""
        container.may("rename")
        old = container.name
        with self._events.change() as change:
            change.db.rename_container(container.id, name)
            change.event(
                "container", "rename", container.id, {**container.attributes, "name": name, "oldName": f"/{old}"}
            )
        self._containers.rename(container, name)

    # what all of them use

    @asynccontextmanager
    async def _locked(self, container: Container) -> AsyncIterator[None]:
        async with container.lock:
            if container.gone:
                raise NotFound(f"No such container: {container.id}", code="no-such-container", input=container.id)
            yield

    @staticmethod
    def _handle(container: Container) -> Handle:
        if container.handle is None:
            raise Conflict(f"container {container.id} is not running", code="container-not-running", input=container.id)
        return container.handle


async def clear(hull: Hull, handle: Handle) -> None:
    """Remove what a hull left of what has ended. What will not go is the next engine's to look for, and no reason to
    keep anybody waiting."""
    try:
        await hull.delete(handle)
    except OSError as problem:
        print(f"{handle.id}: something is left of it: {problem}", file=sys.stderr)


def _after(state: State, exit: Exit) -> State:
    return structs.replace(
        state,
        status="exited",
        pid=0,
        finished=exit.finished,
        exit_code=exit.status,
        oom=exit.oom,
        error=exit.error,
    )


async def _within(future: asyncio.Future[int], seconds: float) -> bool:
    """Whether ``future`` is done within ``seconds`` (negative: for ever)."""
    endless = seconds < 0 or seconds > LONGEST
    done, _ = await asyncio.wait({future}, timeout=None if endless else seconds)
    return bool(done)
