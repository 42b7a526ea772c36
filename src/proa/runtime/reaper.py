"""Process 1 that stays (docker run --init): forwards every signal to the program, reaps orphans, ends as it ends.

It keeps CAP_KILL, if it had it, and nothing else: no descriptor, no new privileges, not traceable.
"""

import os

from ..linux import argv, capability, close_range, prctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    import signal as _signal
    from typing import NoReturn
else:
    import _signal

_ALL = [number for number in range(1, _signal.NSIG) if number not in (32, 33)]  # those are the C library's
_NOT_FORWARDED = (_signal.SIGCHLD, _signal.SIGTTIN, _signal.SIGTTOU)


def fork(channel: "_socket.socket") -> bool:
    """False in the child, which goes on to become the program; the parent stays here for good."""
    _signal.pthread_sigmask(_signal.SIG_SETMASK, _ALL)
    child = os.fork()
    if child == 0:
        _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
        return False
    channel.close()
    try:
        _diminish()
        _reap(child)
    finally:
        os._exit(255)


def _diminish() -> None:
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    for fd in range(3):
        os.dup2(null, fd)
    close_range.close(3)
    prctl.name(b"init")
    argv.show(b"init")
    prctl.no_new_privileges()
    prctl.child_subreaper(True)  # where the pid namespace is the host's
    _, held, _ = capability.get()
    kill = capability.BITS["CAP_KILL"] & held
    if held & capability.BITS["CAP_SETPCAP"]:
        capability.drop_bounding(0)
    capability.set(kill, kill, 0)


def _reap(child: int) -> "NoReturn":
    while True:
        number = _signal.sigwaitinfo(_ALL).si_signo
        if number not in _NOT_FORWARDED:
            _forward(child, number)
            continue
        while True:
            try:
                pid, status = os.waitpid(-1, os.WNOHANG)
            except ChildProcessError:
                os._exit(255)
            if pid == 0:
                break
            if pid == child:
                code = os.waitstatus_to_exitcode(status)
                os._exit(code if code >= 0 else 128 - code)


def _forward(child: int, number: int) -> None:
    try:
        os.kill(child, number)
    except OSError:
        return  # it has just ended: SIGCHLD is on its way
