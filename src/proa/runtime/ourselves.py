"""Refusing to be executed by the container: /proc/self/exe is, until execve, the host's interpreter (CVE-2019-5736).

An image whose program, or whose script's interpreter, is a link into /proc would have our own executable run inside,
where it could be held open and written later. The same file bound in on purpose (-v /usr:/usr) is nobody's trick.
"""

import errno
import os

from ..linux.openat2 import RESOLVE_NO_MAGICLINKS, openat2

_AT_FDCWD = -100
_NESTED = 5  # how many interpreters of interpreters the kernel follows


def _identity(path: str) -> "tuple[int, int]":
    try:
        info = os.stat(path)
    except OSError:
        return 0, 0
    return info.st_dev, info.st_ino


_OUR = _identity("/proc/self/exe")


def asked_for(path: str) -> bool:
    """Whether executing ``path`` would execute this process's own executable by way of /proc."""
    for _ in range(_NESTED):
        if _identity(path) == _OUR and _magic(path):
            return True
        path = _interpreter(path)
        if not path:
            return False
    return False


def _magic(path: str) -> bool:
    try:
        os.close(openat2(_AT_FDCWD, path, os.O_PATH, resolve=RESOLVE_NO_MAGICLINKS))
    except OSError as problem:
        return problem.errno == errno.ELOOP
    return False


def _interpreter(path: str) -> str:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return ""
    try:
        start = os.read(fd, 256)
    except OSError:
        return ""
    finally:
        os.close(fd)
    if not start.startswith(b"#!"):
        return ""
    words = start[2:].split(b"\n")[0].split()
    return os.fsdecode(words[0]) if words else ""
