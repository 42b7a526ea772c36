"""Signals that the command gets while it is attached: sent on to the program, as docker does.

What comes before the program runs is kept until it does. Three SIGINT or SIGTERM while nothing ends are taken for what
they mean. The dispositions of the other programs in a pipeline are none of our business: SIGPIPE is ignored so that a
write tells, SIGTTIN and SIGTTOU stop us as they stop everybody.
"""

import posix

from .. import NAME
from ..errors import ProaError
from .output import complain

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable

    from .terminal import Terminal
else:
    import _signal

_FORCE = 3
_OURS = (
    _signal.SIGKILL, _signal.SIGSTOP, _signal.SIGCHLD, _signal.SIGPIPE, _signal.SIGURG, _signal.SIGTTIN,
    _signal.SIGTTOU, _signal.SIGSEGV, _signal.SIGBUS, _signal.SIGFPE, _signal.SIGILL, _signal.SIGSYS, _signal.SIGTRAP,
)  # fmt: skip


def name(number: int) -> str:
    """``INT`` for 2; a real-time signal's number."""
    for text in dir(_signal):
        if text.startswith("SIG") and text[3] != "_" and getattr(_signal, text) == number:
            return text[3:]
    return str(number)


class Proxy:
    """Forwards signals through ``send``, which gets a signal's name. ``terminal`` is restored before we die."""

    def __init__(self, send: "Callable[[str], None]", terminal: "Terminal") -> None:
        self._send = send
        self._terminal = terminal
        self._running = False
        self._kept: list[int] = []
        self._endings = 0

    def install(self, resized: bool) -> None:
        """Take every signal that can be sent on; SIGWINCH only where ``resized`` does not handle it."""
        for number in _signal.valid_signals():
            if number not in _OURS and not (resized and number == _signal.SIGWINCH):
                _signal.signal(number, self._handle)
        _signal.signal(_signal.SIGPIPE, _signal.SIG_IGN)

    def started(self) -> None:
        """The program runs: send what was kept, and from now on at once."""
        self._running = True
        while self._kept:
            self._forward(self._kept.pop(0))

    def _handle(self, number: int, frame: object) -> None:
        if number in (_signal.SIGINT, _signal.SIGTERM):
            self._endings += 1
            if self._endings >= _FORCE:
                self._terminal.restore()
                complain(f"\n{NAME}: got {_FORCE} SIGTERM/SIGINTs, forcefully exiting")
                posix._exit(1)
        if self._running:
            self._forward(number)
        else:
            self._kept.append(number)

    def _forward(self, number: int) -> None:
        try:
            self._send(name(number))
        except ProaError:
            return  # it has ended meanwhile; whoever waits for it says so


def restore_at_death(terminal: "Terminal") -> None:
    """Where signals are not sent on: give the terminal back before one of them ends us."""

    def die(number: int, frame: object) -> None:
        terminal.restore()
        _signal.signal(number, _signal.SIG_DFL)
        posix.kill(posix.getpid(), number)

    for number in (_signal.SIGTERM, _signal.SIGHUP, _signal.SIGINT, _signal.SIGQUIT):
        _signal.signal(number, die)
