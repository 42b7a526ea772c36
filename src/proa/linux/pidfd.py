"""Processes by descriptor: pidfd_open(2), pidfd_send_signal(2), waitid(2). Nobody is signalled by a reused number."""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
else:
    import _signal


def signal(pidfd: int, number: int) -> bool:
    """Send a signal; False when the process has ended."""
    try:
        _signal.pidfd_send_signal(pidfd, number)
    except ProcessLookupError:
        return False
    return True


def status(pidfd: int, *, block: bool = False) -> "int | None":
    """Reap a child and say how it ended, as a shell counts: its exit code, or 128 + n for signal n. None: it runs.

    Raises ChildProcessError for what is not a child, or was reaped before.
    """
    ended = os.waitid(os.P_PIDFD, pidfd, os.WEXITED | (0 if block else os.WNOHANG))
    if ended is None:
        return None
    return ended.si_status if ended.si_code == os.CLD_EXITED else 128 + ended.si_status
