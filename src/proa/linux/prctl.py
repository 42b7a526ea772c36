"""prctl(2): what a process says about itself."""

import ctypes

from . import libc

_PR_SET_PDEATHSIG = 1
_PR_SET_DUMPABLE = 4
_PR_SET_KEEPCAPS = 8
_PR_SET_NAME = 15
_PR_SET_CHILD_SUBREAPER = 36
_PR_SET_NO_NEW_PRIVS = 38

_word = ctypes.c_ulong
_prctl = libc.function("prctl", ctypes.c_int, _word, _word, _word, _word)


def call(option: int, second: int = 0, third: int = 0) -> int:
    """The bare call; -1 and ctypes' errno on failure."""
    return _prctl(option, second, third, 0, 0)


def death_signal(number: int) -> None:
    """Be sent ``number`` when the parent thread ends. Cleared by every change of credentials: set it after the last."""
    libc.check(call(_PR_SET_PDEATHSIG, number), "prctl(PR_SET_PDEATHSIG)")


def dumpable(on: bool) -> None:
    """Whether others of the same user may trace this process and follow its /proc/PID links."""
    libc.check(call(_PR_SET_DUMPABLE, on), "prctl(PR_SET_DUMPABLE)")


def keep_capabilities(on: bool) -> None:
    """Keep permitted capabilities when the user id leaves 0."""
    libc.check(call(_PR_SET_KEEPCAPS, on), "prctl(PR_SET_KEEPCAPS)")


def name(text: bytes) -> None:
    """The thread's name (15 bytes), as ps shows it."""
    buffer = ctypes.create_string_buffer(text[:15])
    libc.check(call(_PR_SET_NAME, ctypes.addressof(buffer)), "prctl(PR_SET_NAME)")


def child_subreaper(on: bool) -> None:
    """Become the parent of orphaned descendants."""
    libc.check(call(_PR_SET_CHILD_SUBREAPER, on), "prctl(PR_SET_CHILD_SUBREAPER)")


def no_new_privileges() -> None:
    """execve(2) grants nothing from now on, here and in all descendants."""
    libc.check(call(_PR_SET_NO_NEW_PRIVS, 1), "prctl(PR_SET_NO_NEW_PRIVS)")
