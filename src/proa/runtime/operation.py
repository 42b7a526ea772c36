"""Setting a container up as a list of values: each describes itself and can then be run.

``plan`` (runtime/plan.py) makes the list out of an order; ``execute`` works it off inside init's namespaces. What each
does is undone by the end of the mount namespace, so nothing here cleans up. The operations are in ``operations`` and
``hiding``.
"""

from .failure import of_setup
from .messages import StartFailure
from .root import Root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence


class Setup:
    """What the operations share: the root, once ``OpenRoot`` has run."""

    __slots__ = ("nothing", "null", "root")

    root: Root

    def __init__(self) -> None:
        self.null = -1  # the container's /dev/null, checked
        self.nothing = -1  # an empty read-only tmpfs, mounted once


class Operation:
    """One step. ``describe`` reads as a phrase: "mounting …", so that "error " + it makes a sentence."""

    __slots__ = ()

    def describe(self) -> str:
        """What ``execute`` does."""
        raise NotImplementedError

    def execute(self, setup: Setup) -> None:
        """Do it. Raises OSError, ValueError."""
        raise NotImplementedError


def execute(operations: "Sequence[Operation]", setup: Setup) -> None:
    """Run a list in order. Raises StartFailure naming the operation that could not be done."""
    for operation in operations:
        try:
            operation.execute(setup)
        except OSError as problem:
            raise of_setup(operation.describe(), problem) from problem
        except ValueError as problem:
            raise StartFailure("invalid", f"error {operation.describe()}: {problem}") from problem
