"""CarriedHull: what both hulls have in common on the engine's side: the shim does the work, this talks to it.

A subclass says what the root must look like (``needs``) and completes a bundle (``complete``). Everything else of
``contract.Hull`` is here.

Acquired here and removed by ``delete``: RUN/containers/ID and the shim's socket. A shim that ends properly has removed
its cgroup itself; for one that did not, ``leftovers`` does.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from collections.abc import Sequence
from contextlib import ExitStack, suppress
from typing import TYPE_CHECKING, Any, Literal, cast

from .. import jsontext
from ..errors import Conflict
from ..places import Places
from . import leftovers, messages, records
from . import link as links
from .contract import Attachment, Exit, Handle, Listener, Needs, Refused
from .handle import Carried, text
from .link import Link
from .spawn import Spawner

if TYPE_CHECKING:
    from ..oci.runtime import Process
    from .bundle import Bundle
    from .messages import Message

LOST = "shim lost"
PATIENCE = 60.0
"""Seconds for a shim to say hello, or to end when told: emulation and a loaded machine are slow."""


class CarriedHull:
    """Base of both hulls; see the module's docstring."""

    kind: Literal["container", "vm"]

    def __init__(self, places: Places, spawner: Spawner, listener: Listener) -> None:
        self.places = places
        self.spawner = spawner
        self.listener = listener
        self._handles: set[Carried] = set()

    # what a subclass says

    def needs(self) -> Needs:
        """See ``contract.Hull``."""
        raise NotImplementedError

    def facts(self) -> dict[str, str]:
        """What is known of this hull before anything runs; the shim's hello and start add to it."""
        return {"Kind": self.kind}

    async def complete(self, bundle: Bundle, stack: ExitStack) -> tuple[Bundle, list[int]]:
        """The bundle as the shim gets it, and a descriptor for each name in its ``fds``; ``stack`` closes them."""
        return bundle, []

    # contract.Hull

    async def create(self, bundle: Bundle) -> Handle:
        """A shim that has its bundle: that it is well shows at ``start``. Raises SpawnFailed, HostCannot, OSError."""
        await self.spawner.start()
        self.needs()
        with ExitStack() as stack:
            bundle, fds = await self.complete(bundle, stack)
            _prepare_run(bundle)
            stack.callback(_remove_run, bundle["run"], bundle["socket"])
            sealed = messages.seal(jsontext.dumps(bundle), "proa-bundle")
            stack.callback(os.close, sealed)
            try:
                handle = await self._spawn(bundle, sealed, fds)
            except messages.Gone:
                handle = await self._spawn(bundle, sealed, fds)  # the spawner died under it; there is a new one
            os.close(sealed)
            stack.pop_all()
            for fd in fds:
                os.close(fd)
        return handle

    async def adopt(self, id: str, run: str, socket: str) -> Handle:
        """See ``contract.Hull``."""
        handle = Carried(id, run, socket)
        handle.facts.update(self.facts())
        handle.state = records.read(run, records.STATE) or {}
        handle.pid = int(handle.state.get("pid", 0))
        handle.facts.update(handle.state.get("hull", {}))
        exit = records.read(run, records.EXIT)
        if exit is None:
            try:
                self._join(handle, links.connect(socket))
            except OSError:
                exit = records.read(run, records.EXIT)  # it may just have ended
            else:
                await self._meet(handle)
                return handle
        if exit is None:
            await self._lose(handle)
        else:
            handle.ended(exit)
        return handle

    async def start(self, handle: Handle) -> None:
        """See ``contract.Hull``. After Refused ``wait`` answers at once; the listener hears nothing of that end."""
        mine = _mine(handle)
        try:
            await self._start(mine)
        except messages.Gone as problem:
            raise Refused("internal", (await mine.exit).error or LOST) from problem
        except Refused:
            await mine.exit
            raise
        finally:
            mine.bundle = None

    async def _start(self, mine: Carried) -> None:
        """Once more, with another machine, if nothing has run because its template was spoiled."""
        try:
            await self._ask(mine, "start", on_reply=mine.run_started)
        except Refused as problem:
            if problem.kind != "spoiled" or mine.bundle is None:
                raise
            print(f"{mine.id}: {problem.what}: tried again", file=sys.stderr)
            with ExitStack() as stack:
                bundle, fds = await self.complete(mine.bundle, stack)
                await self._ask(mine, "start", fds, on_reply=mine.run_started, machine=bundle["machine"])

    async def attach(self, handle: Handle, target: str, attachment: Attachment, fd: int) -> None:
        """See ``contract.Hull``. Raises Conflict: it does not run (any more)."""
        await self._demand(_mine(handle), "attach", [fd], target=target, **_fields(attachment))

    async def exec(
        self, handle: Handle, exec_id: str, process: Process, attachment: Attachment | None, fd: int | None
    ) -> int:
        """See ``contract.Hull``. After Refused the client's socket is as it was: the caller may still write to it."""
        mine = _mine(handle)
        wanted = _fields(attachment) if attachment is not None else {}
        try:
            reply = await self._ask(
                mine,
                "exec",
                [fd] if fd is not None else [],
                on_reply=lambda reply: mine.exec_started(exec_id, int(reply["pid"])),
                exec=exec_id,
                process=process,
                terminal=bool(process.get("terminal")),
                **wanted,
            )
        except messages.Gone as problem:
            raise _not_running(handle) from problem
        return int(reply["pid"])

    async def resize(self, handle: Handle, target: str, height: int, width: int) -> None:
        """See ``contract.Hull``."""
        await self._demand(_mine(handle), "resize", target=target, height=height, width=width)

    async def signal(self, handle: Handle, target: str, signal: int) -> None:
        """See ``contract.Hull``."""
        await self._demand(_mine(handle), "signal", target=target, signal=signal)

    async def wait(self, handle: Handle) -> Exit:
        """See ``contract.Hull``."""
        return await asyncio.shield(_mine(handle).exit)

    async def freeze(self, handle: Handle, frozen: bool) -> None:
        """See ``contract.Hull``."""
        mine = _mine(handle)

        def done(_reply: Message) -> None:
            mine.status = "paused" if frozen else "running"

        await self._demand(mine, "freeze", on_reply=done, frozen=frozen)

    async def delete(self, handle: Handle) -> None:
        """See ``contract.Hull``."""
        mine = _mine(handle)
        if mine.link is not None:
            await self._end(mine, mine.link)
        await _end_leftovers(mine)
        _remove_run(mine.run, mine.socket)
        self._handles.discard(mine)

    def close(self) -> None:
        """Let go of every shim: what runs goes on, and another engine may adopt it."""
        for handle in self._handles:
            if handle.link is not None:
                handle.link.close()
        self._handles.clear()

    # between here and the shim

    async def _spawn(self, bundle: Bundle, sealed: int, fds: Sequence[int]) -> Carried:
        handle = Carried(bundle["id"], bundle["run"], bundle["socket"])
        handle.facts.update(self.facts())
        handle.state = {"kind": bundle["kind"], "id": bundle["id"], "cgroup": bundle["cgroup"]}
        handle.bundle = bundle
        self._join(handle, await self.spawner.spawn(bundle["id"], sealed, fds))
        return handle

    def _join(self, handle: Carried, sock: Any) -> None:
        """Talk to the shim at ``sock`` from now on."""
        handle.link = Link(sock, lambda message: self._hear(handle, message), lambda: self._left(handle))
        self._handles.add(handle)

    async def _meet(self, handle: Carried) -> None:
        """Learn what a shim carries that an earlier engine had; one that does not say so is given up."""
        try:
            await asyncio.wait_for(handle.greeted, PATIENCE)
        except messages.Gone:
            await handle.exit
        except TimeoutError:
            assert handle.link is not None
            handle.link.close()
            await self._lose(handle)
        else:
            await self._call_off(handle)

    def _hear(self, handle: Carried, message: Message) -> None:
        if message.get("op") == "spare":
            self.spawner.offered(message)
            return
        ran = handle.started > 0
        known = handle.exit.done()
        handle.apply(message)
        op = message.get("op")
        if op == "hello" or (op == "exited" and (known or not ran)):
            return
        self.listener(handle, message)
        if op == "exec-exited":
            handle.execs.pop(str(message["exec"]), None)

    def _left(self, handle: Carried) -> None:
        """The shim closed: it has cleaned up behind its container, or it died."""
        if not handle.greeted.done():
            handle.greeted.set_exception(messages.Gone())
            handle.greeted.exception()  # retrieved: only who adopts waits for it
        if handle.exit.done():
            return
        exit = records.read(handle.run, records.EXIT)
        if exit is not None:
            self._hear(handle, {"op": "exited", "exit": exit})
        else:
            task = asyncio.ensure_future(self._lose(handle))
            _TASKS.add(task)
            task.add_done_callback(_TASKS.discard)

    async def _lose(self, handle: Carried) -> None:
        """A container does not outlive its shim: end what is left, and record it."""
        handle.state = {**handle.state, **(records.read(handle.run, records.STATE) or {})}
        try:
            await _end_leftovers(handle)
        except OSError as problem:  # its end is told all the same; an engine's start looks for leftovers again
            print(f"{handle.id}: something is left of it: {problem}", file=sys.stderr)
        began = handle.started or _born(handle)
        exit = {"status": 137, "oom": False, "started": began, "finished": time.time_ns(), "error": LOST}
        if os.path.isdir(handle.run):
            with suppress(OSError):  # RUN is full: the message says it
                records.write(handle.run, records.EXIT, exit)
        _unlink(handle.socket)
        if _greeted(handle):
            self._hear(handle, {"op": "exited", "exit": exit})
        else:
            handle.ended(exit)

    async def _call_off(self, handle: Carried) -> None:
        """A start that nobody waits for any more must not go through behind the engine's back."""
        if handle.status != "created":
            return
        try:
            reply = await self._ask(handle, "end", created=True)
        except messages.Gone:
            await handle.exit
            return
        if "pid" in reply:
            handle.run_started(reply)
        else:
            await handle.exit

    async def _end(self, handle: Carried, link: Link) -> None:
        """Have the shim end everything and clean up; kill it if it does not."""
        try:
            if not handle.exit.done():
                await asyncio.wait_for(link.request("end"), PATIENCE)
            async with asyncio.timeout(PATIENCE):
                await link.gone.wait()
        except messages.Gone:
            pass
        except TimeoutError:
            state = records.read(handle.run, records.STATE) or {}
            leftovers.kill(int(state.get("shim", 0)), int(state.get("shim_start", 0)))
        link.close()
        if not handle.exit.done():
            await self._lose(handle)

    async def _ask(self, handle: Carried, op: str, fds: Sequence[int] = (), **fields: Any) -> Message:
        """Request and reply. Raises Refused, Conflict (it has ended, though not everybody knows yet), Gone."""
        if handle.link is None:
            raise messages.Gone
        reply = await handle.link.request(op, fds, **fields)
        if "error" in reply:
            if reply["error"].get("kind") == "not-running":
                raise _not_running(handle)
            raise Refused(str(reply["error"].get("kind", "internal")), text(reply["error"].get("text", "")))
        return reply

    async def _demand(self, handle: Carried, op: str, fds: Sequence[int] = (), **fields: Any) -> None:
        """``_ask`` for what can only be refused because nothing runs. Raises Conflict."""
        try:
            await self._ask(handle, op, fds, **fields)
        except messages.Gone as problem:
            raise _not_running(handle) from problem


_TASKS: set[asyncio.Future[None]] = set()


async def _end_leftovers(handle: Carried) -> None:
    if leftovers.exist(handle.state):
        await asyncio.to_thread(leftovers.end, handle.state)


def _not_running(handle: Handle) -> Conflict:
    return Conflict(f"container {handle.id} is not running", code="container-not-running", input=handle.id)


def _born(handle: Carried) -> int:
    """When what a dead shim carried came to be, in ns since the epoch: whether its program ran nobody can tell."""
    try:
        return os.stat(f"{handle.run}/{records.STATE}").st_mtime_ns
    except OSError:
        return 0


def _greeted(handle: Carried) -> bool:
    return handle.greeted.done() and not handle.greeted.cancelled() and handle.greeted.exception() is None


def _mine(handle: Handle) -> Carried:
    return cast(Carried, handle)


def _fields(attachment: Attachment) -> dict[str, Any]:
    return {
        "stdin": attachment.stdin,
        "stdout": attachment.stdout,
        "stderr": attachment.stderr,
        "logs": attachment.logs,
        "stream": attachment.stream,
        "mux": attachment.mux,
        "detach_keys": attachment.detach_keys,
        "early": attachment.early.decode("latin-1"),
    }


def _prepare_run(bundle: Bundle) -> None:
    """RUN/containers/ID and the sockets' directory, without what an earlier run left."""
    for directory in (os.path.dirname(bundle["socket"]), os.path.dirname(bundle["run"]), bundle["run"]):
        try:
            os.mkdir(directory, 0o700)
        except FileExistsError:
            if directory == bundle["run"]:
                _unlink(f"{directory}/{records.EXIT}")
                _unlink(f"{directory}/{records.STATE}")
        except FileNotFoundError:
            os.makedirs(directory, 0o700, exist_ok=True)


def _remove_run(run: str, socket: str) -> None:
    _unlink(socket)
    try:
        for name in os.listdir(run):
            os.unlink(f"{run}/{name}")
        os.rmdir(run)
    except OSError:
        pass  # not ours alone, or gone


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
