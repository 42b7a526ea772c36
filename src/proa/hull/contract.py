"""Hull: how one container is kept apart. Two implementations, ``container`` (namespaces) and ``vm`` (QEMU).

A life, as the engine sees it:

    needs = hull.needs()                       what the root must look like, or HostCannot with the next step
    handle = await hull.create(bundle)         a shim exists, nothing runs yet
    await hull.attach(handle, attachment, fd)  a client's socket is the shim's from now on
    await hull.start(handle)                   the program runs, or Refused says why not
    await hull.exec(handle, …)                 more programs beside it
    exit = await hull.wait(handle)             however it ended; the exit file says the same
    await hull.delete(handle)                  nothing is left: cgroup, sockets, RUN's directory

After a restart of the engine ``adopt`` gives the handle back: of what runs, and of what ended meanwhile. Whatever
happens unasked (an exec ended, memory ran out, a client detached) arrives at the ``Listener`` that the hull was made
with. The engine never asks which hull it holds.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal, Protocol

from ..errors import ProaError

if TYPE_CHECKING:
    from ..oci.runtime import Process
    from .bundle import Bundle


@dataclass(frozen=True, slots=True)
class Needs:
    """``root``: "mounts" (an overlay, as Mounts) or "disks" (block images); ``network``: "namespace" or "link"."""

    root: Literal["mounts", "disks"]
    network: Literal["namespace", "link"]


@dataclass(frozen=True, slots=True)
class Exit:
    """How a container ended: ``status`` as a shell counts (128 + n for signal n), ``started`` (0: no program ever ran)
    and ``finished`` in ns since the epoch."""

    status: int
    oom: bool
    finished: int
    error: str = ""
    started: int = 0


@dataclass(frozen=True, slots=True)
class Attachment:
    """What a client asked for (Docker's attach parameters). ``early``: stdin bytes that came behind the HTTP head."""

    stdin: bool
    stdout: bool
    stderr: bool
    logs: bool
    stream: bool
    mux: bool
    detach_keys: str = "ctrl-p,ctrl-q"
    early: bytes = b""


class Refused(ProaError):
    """The program could not be started. ``kind`` is a Failure's kind (hull.messages)."""

    status = 400
    default_code = "start-refused"

    def __init__(self, kind: str, text: str) -> None:
        exits = {"not-found": 127, "not-executable": 126, "denied": 126}
        super().__init__(text, code=f"start-{kind}", exit=exits.get(kind, 125))
        self.kind = kind


class Handle(Protocol):
    """A container that a hull carries. ``pid`` is init's pid on the host (a VM: QEMU's), 0 before start."""

    @property
    def id(self) -> str: ...
    @property
    def pid(self) -> int: ...
    @property
    def status(self) -> Literal["created", "running", "paused", "exited"]: ...
    @property
    def started(self) -> int:
        """ns since the epoch, 0 if it never started."""
        ...

    @property
    def facts(self) -> dict[str, Any]:
        """What inspect shows as ``Hull``: Kind, Accelerator, Kernel …"""
        ...

    @property
    def execs(self) -> dict[str, dict[str, Any]]:
        """ExecState by exec id, as known now (hull.messages)."""
        ...


Listener = Callable[[Handle, dict[str, Any]], None]
"""Called in the event loop with each unasked message of a shim (``exited``, ``exec-exited``, ``oom``, ``detached``)."""


class Hull(Protocol):
    """See the module's docstring. Every method may raise HostCannot, Refused, OSError; none leaves anything behind."""

    kind: Literal["container", "vm"]

    def needs(self) -> Needs:
        """What a root must look like here. Raises HostCannot: this host cannot have this hull."""
        ...

    async def create(self, bundle: Bundle) -> Handle: ...
    async def adopt(self, id: str, run: str, socket: str) -> Handle:
        """Find a container again. Never fails: one whose shim is gone has ended, 137 ``shim lost`` if no exit file.
        One whose program does not run yet, though a start may be under way, is ended: its Exit has no ``started``."""
        ...

    async def start(self, handle: Handle) -> None:
        """Run the program. Raises Refused; the container has then ended."""
        ...

    async def attach(self, handle: Handle, target: str, attachment: Attachment, fd: int) -> None:
        """Hand the client's socket to the shim; ``fd`` stays the caller's to close. ``target`` "" or an exec id."""
        ...

    async def exec(
        self, handle: Handle, exec_id: str, process: Process, attachment: Attachment | None, fd: int | None
    ) -> int:
        """Start one more program; returns its pid. Raises Refused."""
        ...

    async def resize(self, handle: Handle, target: str, height: int, width: int) -> None: ...
    async def signal(self, handle: Handle, target: str, signal: int) -> None: ...
    async def wait(self, handle: Handle) -> Exit: ...
    async def freeze(self, handle: Handle, frozen: bool) -> None: ...
    async def delete(self, handle: Handle) -> None:
        """Remove what is left of it; one that still runs is ended first."""
        ...
