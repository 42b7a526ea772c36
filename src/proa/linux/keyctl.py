"""keyctl(2): a session keyring of one's own."""

import ctypes

from . import libc

_JOIN_SESSION_KEYRING = 1
_keyctl = libc.syscall("keyctl", ctypes.c_int, ctypes.c_char_p)


def join_session(name: str) -> None:
    """Join a new session keyring called ``name``. Raises OSError: no keyrings in this kernel, or a quota is full."""
    libc.check(_keyctl(_JOIN_SESSION_KEYRING, name.encode()), "keyctl")
