"""signal(7): give a program the dispositions and the mask that execve(2) does not reset."""

import ctypes

from . import libc

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
else:
    import _signal

_INTERNAL = (32, 33)  # the C library's own, which its functions refuse to touch; its posix_spawn(3) leaves them ignored
_KEPT = (_signal.SIGKILL, _signal.SIGSTOP, *_INTERNAL)
_SET_SIZE = 8  # bytes of the kernel's sigset_t
_DEFAULT = b"\0" * 32  # struct sigaction as the kernel has it: SIG_DFL, no flags, an empty mask
_rt_sigaction = libc.syscall("rt_sigaction", ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t)


def reset_bare() -> None:
    """The same as ``reset`` behind the signal module's back: a child in its parent's memory (linux/vfork) must not
    change what that notes for the parent."""
    for number in range(1, _signal.NSIG):
        if number in _INTERNAL or (number not in _KEPT and _signal.getsignal(number) is not _signal.SIG_DFL):
            libc.check(_rt_sigaction(number, _DEFAULT, None, _SET_SIZE), "rt_sigaction")
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())


def reset() -> None:
    """Default disposition for every signal (Python ignores SIGPIPE and SIGXFSZ), and an empty mask."""
    for number in range(1, _signal.NSIG):
        if number not in _KEPT and _signal.getsignal(number) is not _signal.SIG_DFL:
            _signal.signal(number, _signal.SIG_DFL)
    for number in _INTERNAL:
        libc.check(_rt_sigaction(number, _DEFAULT, None, _SET_SIZE), "rt_sigaction")
    _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
