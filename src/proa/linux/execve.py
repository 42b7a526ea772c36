"""execve(2) with everything made ready beforehand: the call itself allocates nothing and makes no other system call."""

import ctypes
import os

from . import libc

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

_Vector = ctypes.POINTER(ctypes.c_char_p)
_execve = libc.function("execve", ctypes.c_char_p, _Vector, _Vector)


_ready = [(size, ctypes.c_char_p * size) for size in (16, 64, 512)]  # making an array type costs 50 µs


def _vector(words: "Sequence[str]") -> "ctypes.Array[ctypes.c_char_p]":
    size = len(words) + 1
    for room, kind in _ready:
        if room >= size:
            return kind(*[os.fsencode(word) for word in words])  # what is not given is NULL
    return (ctypes.c_char_p * size)(*[os.fsencode(word) for word in words])


class Image:
    """A program to become. The environment is passed as it is, doubles and all. A NUL in a word is a ValueError."""

    __slots__ = ("_argv", "_env", "_path", "path")

    def __init__(self, path: str, argv: "Sequence[str]", env: "Sequence[str]") -> None:
        if "\0" in path or any("\0" in word for word in (*argv, *env)):
            raise ValueError("embedded null byte")
        self.path = path
        self._path = os.fsencode(path)
        self._argv = _vector(argv)
        self._env = _vector(env)

    def place(self, where: "ctypes.Array[ctypes.c_void_p]") -> None:
        """Write the addresses of path, arguments and environment there; they hold as long as this object does."""
        where[0] = ctypes.cast(ctypes.c_char_p(self._path), ctypes.c_void_p).value
        where[1] = ctypes.addressof(self._argv)
        where[2] = ctypes.addressof(self._env)

    def execute(self) -> "NoReturn":
        """Become the program. Raises OSError; the caller goes on only then."""
        _execve(self._path, self._argv, self._env)
        libc.fail("execve", self.path)
