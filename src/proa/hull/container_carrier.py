"""The container's carrier: runtime/ makes the processes, pidfds in the shim's loop say when they end.

See ``carrier`` for the contract.
"""

import fcntl
import os
import struct
import termios

from ..cgroup import choose
from ..linux import pidfd
from ..linux.namespaces import CLONE_NEWPID
from ..runtime import messages as orders
from ..runtime import parent
from .carrier import Refusal

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..cgroup.contract import Cgroup
    from ..oci.runtime import Process
    from ..runtime.messages import Order
    from ..runtime.parent import Init
    from .bundle import Bundle
    from .carrier import Done, Frozen, Host
    from .stdio import Streams

_SIGKILL = 9


class Child:
    """A process that runs: its pidfd is in the loop; ``master`` is its terminal, for resizing (-1: none)."""

    __slots__ = ("master", "pidfd")

    def __init__(self, process: int, master: int) -> None:
        self.pidfd = process
        self.master = master


class Pipes:
    """The descriptors of a program without a terminal: ``theirs`` are its 0, 1 and 2, the others are ours."""

    __slots__ = ("stderr", "stdin", "stdout", "theirs")

    def __init__(self, stdin: bool) -> None:
        self.stdin = -1
        if stdin:
            zero, self.stdin = os.pipe2(os.O_CLOEXEC)
        else:
            zero = os.open(os.devnull, os.O_RDONLY | os.O_CLOEXEC)
        self.stdout, one = os.pipe2(os.O_CLOEXEC)
        self.stderr, two = os.pipe2(os.O_CLOEXEC)
        self.theirs = [zero, one, two]

    def give(self, streams: "Streams") -> None:
        """Ours belong to ``streams`` from now on."""
        streams.output_fd(1, self.stdout)
        streams.output_fd(2, self.stderr)
        if self.stdin >= 0:
            streams.input_fd(self.stdin)

    def close_theirs(self) -> None:
        """The program has its own copies, or there is none."""
        for fd in self.theirs:
            os.close(fd)
        self.theirs = []

    def close(self) -> None:
        """All of them: nothing was started."""
        self.close_theirs()
        for fd in (self.stdin, self.stdout, self.stderr):
            if fd >= 0:
                os.close(fd)


class ContainerCarrier:
    """A ``carrier.Carrier``."""

    def __init__(self, bundle: "Bundle", fds: "dict[str, int]", host: "Host") -> None:
        self._bundle = bundle
        self._host = host
        self._group: "Cgroup | None" = None
        self._init: "Init | None" = None
        self._children: "dict[str, Child]" = {}
        self._size: "tuple[int, int] | None" = None
        self._frozen = False
        self._oom_fd = -1
        self._seccomp = b""
        self._network = fds.get("network", -1)
        self._mounts = -1

    def start(self, streams: "Streams", done: "Done") -> None:
        """See ``carrier``."""
        try:
            pid = self._launch(streams)
        except orders.StartFailure as failure:
            done({"kind": failure.kind, "text": failure.text}, 0)
            return
        done(None, pid)

    def exec(self, exec_id: str, process: "Process", streams: "Streams", done: "Done") -> None:
        """See ``carrier``."""
        try:
            pid = self._run_beside(exec_id, process, streams)
        except orders.StartFailure as failure:
            done({"kind": failure.kind, "text": failure.text}, 0)
            return
        done(None, pid)

    def signal(self, target: str, number: int) -> None:
        """See ``carrier``. Delivery to a frozen program waits, except SIGKILL: that thaws."""
        child = self._children.get(target)
        if child is None:
            return
        pidfd.signal(child.pidfd, number)
        if number == _SIGKILL and not target and self._frozen:
            self._freeze(False)

    def resize(self, target: str, height: int, width: int) -> None:
        """See ``carrier``. What is asked before the start is done then."""
        child = self._children.get(target)
        if child is None:
            if not target:
                self._size = (height, width)
        elif child.master >= 0:
            fcntl.ioctl(child.master, termios.TIOCSWINSZ, struct.pack("HHHH", height, width, 0, 0))

    def freeze(self, frozen: bool, done: "Frozen") -> None:
        """See ``carrier``."""
        self._freeze(frozen)
        done(None)

    def _freeze(self, frozen: bool) -> None:
        if self._group is None or not self._bundle["cgroup"]["version"]:
            raise Refusal("host-cannot", "this host has no cgroup that could freeze")
        self._group.freeze(frozen)
        self._frozen = frozen

    def end(self) -> None:
        """See ``carrier``. Init's end takes its whole pid namespace along."""
        if self._init is not None:
            pidfd.signal(self._init.pidfd, _SIGKILL)
        if self._group is not None:
            self._group.kill()
            if self._frozen:
                self._freeze(False)

    def cleanup(self) -> None:
        """See ``carrier``."""
        if self._oom_fd >= 0:
            self._host.loop.remove(self._oom_fd)
            self._oom_fd = -1
        if self._mounts >= 0:
            os.close(self._mounts)
            self._mounts = -1
        for target in list(self._children):
            self._forget(target)
        if self._group is not None:
            self._group.close()
            self._group.remove()
            self._group = None

    def _launch(self, streams: "Streams") -> int:
        """Init's pid. Whatever fails, ``cleanup`` removes what was made."""
        bundle = self._bundle
        spec = bundle["spec"]
        if self._size is not None:
            spec["process"]["consoleSize"] = {"height": self._size[0], "width": self._size[1]}
        self._group = group = choose.open(bundle["cgroup"], bundle["id"])
        group.create(spec.get("linux", {}).get("resources", {}))
        order = self._order(group)
        pipes = None if streams.terminal else Pipes(streams.stdin)
        theirs = pipes.theirs if pipes else ()
        try:
            self._init = init = parent.launch(
                order,
                theirs,
                joins=group.joins(),
                into=group.into(),
                network=self._network,
                began=self._began,
                share=True,
            )
            self._mounts = _mounts_of(init.pid)
            master = parent.configure(init, order, theirs, joins=group.joins())
            parent.release(init)
        except BaseException:
            if pipes:
                pipes.close()
            self._init = None
            raise
        finally:
            self._close_network()
        if pipes:
            pipes.close_theirs()
        self._watch_oom(group)
        self._adopt("", init.pidfd, streams, pipes, -1 if master is None else master)
        return init.pid

    def _close_network(self) -> None:
        """It lives on in the container, or is not wanted."""
        if self._network >= 0:
            os.close(self._network)
            self._network = -1

    def _order(self, group: "Cgroup") -> "Order":
        bundle = self._bundle
        self._seccomp = _read(bundle["seccomp"]) if bundle["seccomp"] else b""
        return orders.order(
            bundle["spec"],
            bundle["root"],
            seccomp=self._seccomp,
            may=bundle["may"],
            init=bundle["init"],
            nofile=bundle["nofile"],
            hierarchies=group.hierarchies,
            at_once=True,
        )

    def _began(self, pid: int) -> None:
        """Init must be known before its program runs."""
        try:
            self._host.record(pid)
        except OSError as problem:
            raise orders.StartFailure("internal", f"cannot record the container: {problem}") from problem

    def _run_beside(self, exec_id: str, process: "Process", streams: "Streams") -> int:
        assert self._init is not None and self._group is not None
        order = orders.exec_order(
            process, seccomp=self._seccomp, may=self._bundle["may"], nofile=self._bundle["nofile"]
        )
        pipes = None if streams.terminal else Pipes(streams.stdin)
        try:
            program = parent.start_exec(self._init, order, pipes.theirs if pipes else (), joins=self._group.joins())
        except BaseException:
            if pipes:
                pipes.close()
            raise
        if pipes:
            pipes.close_theirs()
        self._adopt(exec_id, program.pidfd, streams, pipes, program.master)
        return program.pid

    def _adopt(self, target: str, process: int, streams: "Streams", pipes: "Pipes | None", master: int) -> None:
        """A program runs: watch for its end, and give its streams away."""
        self._children[target] = Child(process, os.dup(master) if master >= 0 else -1)
        self._host.loop.add(process, lambda _events: self._ended(target))
        if pipes:
            pipes.give(streams)
        else:
            streams.terminal_fd(master)

    def _ended(self, target: str) -> None:
        child = self._children.get(target)
        status = pidfd.status(child.pidfd) if child is not None else None
        if status is None:
            return
        if not target:
            self._check_oom()
            self._end_others()
            self._init = None
        self._forget(target)
        self._host.exited(target, status)

    def _end_others(self) -> None:
        """Without a pid namespace of its own the program's end takes nobody along."""
        if self._init is not None and not self._init.namespaces & CLONE_NEWPID and self._group is not None:
            self._group.kill()

    def _forget(self, target: str) -> None:
        child = self._children.pop(target)
        self._host.loop.remove(child.pidfd)
        os.close(child.pidfd)
        if child.master >= 0:
            os.close(child.master)

    def _watch_oom(self, group: "Cgroup") -> None:
        self._oom_fd, mask = group.oom_fd()
        if self._oom_fd >= 0:
            self._host.loop.add(self._oom_fd, self._on_oom, mask)

    def _on_oom(self, _events: int) -> None:
        """Version 1 tells by an eventfd, before it kills; version 2 by its file, after."""
        try:
            os.pread(self._oom_fd, 4096, 0)
        except OSError:
            os.read(self._oom_fd, 8)
        self._check_oom()
        self._host.loop.after(0.05, self._check_oom)

    def _check_oom(self) -> None:
        if self._group is not None and self._group.oom_kills():
            self._host.oom()


def _mounts_of(pid: int) -> int:
    """Holds the mount namespace of ``pid``, so that its end is known before all mounts are gone; -1: not allowed to."""
    try:
        return os.open(f"/proc/{pid}/ns/mnt", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return -1


def _read(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, 1 << 20)
    finally:
        os.close(fd)
