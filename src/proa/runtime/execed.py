"""A further program in a running container: join its namespaces, then the same last stretch as the first one's.

It is born in the container's pid namespace already (runtime/parent.py). Until execve it holds rights that nobody
inside has, so it is not dumpable and keeps no descriptor of its parent's.
"""

import gc
import os

from ..linux import close_range, namespaces, prctl, signals
from . import console, messages
from .failure import of_setup
from .init import join_cgroups, set_oom_score, tell
from .process import Change

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Sequence

    from .messages import ExecOrder

_SIGKILL = 9


def main(
    channel: "_socket.socket",
    init: int,
    flags: int,
    order: "ExecOrder",
    stdio: "Sequence[int]",
    joins: "Sequence[int]",
) -> None:
    """Join, prepare, become. Returns only after a failure, which has then been told."""
    prctl.death_signal(_SIGKILL)
    gc.disable()
    close_range.close_except([channel.fileno(), init, *stdio, *joins])
    signals.reset()
    try:
        _story(channel, init, flags, order, stdio, joins)
    except Exception as problem:  # a bug of ours too must reach the parent as words, not as a silent death
        tell(channel, problem)


def _story(
    channel: "_socket.socket",
    init: int,
    flags: int,
    order: "ExecOrder",
    stdio: "Sequence[int]",
    joins: "Sequence[int]",
) -> None:
    process = order["process"]
    set_oom_score(process.get("oomScoreAdj"))
    join_cgroups(joins)
    prctl.dumpable(False)
    _join(init, flags & ~namespaces.CLONE_NEWPID)
    os.umask(0)

    terminal = None
    if process.get("terminal"):
        try:
            terminal = console.here(process)
        except OSError as problem:
            raise of_setup("opening the terminal", problem) from problem

    change = Change(process, order["seccomp"], order["nofile"])
    change.streams(stdio, terminal.slave if terminal else -1)
    change.credentials()
    messages.send_ready(channel, terminal.master if terminal else -1)
    close_range.close_except([channel.fileno()])
    messages.receive_go(channel)
    change.execute()


def _join(init: int, flags: int) -> None:
    """All namespaces in one call, by init's pidfd: no number that could have been reused."""
    try:
        namespaces.setns(init, flags)
    except OSError as problem:
        raise of_setup("joining the container's namespaces", problem) from problem
    if flags & namespaces.CLONE_NEWUSER:
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
        prctl.death_signal(_SIGKILL)
