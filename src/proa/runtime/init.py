"""A container's init: the straight-line story from a waiting process to the program.

It is born by clone3(2) in the container's namespaces, with its parent's memory and none of its rights to go back. It
waits for an order (runtime/messages.py), builds the container around itself, says so, waits for go, and becomes the
program; or, when ordered to, stays process 1 and lets a child become it (runtime/reaper.py).

Or it is born in its parent's own memory (linux/vfork), with its order, and the parent stands still: ``shared``.
"""

import gc
import os

from ..linux import close_range, keyctl, loopback, namespaces, prctl, scm, signals
from . import console, messages, operation, plan, reaper
from .failure import of_setup
from .messages import StartFailure
from .process import Change

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Sequence

    from ..linux.execve import Image
    from ..oci.runtime import Spec
    from .messages import Order

    Orders = tuple[Order, Sequence[int], Sequence[int]]

_SIGKILL = 9


def main(channel: "_socket.socket", own: int, born_with: "Orders | None" = None, network: int = -1) -> None:
    """Wait, build, become. Returns only after a failure, which has then been told.

    ``own``: CLONE_NEW* of the namespaces that it was born in; ``born_with``: the order and its descriptors, if it need
    not wait for them; ``network``: a descriptor of the network namespace to use, if it is not born in that.
    """
    prctl.death_signal(_SIGKILL)  # the parent is the shim: no container outlives it
    gc.disable()
    kept = [*born_with[1], *born_with[2]] if born_with else []
    close_range.close_except([channel.fileno(), *kept, *([network] if network >= 0 else ())])
    signals.reset()
    try:
        if network >= 0:
            namespaces.setns(network, namespaces.CLONE_NEWNET)
            os.close(network)
        order, stdio, joins = born_with or messages.receive_order(channel)
        if not own & namespaces.CLONE_NEWNS:
            raise StartFailure("invalid", "a container needs a mount namespace of its own")
        change, master = _story(channel, order, stdio, joins)
        messages.send_ready(channel, master)
        close_range.close_except([channel.fileno()])
        if not order.get("at_once"):
            messages.receive_go(channel)
        change.execute()
    except Exception as problem:  # a bug of ours too must reach the parent as words, not as a silent death
        tell(channel, problem)


def shared(order: "Order", stdio: "Sequence[int]", joins: "Sequence[int]", network: int) -> "Image":
    """The same up to execve(2), for an order without a terminal and a process 1 that stays. Raises StartFailure,
    OSError.

    What is the interpreter's is the parent's too: nothing may be closed or changed but what is this process's alone.
    """
    prctl.death_signal(_SIGKILL)
    close_range.close_except([*stdio, *joins, *([network] if network >= 0 else ())])
    signals.reset_bare()
    if network >= 0:
        namespaces.setns(network, namespaces.CLONE_NEWNET)
        os.close(network)
    change, _ = _story(None, order, stdio, joins)
    close_range.close(3)
    return change.confine()


def tell(channel: "_socket.socket", problem: Exception) -> None:
    """Say why the program will not run; a parent that is gone needs no words."""
    try:
        messages.send_failed(channel, failure(problem))
    except (scm.Gone, OSError):
        return


def failure(problem: BaseException) -> StartFailure:
    """Any problem in a parent's words."""
    if isinstance(problem, StartFailure):
        return problem
    return StartFailure(
        "internal", str(problem) if isinstance(problem, OSError) else f"{type(problem).__name__}: {problem}"
    )


def _story(
    channel: "_socket.socket | None", order: "Order", stdio: "Sequence[int]", joins: "Sequence[int]"
) -> "tuple[Change, int]":
    """All but execve: the change to be completed, and the terminal's master, or -1."""
    spec = order["spec"]
    process = spec["process"]

    # 1. Where it belongs: cgroups first, since a cgroup namespace shows what its maker was in.
    join_cgroups(joins)
    _join_namespaces(spec)
    if plan.in_user_namespace(spec):
        os.setresgid(0, 0, 0)
        os.setresuid(0, 0, 0)
        prctl.death_signal(_SIGKILL)  # a change of ids has cleared it
    set_oom_score(process.get("oomScoreAdj"))
    prctl.dumpable(False)  # until execve nobody inside may trace this process or follow its /proc links

    # 2. What is the host's and would stay with it.
    os.umask(0)
    _new_keyring(spec["root"]["path"])
    if plan.has_own(spec, "network") and not _path_of(spec, "network"):
        loopback.up()

    # 3. The root, in operations; the terminal comes out of the container's own devpts.
    setup = operation.Setup()
    operation.execute(plan.before_console(order), setup)
    terminal = None
    if process.get("terminal"):
        try:
            terminal = console.inside(setup.root, process)
        except OSError as problem:
            raise of_setup("opening the terminal", problem) from problem
    operation.execute(plan.after_console(order), setup)

    # 4. Process 1 that stays: from here on, the child is the one who becomes the program.
    if order["init"] and channel is not None:
        reaper.fork(channel)  # returns in the child alone

    # 5. The program, all but execve.
    change = Change(process, order["seccomp"], order["nofile"])
    change.streams(stdio, terminal.slave if terminal else -1)
    change.credentials()
    return change, terminal.master if terminal else -1


def join_cgroups(joins: "Sequence[int]") -> None:
    """Write 0 into each open cgroup file: a thread that moves only itself spares the kernel a global lock."""
    for fd in joins:
        try:
            os.write(fd, b"0")
        except OSError as problem:
            raise of_setup("joining the container's cgroup", problem) from problem
        os.close(fd)


def set_oom_score(value: "int | None") -> None:
    """Set /proc/self/oom_score_adj; an equal value is not written. Less than inherited needs CAP_SYS_RESOURCE.

    Docker's default of 0 is less in a CI pod, which inherits a high one: that is kept then. A refused wish for a
    privilege, a negative value, is an error.
    """
    if value is None:
        return
    fd = os.open("/proc/self/oom_score_adj", os.O_RDWR | os.O_CLOEXEC)
    try:
        if int(os.read(fd, 16)) != value:
            os.write(fd, str(value).encode())
    except PermissionError as problem:
        if value < 0:
            raise of_setup(f"setting oom_score_adj to {value}", problem) from problem
    finally:
        os.close(fd)


def _join_namespaces(spec: "Spec") -> None:
    for namespace in spec.get("linux", {}).get("namespaces", ()):
        flag = namespaces.FLAGS[namespace["type"]]
        path = namespace.get("path")
        if path:
            try:
                namespaces.join(path, flag)
            except OSError as problem:
                raise of_setup(f"joining namespace {path}", problem) from problem
        elif flag == namespaces.CLONE_NEWCGROUP:
            namespaces.unshare(flag)


def _path_of(spec: "Spec", type: str) -> str:
    for namespace in spec.get("linux", {}).get("namespaces", ()):
        if namespace["type"] == type:
            return namespace.get("path", "")
    return ""


def _new_keyring(root: str) -> None:
    """Best effort, as everywhere: kernels may have no keyrings, and users a full quota."""
    try:
        keyctl.join_session("_ses." + root.rstrip("/").split("/")[-2][:32])
    except (OSError, IndexError):
        return
