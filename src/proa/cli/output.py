"""Writing to standard output and error, unbuffered, on the file descriptors themselves.

A reader that has gone away ends the command as it ends any Unix program: by SIGPIPE, whose default disposition
``main`` restores. A command that proxies signals ignores SIGPIPE and meets ``BrokenPipe`` instead.
"""

import posix

from .. import jsontext
from ..errors import ProaError

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_NAMES = {1: "/dev/stdout", 2: "/dev/stderr"}


class BrokenPipe(ProaError):
    """The reader of our output has gone away, or the disk behind it is full."""

    default_code = "write-failed"


def write(fd: int, data: "bytes | memoryview") -> None:
    """All of ``data`` to ``fd``. Raises BrokenPipe."""
    view = memoryview(data)
    try:
        while view:
            view = view[posix.write(fd, view) :]
    except BlockingIOError:
        _wait(fd)
        write(fd, view)
    except OSError as problem:
        reason = problem.strerror.lower() if problem.strerror else str(problem)
        raise BrokenPipe(f"write {_NAMES.get(fd, f'fd {fd}')}: {reason}") from problem


def _wait(fd: int) -> None:
    """Somebody made the descriptor non-blocking (it is shared with whoever gave it to us): wait until it takes more."""
    import select

    poll = select.poll()
    poll.register(fd, select.POLLOUT)
    poll.poll()


def encode(text: str) -> bytes:
    """``text`` as it came: bytes that were not UTF-8 stay what they were; a lone surrogate becomes ``?``."""
    try:
        return text.encode("utf-8", "surrogateescape")
    except UnicodeEncodeError:
        return text.encode("utf-8", "replace")


def shell_quote(word: str) -> str:
    """``word`` as a shell takes it for one word."""
    if word and all(char.isalnum() or char in "@%+=:,./-_" for char in word) and word.isascii():
        return word
    return "'" + word.replace("'", "'\\''") + "'"


def line(text: str) -> None:
    """One line on standard output."""
    write(1, encode(text + "\n"))


def text(text: str) -> None:
    """``text`` as it is, on standard output."""
    write(1, encode(text))


def complain(text: str) -> None:
    """One line on standard error. A closed standard error is no reason to fail."""
    try:
        write(2, encode(text + "\n"))
    except BrokenPipe:
        return


def document(value: "Any") -> None:
    """One JSON document on one line (``--json``)."""
    write(1, jsontext.dumps(value) + b"\n")
