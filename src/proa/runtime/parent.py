"""The parent's side of a launch: who forks init, orders it, lets it go, and starts more programs beside it.

    init = launch_init(clone_flags(spec), into=cgroup.into())                 it waits, in its namespaces; or
    init = launch(order, stdio, joins=cgroup.joins(), into=cgroup.into())     it has its order already: half a ms less
    master = configure(init, order, stdio, joins=cgroup.joins())              the root stands, the program is found
    release(init)                                                             the program runs
    program = start_exec(init, exec_order, stdio, joins=cgroup.joins())       one more

Every process made here is a child of the caller, who reaps it (linux.pidfd.status). After a StartFailure it has been
ended and reaped already. The caller must be single-threaded and may use these from one place at a time.
"""

import _socket
import os
import select

from ..linux import clone, pidfd, scm
from ..linux.namespaces import CLONE_NEWCGROUP, CLONE_NEWNET, CLONE_NEWPID, CLONE_NEWUSER, FLAGS, setns
from . import execed, init, messages, shared, validate
from .messages import StartFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from typing import NoReturn

    from ..oci.runtime import IdMapping, Spec
    from .messages import ExecOrder, Order

PATIENCE = 120.0
"""Seconds that a child may take for one step: a loaded machine, or emulation, is slow; a hung one must not hang us."""

_SIGKILL = 9


class Init:
    """A container's init. ``pid`` and ``pidfd`` are in the caller's view; ``namespaces`` are CLONE_NEW* of its own;
    ``into`` is the cgroup v2 directory (or -1) in which later programs are born too: the caller's descriptor, who may
    also set it later. ``ordered``: it was born with its order; ``waits``: it becomes the program only after go. Without
    a ``channel`` it is the program already."""

    __slots__ = ("channel", "into", "namespaces", "ordered", "pid", "pidfd", "waits")

    def __init__(self, pid: int, pidfd: int, channel: "_socket.socket | None", namespaces: int, into: int = -1) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self.channel = channel
        self.namespaces = namespaces
        self.into = into
        self.ordered = False
        self.waits = True


class Program:
    """A program started beside the first one. ``master`` is its terminal, or -1."""

    __slots__ = ("master", "pid", "pidfd")

    def __init__(self, pid: int, pidfd: int, master: int) -> None:
        self.pid = pid
        self.pidfd = pidfd
        self.master = master


def clone_flags(spec: "Spec") -> int:
    """CLONE_NEW* of the namespaces that a spec wants made (those with a path are joined by init)."""
    flags = 0
    for namespace in spec.get("linux", {}).get("namespaces", ()):
        if not namespace.get("path"):
            flags |= FLAGS[namespace["type"]]
    return flags


def launch_init(namespaces: int, *, into: int = -1) -> Init:
    """Fork an init that waits for its order. ``into``: a cgroup v2 directory to be born in. Raises OSError.

    CLONE_NEWCGROUP is left to init, which must have joined its cgroups first.
    """

    def child(channel: "_socket.socket") -> None:
        init.main(channel, namespaces)

    pid, process, channel = _fork(namespaces & ~CLONE_NEWCGROUP, into, child)
    return Init(pid, process, channel, namespaces, into)


def launch(
    order: "Order",
    stdio: "Sequence[int]" = (),
    *,
    joins: "Sequence[int]" = (),
    into: int = -1,
    network: int = -1,
    began: "Callable[[int], None]" = lambda _pid: None,
    share: bool = False,
) -> Init:
    """Fork an init that has its order in memory and sets to work at once; go on with configure, the arguments the same.

    ``network``: a network namespace made beforehand (it stays the caller's), used where the spec wants a new one.
    ``began`` is called with its pid before its program can run, and may raise StartFailure: in this process's memory,
    but maybe by init itself, its root still the host's. ``share``: it may be born in this memory (runtime/shared).
    Raises OSError, StartFailure. In a user namespace init must wait for its id maps: this is launch_init then.
    """
    validate.spec(order["spec"])
    namespaces = clone_flags(order["spec"])
    if namespaces & CLONE_NEWUSER:
        return launch_init(namespaces, into=into)
    ready = network if namespaces & CLONE_NEWNET else -1

    born_in = namespaces & ~CLONE_NEWCGROUP & ~(CLONE_NEWNET if ready >= 0 else 0)
    if share and shared.able(order, namespaces):
        pid, process = shared.launch(order, stdio, joins, born_in, into, ready, began)
        return Init(pid, process, None, namespaces, into)

    def child(channel: "_socket.socket") -> None:
        init.main(channel, namespaces, (order, stdio, joins), ready)

    pid, process, channel = _fork(born_in, into, child)
    made = Init(pid, process, channel, namespaces, into)
    made.ordered = True
    try:
        began(pid)
    except StartFailure as failure:
        give_up(made, failure)
    return made


def configure(init: Init, order: "Order", stdio: "Sequence[int]" = (), *, joins: "Sequence[int]" = ()) -> "int | None":
    """Order init to build the container around itself; returns once only execve is left. Raises StartFailure.

    ``stdio``: the program's three descriptors, none with a terminal; they stay the caller's. ``joins``: open cgroup
    files (cgroup contract). Returns the terminal's master, the caller's from now on, or None.
    """
    if init.channel is None:
        return None
    try:
        if not init.ordered:
            validate.spec(order["spec"])
            if init.namespaces & CLONE_NEWUSER:
                write_maps(init.pid, order["spec"])
            messages.send_order(init.channel, order, stdio, joins)
        _await(init.channel)
        master = messages.receive_ready(init.channel)
    except (StartFailure, scm.Gone, OSError, ValueError) as problem:
        give_up(init, problem)
    init.waits = not order.get("at_once")
    return master if master >= 0 else None


def release(init: Init) -> None:
    """Let init execute the program; returns once it runs. Raises StartFailure."""
    if init.channel is None:
        return
    try:
        _go(init.channel, waits=init.waits)
    except (StartFailure, scm.Gone, OSError, ValueError) as problem:
        give_up(init, problem)
    init.channel.close()


def give_up(init: Init, problem: Exception) -> "NoReturn":
    """End and reap an init that has not become its program. Raises StartFailure, which says ``problem``."""
    assert init.channel is not None
    _give_up(init.pidfd, init.channel, problem)


def start_exec(init: Init, order: "ExecOrder", stdio: "Sequence[int]" = (), *, joins: "Sequence[int]" = ()) -> Program:
    """Run one more program in init's namespaces and ``init.into``; returns once it runs. Raises StartFailure.

    ``joins`` as in configure. The program is the caller's child.
    """

    validate.process(order["process"])

    def child(channel: "_socket.socket") -> None:
        execed.main(channel, init.pidfd, init.namespaces, order, list(stdio), list(joins))

    try:
        pid, process, channel = _fork_beside(init, child)
    except OSError as problem:
        raise StartFailure("internal", f"cannot join the container: {problem.strerror}") from problem
    master = -1
    try:
        _await(channel)
        master = messages.receive_ready(channel)
        _go(channel)
    except (StartFailure, scm.Gone, OSError, ValueError) as problem:
        if master >= 0:
            os.close(master)
        _give_up(process, channel, problem)
    channel.close()
    return Program(pid, process, master)


def write_maps(pid: int, spec: "Spec") -> None:
    """Write a new user namespace's id maps. One single own id needs no privilege. Raises OSError."""
    linux = spec.get("linux", {})
    users, groups = linux.get("uidMappings", []), linux.get("gidMappings", [])
    if os.geteuid() and len(groups) == 1 and groups[0]["size"] == 1:
        _write(f"/proc/{pid}/setgroups", "deny")
    _write(f"/proc/{pid}/uid_map", _lines(users))
    _write(f"/proc/{pid}/gid_map", _lines(groups))


def _lines(maps: "list[IdMapping]") -> str:
    return "".join(f"{one['containerID']} {one['hostID']} {one['size']}\n" for one in maps)


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CLOEXEC)
    try:
        os.write(fd, text.encode())
    finally:
        os.close(fd)


def _fork(namespaces: int, into: int, child: "Callable[[_socket.socket], None]") -> "tuple[int, int, _socket.socket]":
    ours, theirs = scm.pair()
    try:
        pid, process = clone.clone(namespaces, into)
    except OSError:
        ours.close()
        theirs.close()
        raise
    if pid == 0:
        _run(child, theirs)
    theirs.close()
    return pid, process, ours


def _run(child: "Callable[[_socket.socket], None]", channel: "_socket.socket") -> "NoReturn":
    """The child's whole life: it may never return into its parent's code."""
    try:
        child(channel)
    finally:
        os._exit(1)


def _fork_beside(init: Init, child: "Callable[[_socket.socket], None]") -> "tuple[int, int, _socket.socket]":
    """Fork into init's pid namespace: only children of the caller go there, it then goes back to its own."""
    if not init.namespaces & CLONE_NEWPID:
        return _fork(0, init.into, child)
    ours = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    try:
        setns(init.pidfd, CLONE_NEWPID)
        try:
            return _fork(0, init.into, child)
        finally:
            setns(ours, CLONE_NEWPID)
    finally:
        os.close(ours)


def _go(channel: "_socket.socket", *, waits: bool = True) -> None:
    if waits:
        messages.send_go(channel)
    _await(channel)
    messages.receive_running(channel)


def _await(channel: "_socket.socket") -> None:
    poll = select.poll()
    poll.register(channel, select.POLLIN)
    if not poll.poll(PATIENCE * 1000):
        raise StartFailure("internal", f"init did not answer within {PATIENCE:.0f} s")


def _give_up(process: int, channel: "_socket.socket", problem: Exception) -> "NoReturn":
    """End and reap a child that failed; say why, as a StartFailure."""
    channel.close()
    pidfd.signal(process, _SIGKILL)
    status = pidfd.status(process, block=True)
    os.close(process)
    if isinstance(problem, StartFailure):
        raise StartFailure(problem.kind, problem.text) from problem  # a new one: no cycle through the traceback
    if isinstance(problem, scm.Gone):
        killed = ", killed: is the memory limit too low?" if status == 128 + _SIGKILL else ""
        raise StartFailure("internal", f"init ended early with status {status}{killed}") from problem
    raise StartFailure("internal", f"cannot talk to init: {problem}") from problem
