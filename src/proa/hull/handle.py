"""Carried: what an engine knows of one container whose shim carries it. A ``contract.Handle``, common to both hulls."""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any, Literal

from .contract import Exit

if TYPE_CHECKING:
    from .bundle import Bundle
    from .link import Link
    from .messages import Message

Status = Literal["created", "running", "paused", "exited"]


class Carried:
    """Kept true by ``apply``, which gets each message of the shim before anybody else."""

    def __init__(self, id: str, run: str, socket: str) -> None:
        self.id = id
        self.run = run
        self.socket = socket
        self.pid = 0
        self.status: Status = "created"
        self.started = 0
        self.facts: dict[str, Any] = {}
        self.execs: dict[str, dict[str, Any]] = {}
        self.exit: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self.state: dict[str, Any] = {}
        """What may have to be ended if the shim dies: kind and cgroup, from the bundle or state.json."""
        self.greeted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self.link: Link | None = None
        self.bundle: Bundle | None = None
        """What the shim got, until it has started."""

    def apply(self, message: Message) -> None:
        """Take over what a message says. Unknown ones and fields are ignored: a shim may be younger than we are."""
        match message.get("op"):
            case "hello":
                self._greet(message)
            case "exited":
                self.ended(message["exit"])
            case "exec-exited":
                self.execs.get(str(message["exec"]), {}).update(running=False, status=message["status"])

    def run_started(self, reply: Message) -> None:
        """The program runs."""
        self.pid, self.started, self.status = int(reply["pid"]), int(reply["started"]), "running"
        self.facts.update(reply.get("hull", {}))

    def exec_started(self, exec_id: str, pid: int) -> None:
        """One more program runs."""
        self.execs[exec_id] = {"running": True, "pid": pid, "status": 0}

    def ended(self, value: dict[str, Any]) -> None:
        """It has ended: an Exit of hull/messages. Raises KeyError, ValueError."""
        self.execs.update(value.get("execs", {}))
        self.end(exit_from(value))

    def end(self, exit: Exit) -> None:
        """It has ended, whatever says so first."""
        self.status = "exited"
        for state in self.execs.values():
            if state["running"]:
                state.update(running=False, status=137)
        if not self.exit.done():
            self.exit.set_result(exit)

    def _greet(self, message: Message) -> None:
        self.pid, self.started = int(message.get("pid", 0)), int(message.get("started", 0))
        self.status = message.get("status", "created")
        self.execs = dict(message.get("execs", {}))
        self.facts.update(message.get("hull", {}))
        if message.get("exit"):
            self.ended(message["exit"])
        if not self.greeted.done():
            self.greeted.set_result(None)


def text(value: object) -> str:
    """``value`` as text that any database takes, whatever bytes a path in it came from."""
    return str(value).encode("utf-8", "replace").decode()


def exit_from(value: dict[str, Any]) -> Exit:
    """An Exit of the contract from one of hull/messages. Raises KeyError, ValueError."""
    return Exit(
        status=int(value["status"]),
        oom=bool(value.get("oom")),
        finished=int(value["finished"]),
        error=text(value.get("error", "")),
        started=int(value.get("started", value["finished"])),
    )
