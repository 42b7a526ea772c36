"""The one handle to the C library, and the one door through which every failure leaves as OSError.

PyDLL keeps the interpreter's lock across a call: a process born by a raw clone3(2) has no other thread to hand it to,
and a call that changes this process (namespaces, credentials) must not interleave with another thread's.
"""

import ctypes
import os

from . import arch

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, NoReturn

    Path = str | bytes

_handle = ctypes.PyDLL(None, use_errno=True)


def function(name: str, *argtypes: "Any", restype: "Any" = ctypes.c_int) -> "Callable[..., int]":
    """A C library function with its prototype, made once at import. An int without a type would be cut to 32 bits."""
    made = _handle[name]  # indexing gives a new object each time: one symbol may have several prototypes
    made.argtypes = argtypes
    made.restype = restype
    return made


def syscall(name: str, *argtypes: "Any") -> "Callable[..., int]":
    """A system call that the C library has no name for, as a function of its own arguments."""
    made = function("syscall", ctypes.c_long, *argtypes, restype=ctypes.c_long)
    number = arch.number(name)

    def call(*args: "Any") -> int:
        return made(number, *args)

    return call


def fail(call: str, path: "Path" = "") -> "NoReturn":
    """Raise the OSError of the last failed call; ``path`` is what it was about."""
    error = ctypes.get_errno()
    raise OSError(error, f"{os.strerror(error)} ({call})", os.fsdecode(path) if path else None)


def check(result: int, call: str, path: "Path" = "") -> int:
    """``result``, or OSError when it is -1."""
    if result == -1:
        fail(call, path)
    return result
