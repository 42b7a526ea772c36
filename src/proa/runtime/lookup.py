"""Finding the program: Go's exec.LookPath, in whose words docker's users read what is wrong."""

import errno
import os

from .failure import of_program, quote
from .messages import StartFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_S_IFMT, _S_IFDIR = 0o170000, 0o040000


def search_path(env: "Sequence[str]") -> str:
    """The last PATH of an environment, "" without one."""
    found = ""
    for word in env:
        if word.startswith("PATH="):
            found = word[5:]
    return found


def find(name: str, path: str) -> str:
    """The file to execute for argv[0], as the present user and root see it. Raises StartFailure."""
    if "/" in name:
        problem = _unusable(name)
        if problem is None:
            return name
        if problem.errno == errno.EISDIR:  # docker's clients before 23 take 126 from what execve(2) would say
            raise of_program(f"exec: {quote(name)}: is a directory", PermissionError(errno.EACCES, name))
        missing = problem.errno == errno.ENOENT or problem.errno == errno.ENOTDIR
        raise of_program(f"exec: {quote(name)}: stat {name}" if missing else f"exec: {quote(name)}", problem)
    for directory in path.split(":") if path and name else ():
        candidate = f"{directory or '.'}/{name}"
        if _unusable(candidate) is None:
            return candidate
    raise StartFailure("not-found", f"exec: {quote(name)}: executable file not found in $PATH")


def _unusable(path: str) -> "OSError | None":
    try:
        mode = os.stat(path).st_mode
    except OSError as problem:
        return problem
    except ValueError:
        return OSError(errno.ENOENT, "embedded null byte")
    if mode & _S_IFMT == _S_IFDIR:
        return OSError(errno.EISDIR, "is a directory")
    if not os.access(path, os.X_OK, effective_ids=True):
        return OSError(errno.EACCES, "permission denied")
    return None
