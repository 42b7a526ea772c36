"""From errno to the words that docker's users know, which are runc's: Go writes errors in lower case."""

import errno
import os

from .messages import StartFailure

_HOST = (errno.EPERM, errno.ENOSYS, errno.EOPNOTSUPP, errno.ENODEV)


def reason(problem: OSError) -> str:
    """What errno says, as Go says it: "no such file or directory"."""
    text = os.strerror(problem.errno) if problem.errno else str(problem)
    return text[:1].lower() + text[1:]


def quote(text: str) -> str:
    """Go's %q, near enough."""
    return '"' + text.replace("\\", "\\\\").replace('"', '\\"').replace("\n", "\\n") + '"'


def of_setup(what: str, problem: OSError) -> StartFailure:
    """A step of the set-up failed; ``what`` names it: 'mounting "proc" to rootfs at "/proc"'."""
    kind = "host-cannot" if problem.errno in _HOST else "invalid"
    return StartFailure(kind, f"error {what}: {reason(problem)}")


def of_program(text: str, problem: OSError) -> StartFailure:
    """The program, or its directory, cannot be used: the exit code 126 or 127 hangs on the kind."""
    missing = problem.errno in (errno.ENOENT, errno.ENOTDIR, errno.ELOOP, errno.ENAMETOOLONG)
    return StartFailure("not-found" if missing else "not-executable", f"{text}: {reason(problem)}")
