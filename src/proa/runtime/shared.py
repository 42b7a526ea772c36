"""Init born in its parent's own memory (linux/vfork): what a launch costs most, page tables and copied pages, is saved.

The parent stands still until the program runs; it can do nothing for init, so only what needs nothing is born so.
"""

import os

from ..linux import pidfd, prctl, vfork
from ..linux.namespaces import CLONE_NEWNS, CLONE_NEWPID
from . import init, process
from .messages import StartFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    import ctypes
    from collections.abc import Callable, Sequence

    from ..linux.execve import Image
    from .messages import Order

LEAST_MEMORY = 64 << 20
"""Bytes of a memory limit below which init has memory of its own: what the kernel kills for it takes us along."""


def able(order: "Order", namespaces: int) -> bool:
    """Whether ``launch`` will do. In a pid namespace that others are in already, one of them could trace init, and so
    write into our memory."""
    spec = order["spec"]
    limit = spec.get("linux", {}).get("resources", {}).get("memory", {}).get("limit", 0)
    own = CLONE_NEWPID | CLONE_NEWNS
    alone = not order["init"] and not spec["process"].get("terminal")
    return vfork.able and namespaces & own == own and alone and not 0 < limit < LEAST_MEMORY


def launch(
    order: "Order",
    stdio: "Sequence[int]",
    joins: "Sequence[int]",
    namespaces: int,
    into: int,
    network: int,
    began: "Callable[[int], None]",
) -> "tuple[int, int]":
    """(pid, pidfd) of what is the program already. Arguments as those of parent.launch; ``namespaces``: those that init
    is to be born in. Raises OSError, StartFailure."""
    paths: list[str] = []

    def job(pid: "ctypes.c_int") -> "Image":
        began(pid.value)
        image = init.shared(order, stdio, joins, network)
        paths.append(image.path)
        return image

    try:
        pid, child, problem = vfork.run(namespaces, into, job)
    finally:
        prctl.dumpable(True)  # an attribute of the memory, so it was ours too
    if problem is None:
        return pid, child
    pidfd.status(child, block=True)
    os.close(child)
    if isinstance(problem, StartFailure):
        raise StartFailure(problem.kind, problem.text) from problem  # a new one: no cycle through the traceback
    if paths and isinstance(problem, OSError):
        raise process.not_executed(paths[0], problem) from problem
    raise init.failure(problem) from problem
