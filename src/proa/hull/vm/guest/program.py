"""One program of a guest: its streams, its end, and what may be done to it meanwhile."""

import fcntl
import os
import struct
import termios

from ....linux import pidfd
from .outlet import Inlet, Outlet

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ....hull.loop import Loop, Timer
    from ..port import Port


BACKGROUND = 2.0
"""Seconds that the streams of a program beside the first stay open for what it left behind; dockerd's number."""


class Stdio:
    """The pipes of a program without a terminal: ``inside`` are its three descriptors, the others are ours."""

    __slots__ = ("input", "inside", "outputs")

    def __init__(self, stdin: bool) -> None:
        if stdin:
            inside, self.input = os.pipe2(os.O_CLOEXEC)
        else:
            inside, self.input = os.open("/dev/null", os.O_RDONLY | os.O_CLOEXEC), -1
        pipes = os.pipe2(os.O_CLOEXEC), os.pipe2(os.O_CLOEXEC)
        self.inside = [inside, pipes[0][1], pipes[1][1]]
        self.outputs = [pipes[0][0], pipes[1][0]]

    def started(self) -> None:
        """The program has its ends."""
        for fd in self.inside:
            os.close(fd)

    def failed(self) -> None:
        """There will be no program."""
        self.started()
        for fd in (*self.outputs, self.input):
            if fd >= 0:
                os.close(fd)


class Program:
    """A program that runs, or has run. ``ended(program)`` is called once, behind the last byte of its output."""

    def __init__(
        self, loop: "Loop", port: "Port", target: str, pid: int, process: int, ended: "Callable[[Program], None]"
    ) -> None:
        self._loop = loop
        self._port = port
        self._pidfd = process
        self._ended = ended
        self._master = -1
        self._open = 0
        self._timer: "Timer | None" = None
        self.target = target
        self.pid = pid
        self.status = -1
        self.outlets: "list[Outlet]" = []
        self.inlet: "Inlet | None" = None

    def connect(self, order: "dict[str, Any]", stdio: "Stdio | None", master: int) -> None:
        """Wire the program's descriptors to the streams that an order names, and watch for its end."""
        if stdio is None:
            self._master = master
            self._outlet(order["stdout"], os.dup(master))
            if order["stdin"]:
                self.inlet = Inlet(self._loop, self._port, order["stdin"], os.dup(master))
        else:
            for name, fd in zip(("stdout", "stderr"), stdio.outputs, strict=True):
                self._outlet(order[name], fd)
            if stdio.input >= 0:
                self.inlet = Inlet(self._loop, self._port, order["stdin"], stdio.input)
        self._loop.add(self._pidfd, self._died)

    def signal(self, number: int) -> None:
        """Send a signal."""
        if self.status < 0:
            pidfd.signal(self._pidfd, number)

    def resize(self, height: int, width: int) -> None:
        """Tell the terminal its size."""
        if self._master >= 0:
            fcntl.ioctl(self._master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def _outlet(self, stream: int, fd: int) -> None:
        self._open += 1
        self.outlets.append(Outlet(self._loop, self._port, stream, fd, self._closed))

    def _closed(self) -> None:
        self._open -= 1
        self._check()

    def _died(self, _events: int) -> None:
        status = pidfd.status(self._pidfd)
        if status is None:
            return
        self._loop.remove(self._pidfd)
        os.close(self._pidfd)
        self.status = status
        if self.inlet is not None:
            self.inlet.close()
        if self.target and self._open:  # the first program's end is everybody's
            self._timer = self._loop.after(BACKGROUND, self._finish)
        else:
            self._finish()

    def _finish(self) -> None:
        for outlet in list(self.outlets):
            outlet.finish()
        self._check()

    def _check(self) -> None:
        if self._open == 0 and self.status >= 0 and self.outlets is not _DONE:
            self.outlets = _DONE
            if self._timer is not None:
                self._timer.cancel()
            if self._master >= 0:
                os.close(self._master)
                self._master = -1
            self._ended(self)


_DONE: "list[Outlet]" = []
