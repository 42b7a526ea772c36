"""The engine's spawner: started once, started again when it dies, asked for shims (``spawner`` is the other side)."""

from __future__ import annotations

import asyncio
import os
import socket
import subprocess
from collections.abc import Sequence
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any

from .. import jsontext, program
from ..errors import Internal
from ..places import Places
from . import messages
from .link import Link, pair

if TYPE_CHECKING:
    from .messages import Message

PATIENCE = 30.0
"""Seconds for a spawner to say hello, and for a fork: a loaded machine, never a healthy one."""
ATTEMPTS = 3
SPARES = 3
"""Shims that wait, forked before they are needed or back from a container that has ended: a container need not wait
for its shim's fork, nor pay for it."""
FEW = 1
"""So few are left that more are made: above, those that are out may well come back."""
REFILL = 0.02
"""Seconds after which those that were taken are replaced: not while their containers start."""
_ENVIRONMENT = ("PATH", "LANG", "TMPDIR", "PROA_COVERAGE")


class SpawnFailed(Internal):
    """No shim could be made."""

    default_code = "spawn-failed"


class Spawner:
    """One engine's spawner. ``start`` it early: it is warm by the first container."""

    def __init__(self, places: Places) -> None:
        self.places = places
        self.pid = 0
        self._findings: dict[str, Any] | None = None
        self._link: Link | None = None
        self._ready: asyncio.Future[None] | None = None
        self._waiting: dict[str, asyncio.Future[int]] = {}
        self._reaped: asyncio.Future[None] | None = None
        self._closed = False
        self._spares: list[socket.socket] = []
        self._asked = False

    async def start(self) -> None:
        """Have a spawner that answers. Cheap when there is one. Raises SpawnFailed."""
        if self._link is not None and self._ready is not None and self._ready.done():
            return
        for _ in range(ATTEMPTS):
            if self._ready is None:
                self._launch()
            assert self._ready is not None
            try:
                await asyncio.wait_for(asyncio.shield(self._ready), PATIENCE)
                return
            except messages.Gone:
                continue  # somebody killed it before it could say hello
            except TimeoutError as problem:
                raise SpawnFailed("the spawner does not answer") from problem
        raise SpawnFailed("the spawner did not start", next_step="see the engine's log")

    @property
    def findings(self) -> dict[str, Any]:
        """What this host lets us do (hull/probe): ``container`` and ``may``. Asks a short-lived program if need be."""
        if self._findings is None:
            self._findings = probe_host()
        return self._findings

    async def spawn(self, id: str, bundle: int, fds: Sequence[int] = ()) -> socket.socket:
        """The control socket of a shim that carries ``bundle``; it says hello there. Raises SpawnFailed, Gone.

        ``bundle`` and ``fds`` stay the caller's. A shim that waits already is taken; else one is forked.
        """
        while self._spares:
            sock = self._spares.pop()
            asyncio.get_running_loop().call_later(REFILL, self._refill)
            try:
                messages.send(sock, {"op": "carry", "id": id}, [bundle, *fds])
                return sock
            except (messages.Gone, OSError):
                sock.close()  # somebody killed it; the next one
        return await self._fork(id, bundle, fds)

    async def _fork(self, id: str, bundle: int, fds: Sequence[int]) -> socket.socket:
        await self.start()
        assert self._link is not None
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        self._waiting[id] = future
        ours, theirs = pair()
        try:
            self._link.send({"op": "spawn", "id": id}, [theirs.fileno(), bundle, *fds])
            theirs.close()
            self._refill()  # behind it: whoever waits comes first
            await asyncio.wait_for(future, PATIENCE)
        except TimeoutError as problem:
            ours.close()
            raise SpawnFailed("the spawner does not answer") from problem
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
            self._waiting.pop(id, None)
        return ours

    def _refill(self) -> None:
        """Ask for as many shims that wait as there should be, if they have become few."""
        if len(self._spares) > FEW or self._link is None or self._ready is None or not self._ready.done():
            return
        wanted = SPARES - len(self._spares)
        if wanted > 0 and not self._asked:
            self._asked = True
            self._link.send({"op": "spare", "count": wanted})

    def offered(self, message: Message) -> None:
        """Shims that would carry something: kept as long as there is room, else they end."""
        for sock in [socket.socket(fileno=fd) for fd in message.get("fds", ())]:
            if self._closed or len(self._spares) >= SPARES:
                sock.close()
            else:
                self._spares.append(sock)

    async def close(self) -> None:
        """Let the spawner end, and wait for that. Shims live on."""
        self._closed = True
        for sock in self._spares:
            sock.close()
        self._spares.clear()
        if self._link is not None:
            self._link.close()
            self._link = self._ready = None
        if self._reaped is not None:
            await asyncio.wait((self._reaped,), timeout=PATIENCE)

    def _launch(self) -> None:
        loop = asyncio.get_running_loop()
        with ExitStack() as stack:
            ours, theirs = pair()
            stack.callback(theirs.close)
            process = _run(theirs.fileno())
        self.pid = process.pid
        self._ready = loop.create_future()
        self._link = Link(ours, self._on_message, self._on_gone)
        self._reaped = loop.create_future()
        pidfd = os.pidfd_open(self.pid)
        loop.add_reader(pidfd, _reap, process, pidfd, self._reaped)

    def _on_message(self, message: Message) -> None:
        if message.get("op") == "hello":
            self._findings = {"container": message.get("container"), "may": message.get("may", {})}
            if self._ready is not None and not self._ready.done():
                self._ready.set_result(None)
            self._refill()
            return
        if message.get("op") == "spare":
            self._asked = False
            self.offered(message)
            self._refill()  # some may have been taken meanwhile
            return
        if message.get("op") == "failed" and not message.get("id"):
            self._asked = False  # no spare could be made; asked for again with the next container
            return
        future = self._waiting.get(str(message.get("id")))
        if future is None or future.done():
            return
        if message.get("op") == "spawned":
            future.set_result(int(message["pid"]))
        else:
            future.set_exception(SpawnFailed(message.get("error", {}).get("text", "fork failed")))

    def _on_gone(self) -> None:
        """It died. Whoever waits is told; the next one comes at once, so that the next container finds it warm."""
        ready, self._ready, self._link, self._asked = self._ready, None, None, False
        if ready is not None and not ready.done():
            ready.set_exception(messages.Gone())
            ready.exception()
            return  # it could not even start: only when somebody asks again
        for future in self._waiting.values():
            if not future.done():
                future.set_exception(messages.Gone())
        if not self._closed:
            self._launch()


def probe_host() -> dict[str, Any]:
    """The findings of hull/probe, by a program of its own: for callers that may have threads. Takes some 50 ms."""
    done = subprocess.run(
        program.argv("hull.probe"), stdin=subprocess.DEVNULL, capture_output=True, timeout=PATIENCE, check=False
    )
    try:
        findings: dict[str, Any] = jsontext.loads(done.stdout)
    except ValueError:
        return {"container": {"missing": "namespaces", "text": "the probe failed"}, "may": {}}
    return findings


def _run(sock: int) -> subprocess.Popen[bytes]:
    """Start the program; ``sock`` is the only descriptor that it gets.

    Not posix_spawn(3): glibc's leaves signals 32 and 33 ignored in the child, and so in every program below it.
    """
    environment = {name: os.environ[name] for name in _ENVIRONMENT if name in os.environ}
    null = subprocess.DEVNULL
    return subprocess.Popen(
        program.argv("hull.spawner", str(sock)), stdin=null, stdout=null, stderr=null, env=environment, pass_fds=(sock,)
    )


def _reap(process: subprocess.Popen[bytes], pidfd: int, reaped: asyncio.Future[None]) -> None:
    asyncio.get_running_loop().remove_reader(pidfd)
    os.close(pidfd)
    process.wait()
    if not reaped.done():
        reaped.set_result(None)
