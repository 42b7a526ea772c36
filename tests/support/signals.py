"""What a program inherits of its parent's signals: nothing at all, or as much as a hostile one can hand down."""

from __future__ import annotations

import sys

from proa.program import FLAGS, SITE

_CLEAN = "signals.reset()"
_HOSTILE = """
import ctypes, signal
call = libc.syscall("rt_sigaction", ctypes.c_int, ctypes.c_char_p, ctypes.c_void_p, ctypes.c_size_t)
for number in (32, 33, signal.SIGCHLD, signal.SIGHUP, signal.SIGUSR1, signal.SIGRTMAX):
    assert call(number, b"\\1" + bytes(31), None, 8) == 0
signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGTERM, signal.SIGCHLD, signal.SIGUSR2, signal.SIGWINCH))
"""


def clean(command: list[str]) -> list[str]:
    """``command`` with no signal ignored or blocked, whatever our own parent left us: same process, 30 ms later."""
    return _behind(_CLEAN, command)


def hostile(command: list[str]) -> list[str]:
    """``command`` with some signals ignored, the C library's own (32 and 33) and SIGCHLD too, and some blocked."""
    return _behind(_HOSTILE, command)


def _behind(code: str, command: list[str]) -> list[str]:
    start = f"import os, sys; sys.path.append({SITE!r})\nfrom proa.linux import libc, signals\n"
    last = "\nos.execvp(sys.argv[1], sys.argv[1:])"
    return [sys.executable, *FLAGS, "-c", start + code + last, *command]
