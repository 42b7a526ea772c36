"""Start QEMU: a child with exactly the descriptors that its command line names, jailed, that dies with its parent."""

import _socket
import errno
import fcntl
import os
import select

from ...linux import close_range, pidfd, prctl, signals
from . import jail, machine

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .jail import Jail

_SIGKILL = 9
_ABOVE = 64
"""Descriptors are first moved above this, so that no target number is still in use as a source."""


class Channels:
    """Our ends of a machine's three channels (``qmp``, ``port``, ``console``: non-blocking descriptors)."""

    __slots__ = ("console", "port", "qmp", "theirs")

    def __init__(self) -> None:
        self.theirs: "dict[int, int]" = {}
        self.qmp = self._pair(machine.QMP)
        self.port = self._pair(machine.PORT)
        self.console = self._pair(machine.CONSOLE)

    def _pair(self, number: int) -> int:
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_STREAM | _socket.SOCK_CLOEXEC, 0)
        ours.setblocking(False)
        self.theirs[number] = theirs.detach()
        return ours.detach()

    def hand_over(self) -> None:
        """Close the machine's ends here: then we see when it dies."""
        for fd in self.theirs.values():
            os.close(fd)
        self.theirs = {}

    def close(self) -> None:
        """Close everything."""
        self.hand_over()
        for fd in (self.qmp, self.port, self.console):
            os.close(fd)


def launch(
    command: "list[str]",
    env: "dict[str, str]",
    channels: Channels,
    files: "dict[int, int]",
    jailed: "Jail | None",
) -> "tuple[int, int]":
    """Start QEMU with its channels and ``files`` ({number: descriptor}) in its jail: (pid, pidfd). Raises OSError.

    What QEMU itself has to say arrives on the console channel. On failure the channels are closed.
    """
    fds = {**files, **channels.theirs, 2: channels.theirs[machine.CONSOLE]}
    try:
        started = start(command, env, fds, jailed)
    except BaseException:
        channels.close()
        raise
    channels.hand_over()
    return started


def kill(process: int) -> None:
    """End and reap a child by its pidfd, which is closed."""
    try:
        pidfd.signal(process, _SIGKILL)
        pidfd.status(process, block=True)
    except ChildProcessError:
        return
    finally:
        os.close(process)


def start(
    argv: "list[str]", env: "dict[str, str]", fds: "dict[int, int]", jailed: "Jail | None" = None
) -> "tuple[int, int]":
    """Fork and exec ``argv``; returns (pid, pidfd) once execve(2) has succeeded. Raises OSError of what failed.

    ``fds``: {number in the child: descriptor here}; all else is closed. Without a jail, for tests and templates of
    hosts that have none, the child still dies with its parent. Only for single-threaded processes.
    """
    parent = os.pidfd_open(os.getpid())
    report, sender = os.pipe2(os.O_CLOEXEC)
    try:
        pid, child = jail.fork(jailed) if jailed is not None else _fork()
        if pid == 0:
            _child(argv, env, fds, jailed, parent, sender)
        os.close(sender)
        sender = -1
        failure = os.read(report, 512)
    finally:
        for fd in (parent, report, sender):
            if fd >= 0:
                os.close(fd)
    if failure:
        kill(child)
        number, _, text = failure.partition(b" ")
        raise OSError(int(number), text.decode("utf-8", "replace"))
    return pid, child


def _fork() -> "tuple[int, int]":
    pid = os.fork()
    return (pid, os.pidfd_open(pid)) if pid else (0, -1)


def _child(
    argv: "list[str]", env: "dict[str, str]", fds: "dict[int, int]", jailed: "Jail | None", parent: int, sender: int
) -> None:
    try:
        signals.reset()
        sender = fcntl.fcntl(sender, fcntl.F_DUPFD_CLOEXEC, _ABOVE)
        parent = fcntl.fcntl(parent, fcntl.F_DUPFD_CLOEXEC, _ABOVE)
        _place(fds, [sender, parent])
        os.chdir("/")
        if jailed is not None:
            os.execve(jail.confine(jailed, parent), argv, env)
        prctl.death_signal(_SIGKILL)
        poll = select.poll()
        poll.register(parent, select.POLLIN)
        if not poll.poll(0):
            os.execve(argv[0], argv, env)
    except BaseException as problem:  # whatever it is: this is a copy of the parent, which must not run on
        number = problem.errno if isinstance(problem, OSError) and problem.errno else errno.EINVAL
        os.write(sender, f"{number} {problem}".encode()[:500])
    finally:
        os._exit(127)


def _place(fds: "dict[int, int]", keep: "list[int]") -> None:
    null = os.open("/dev/null", os.O_RDWR)
    moved = {target: fcntl.fcntl(fd, fcntl.F_DUPFD, _ABOVE) for target, fd in fds.items()}
    for target in (0, 1, 2):
        moved.setdefault(target, fcntl.fcntl(null, fcntl.F_DUPFD, _ABOVE))
    for target, fd in moved.items():
        os.dup2(fd, target)
    close_range.close_except([*moved, *keep])
