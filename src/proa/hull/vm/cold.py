"""A cold boot, from QEMU's start to a saved machine: hello, stop, save, quit. Straight-line code with one deadline."""

from __future__ import annotations

import os
import select
import time
from typing import TYPE_CHECKING, Any, NamedTuple

from . import disks, machine, process, qmp
from .console import Console
from .port import PROTOCOL, Hangup, Malformed, Port

if TYPE_CHECKING:
    from .jail import Jail
    from .recipe import Recipe

DEADLINE = 180.0
"""Seconds for a boot. It takes two on an idle machine; eight busy loops beside it made it thirteen."""
_BANDWIDTH = 10 << 30


class BootFailed(Exception):
    """The machine did not come up; the text ends with what it said last."""


class Booted(NamedTuple):
    """The guest's ``hello``, its ``console``, how many seconds it took to save it, and QEMU's version."""

    hello: dict[str, Any]
    console: bytes
    saved: float
    qemu: str


def boot(recipe: Recipe, files: machine.Boot, jail: Jail, ram: int, state: int) -> Booted:
    """Boot into ``ram``, save devices into ``state``. Raises BootFailed."""
    with _Machine(recipe, files, jail, ram, state) as vm:
        try:
            hello = vm.hello()
            began = time.monotonic()
            vm.save()
            saved = time.monotonic() - began
        except (qmp.QmpError, Hangup, Malformed, TimeoutError) as problem:
            raise BootFailed(f"the virtual machine did not start: {problem or 'it hung up'}\n{vm.words()}") from problem
        return Booted(hello, vm.console.text, round(saved, 4), vm.version)


class _Machine:
    """A QEMU that boots, with our ends of its channels; ended and reaped on leaving."""

    def __init__(self, recipe: Recipe, files: machine.Boot, jail: Jail, ram: int, state: int) -> None:
        self._deadline = time.monotonic() + DEADLINE
        read, write = disks.placeholders(recipe.blank)
        channels = process.Channels()
        given = {machine.RAM: ram, machine.ROOT: read, machine.UPPER: write}
        self._state = state
        command = machine.command(list(recipe.qemu.argv), recipe.shape, files)
        try:
            self._pidfd = process.launch(command, dict(recipe.qemu.env), channels, given, jail)[1]
        finally:
            os.close(read)
            os.close(write)
        self._port = Port(channels.port)
        self._qmp = qmp.Qmp(channels.qmp, self._on_event)
        self._ends = channels.console
        self._migrated = ""
        self.console = Console(channels.console)

    def __enter__(self) -> _Machine:
        return self

    def __exit__(self, *_error: object) -> None:
        self._end()
        for fd in (self._port.fd, self._ends):
            os.close(fd)
        self._qmp.close()

    def hello(self) -> dict[str, Any]:
        """Wait for the guest's first message."""
        poll = select.poll()
        for fd in (self._port.fd, self._ends):
            poll.register(fd, select.POLLIN)
        poll.register(0, 0)
        while True:
            left = self._deadline - time.monotonic()
            ready = poll.poll(left * 1000) if left > 0 else []
            if not ready:
                raise TimeoutError(f"no hello within {DEADLINE:.0f} s")
            for fd, _ in ready:
                if fd == self._ends:
                    self.console.drain()
                    continue
                if fd == 0:
                    raise TimeoutError("nobody waits for it any more")
                for _stream, message in self._port.receive():
                    return _checked(message)

    def save(self) -> None:
        """Stop the machine and write its devices; its memory is where it is. QEMU then quits."""
        execute = self._qmp.execute
        execute("stop")
        capabilities = [{"capability": name, "state": True} for name in ("x-ignore-shared", "events")]
        execute("migrate-set-capabilities", {"capabilities": capabilities})
        execute("migrate-set-parameters", {"max-bandwidth": _BANDWIDTH})
        self._qmp.give("state", self._state)
        execute("migrate", {"uri": "fd:state"})
        self._qmp.wait(lambda: self._migrated in ("completed", "failed"), self._deadline - time.monotonic())
        if self._migrated != "completed":
            raise qmp.QmpError(f"migrate: {execute('query-migrate').get('error-desc', 'failed')}")
        execute("quit")

    @property
    def version(self) -> str:
        """QEMU's."""
        return self._qmp.version

    def words(self) -> str:
        """The last lines that QEMU or the guest's kernel printed."""
        self._end()
        return self.console.last_words()

    def _end(self) -> None:
        if self._pidfd >= 0:
            process.kill(self._pidfd)
            self._pidfd = -1
        self.console.drain()

    def _on_event(self, name: str, data: dict[str, Any]) -> None:
        if name == "MIGRATION":
            self._migrated = data["status"]


def _checked(message: Any) -> dict[str, Any]:
    if not isinstance(message, dict) or message.get("op") != "hello" or message.get("protocol") != PROTOCOL:
        raise Malformed(f"the guest said {str(message)[:200]}")
    return message
