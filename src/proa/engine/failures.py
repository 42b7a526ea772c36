"""Why a container could not be started, in the words from which Docker's clients take an exit code."""

from __future__ import annotations

from ..errors import Internal, InvalidRequest, ProaError
from ..hull.contract import Refused

_UNABLE = "unable to start container process"


def explain(problem: ProaError | OSError) -> ProaError:
    """The error that a client sees; its ``exit`` is the container's exit code."""
    if isinstance(problem, Refused):
        return _StartFailed(
            _worded(problem, f"failed to create task for container: OCI runtime create failed: {_UNABLE}"), problem
        )
    if isinstance(problem, ProaError):
        if problem.exit == 1:
            problem.exit = 128
        return problem
    return Internal(f"failed to create task for container: {problem}", code="start-failed", exit=128)


def exec_refused(problem: Refused) -> InvalidRequest:
    """The same for an exec."""
    what = _worded(problem, f"OCI runtime exec failed: exec failed: {_UNABLE}")
    return InvalidRequest(what, code=problem.code, exit=problem.exit)


def _worded(problem: Refused, before: str) -> str:
    """dockerd looks users up itself, so that its error has no runtime's words around it."""
    if problem.what.startswith(("unable to find user ", "unable to find group ", "uids and gids ")):
        return problem.what
    return f"{before}: {problem.what}: unknown"


class _StartFailed(Refused):
    """A refused start with the words around it."""

    def __init__(self, what: str, cause: Refused) -> None:
        super().__init__(cause.kind, what)
        self.__cause__ = cause
