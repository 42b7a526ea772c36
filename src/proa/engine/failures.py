"""Why a container could not be started, in the words from which Docker's clients take an exit code."""

from __future__ import annotations

from ..errors import Internal, ProaError
from ..hull.contract import Refused


def explain(problem: ProaError | OSError) -> ProaError:
    """The error that a client sees; its ``exit`` is the container's exit code."""
    if isinstance(problem, Refused):
        return _StartFailed(
            f"failed to create task for container: OCI runtime create failed: unable to start container process: "
            f"{problem.what}: unknown",
            problem,
        )
    if isinstance(problem, ProaError):
        if problem.exit == 1:
            problem.exit = 128
        return problem
    return Internal(f"failed to create task for container: {problem}", code="start-failed", exit=128)


class _StartFailed(Refused):
    """A refused start with the words around it."""

    def __init__(self, what: str, cause: Refused) -> None:
        super().__init__(cause.kind, what)
        self.__cause__ = cause
