"""One QEMU under a shim: started from a template's state, its three channels in the shim's loop, its end noticed.

launch → devices read (MIGRATION completed) → continued → owner.restored()
owner.heard(stream, message)     a control message (stream 0) or bytes from the guest
owner.spoiled(why)               the template's state cannot be loaded
owner.gone(why)                  QEMU is dead, all that it had said was heard; or its guest broke the protocol
"""

import os

from ...linux import pidfd
from .. import loop as loops
from . import machine, process, qmp
from .console import Console
from .port import GUEST_MESSAGE_MAX, Hangup, Malformed, Port

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    from ..loop import Loop
    from .jail import Jail

    class Owner(Protocol):
        """Whoever is told, see above."""

        def restored(self) -> None: ...
        def heard(self, stream: int, message: Any) -> None: ...
        def spoiled(self, why: str) -> None: ...
        def gone(self, why: str) -> None: ...


FREEZE_SECONDS = 30.0
_SIGKILL = 9
_CAPABILITIES = [{"capability": name, "state": True} for name in ("x-ignore-shared", "events")]


class Qemu:
    """A running QEMU. ``pid`` is in the shim's view."""

    def __init__(
        self,
        loop: "Loop",
        owner: "Owner",
        command: "list[str]",
        env: "dict[str, str]",
        files: "dict[int, int]",
        jail: "Jail | None",
    ) -> None:
        """Start it and begin the restore. ``files`` stay the caller's. Raises OSError; nothing is left then."""
        channels = process.Channels()
        self.pid, self._pidfd = process.launch(command, env, channels, files, jail)
        self._loop = loop
        self._owner: "Owner | None" = owner
        self._freezes: "list[Callable[[str], None]]" = []
        self._console = Console(channels.console)
        self.port = Port(channels.port, message_max=GUEST_MESSAGE_MAX)
        self._qmp = qmp.Qmp(channels.qmp, self._on_event)
        for fd, handler in (
            (channels.port, self._on_port),
            (channels.qmp, self._on_qmp),
            (channels.console, self._on_console),
            (self._pidfd, self._on_death),
        ):
            loop.add(fd, handler)
        self._qmp.request("migrate-set-capabilities", {"capabilities": _CAPABILITIES}, self._checked)
        self._qmp.request("migrate-incoming", {"uri": f"fd:{machine.STATE}"}, self._checked)

    def send(self, message: "dict[str, Any]") -> None:
        """Send a control message."""
        self.port.send(message)
        self.flush()

    def flush(self) -> None:
        """Write what is queued on the port, now and when there is room."""
        if self._owner is None:
            return
        try:
            self.port.flush()
        except Hangup:
            return  # its end is told by its pidfd
        self._loop.change(self.port.fd, loops.IN | loops.OUT if self.port.pending else loops.IN)

    def freeze(self, frozen: bool, done: "Callable[[str], None]") -> None:
        """Stop or continue the virtual CPUs; ``done("")`` is called once that is so, else once with why it is not.
        Raises QmpError: then it is not called."""

        def end(why: str) -> None:
            if end in self._freezes:
                self._freezes.remove(end)
                timer.cancel()
                done(why)

        self._qmp.request("stop" if frozen else "cont", None, lambda answer: end(_refusal(answer)))
        timer = self._loop.after(FREEZE_SECONDS, lambda: end("QEMU did not answer in time"))
        self._freezes.append(end)

    def kill(self) -> None:
        """SIGKILL."""
        pidfd.signal(self._pidfd, _SIGKILL)

    def silence(self) -> None:
        """Tell the owner nothing any more, but that what it waits for will not be."""
        self._owner = None
        for end in self._freezes[:]:
            end("the virtual machine ended")

    def last_words(self) -> str:
        """The last lines of the console, and of QEMU itself."""
        self._console.drain()
        return self._console.last_words()

    def close(self) -> None:
        """Kill and reap it, and close its channels."""
        self.silence()
        for fd in (self.port.fd, self._qmp.fd, self._console.fd, self._pidfd):
            self._loop.remove(fd)
        process.kill(self._pidfd)
        for fd in (self.port.fd, self._qmp.fd, self._console.fd):
            os.close(fd)

    def _checked(self, answer: "qmp.Answer") -> None:
        if "error" in answer and self._owner is not None:
            self._owner.spoiled(_refusal(answer))

    def _on_event(self, name: str, data: "dict[str, Any]") -> None:
        if name != "MIGRATION" or self._owner is None:
            return
        if data.get("status") == "completed":
            self._qmp.request("cont", None, self._continued)
        elif data.get("status") == "failed":
            self._owner.spoiled("its state cannot be loaded")

    def _continued(self, answer: "qmp.Answer") -> None:
        self._checked(answer)
        if self._owner is not None and "error" not in answer:
            self._owner.restored()

    def _on_qmp(self, _events: int) -> None:
        try:
            self._qmp.receive()
        except qmp.QmpGone:
            self._loop.remove(self._qmp.fd)
        except qmp.QmpError as problem:
            self._fail(f"QEMU does not speak QMP: {problem}")

    def _on_console(self, _events: int) -> None:
        if not self._console.drain():
            self._loop.remove(self._console.fd)

    def _on_port(self, events: int) -> None:
        try:
            if events & ~loops.OUT:
                self._receive()
        except Hangup:
            self._loop.remove(self.port.fd)
        except Malformed as problem:
            self._fail(f"the virtual machine's process 1 broke the protocol: {problem}")
        else:
            self.flush()

    def _receive(self) -> None:
        for stream, message in self.port.receive():
            if self._owner is None:
                return
            try:
                self._owner.heard(stream, message)
            except (ArithmeticError, AttributeError, LookupError, RecursionError, TypeError, ValueError) as problem:
                # what a guest says is a stranger's word: it ends the machine, never the shim
                raise Malformed(f"{type(problem).__name__}: {problem}") from problem

    def _on_death(self, _events: int) -> None:
        self._loop.remove(self._pidfd)
        try:
            while self._owner is not None:
                self._receive()
        except Hangup:
            pass  # read to the end
        except Malformed:
            pass  # it is dead anyway
        self._fail("the virtual machine ended unexpectedly")

    def _fail(self, why: str) -> None:
        if self._owner is not None:
            self._owner.gone(why)


def _refusal(answer: "qmp.Answer") -> str:
    """Why a command was refused; "" if it was not."""
    return str(answer["error"].get("desc") or "refused") if "error" in answer else ""
