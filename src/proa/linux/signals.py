"""signal(7): give a program the dispositions and the mask that execve(2) does not reset."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
else:
    import _signal

_KEPT = (_signal.SIGKILL, _signal.SIGSTOP, 32, 33)  # 32 and 33 belong to the C library


def reset() -> None:
    """Default disposition for every signal (Python ignores SIGPIPE and SIGXFSZ), and an empty mask."""
    for number in range(1, _signal.NSIG):
        if number not in _KEPT and _signal.getsignal(number) is not _signal.SIG_DFL:
            _signal.signal(number, _signal.SIG_DFL)
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
