"""The protocol between a parent (shim, or the guest's process 1) and a container's init: one closed list.

    parent ──► init      order   {spec, root, seccomp, may, init, nofile, hierarchies, …}
                                 fds: the program's stdin, stdout, stderr (none with a terminal), then one for each
                                 cgroup file that init joins by writing 0
    parent ◄── init      ready   {}               fds: the terminal's master, if the program has one
                         failed  {kind, text}     instead of ready, or after go; init then ends
    parent ──► init      go      {}               unless the order is at_once: init then does not wait for it
    parent ◄── init      end of file              execve has succeeded (the channel is close-on-exec)

An exec'ed process is forked by the parent itself, so it needs no order; the rest is the same. Whoever finds the other
end gone gives up: init ends, the parent ends init.
"""

from ..linux import scm

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from collections.abc import Sequence
    from typing import NotRequired, TypedDict

    from ..oci.runtime import Mount, Process, Spec

    class May(TypedDict):
        """What this host lets us do, probed once (the bundle's ``may``)."""

        mknod: bool
        mount: bool
        cgroup: bool
        setuid: bool

    class Order(TypedDict):
        """All that init needs to know. ``root``: the mounts that make spec["root"]["path"], none where it is a
        directory already; ``seccomp``: a BPF program in hex, or ""; ``init``: stay process 1 and reap; ``nofile``:
        [soft, hard] to restore, or []; ``hierarchies``: what a mount of type cgroup shows: v1 hierarchies by their
        mount options, [""] for version 2; ``joins``: how many of the descriptors are cgroup files; ``at_once``: run the
        program without waiting for go."""

        spec: Spec
        root: list[Mount]
        seccomp: str
        may: May
        init: bool
        nofile: list[int]
        hierarchies: list[str]
        joins: NotRequired[int]
        at_once: NotRequired[bool]

    class ExecOrder(TypedDict):
        """The part of an Order that a further program needs."""

        process: Process
        seccomp: str
        may: May
        nofile: list[int]


MAY_ALL: "May" = {"mknod": True, "mount": True, "cgroup": True, "setuid": True}


class StartFailure(Exception):
    """The program could not be started: a Failure of hull.messages (``kind``, ``text`` in runc's words)."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text


def order(
    spec: "Spec",
    root: "Sequence[Mount]" = (),
    *,
    seccomp: bytes = b"",
    may: "May | None" = None,
    init: bool = False,
    nofile: "Sequence[int]" = (),
    hierarchies: "Sequence[str]" = (),
    at_once: bool = False,
) -> "Order":
    """An Order; see the type for the fields' meaning."""
    return {
        "spec": spec,
        "root": list(root),
        "seccomp": seccomp.hex(),
        "may": may or MAY_ALL,
        "init": init,
        "nofile": list(nofile),
        "hierarchies": list(hierarchies),
        "at_once": at_once,
    }


def exec_order(
    process: "Process", *, seccomp: bytes = b"", may: "May | None" = None, nofile: "Sequence[int]" = ()
) -> "ExecOrder":
    """An ExecOrder."""
    return {"process": process, "seccomp": seccomp.hex(), "may": may or MAY_ALL, "nofile": list(nofile)}


def send_order(channel: "_socket.socket", value: "Order", stdio: "Sequence[int]", joins: "Sequence[int]") -> None:
    """Parent: send the order. Raises scm.Gone."""
    scm.send(channel, {**value, "joins": len(joins)}, [*stdio, *joins])


def receive_order(channel: "_socket.socket") -> "tuple[Order, list[int], list[int]]":
    """Init: wait for (order, stdio, joins). Raises scm.Gone when there will be none."""
    value, fds = scm.receive(channel)
    cut = len(fds) - int(value.get("joins", 0))
    return value, fds[:cut], fds[cut:]  # type: ignore[return-value]  # made by send_order


def send_ready(channel: "_socket.socket", master: int = -1) -> None:
    """Init: everything is done but execve."""
    scm.send(channel, {"op": "ready"}, [master] if master >= 0 else ())


def send_failed(channel: "_socket.socket", failure: StartFailure) -> None:
    """Init: it cannot be done."""
    scm.send(channel, {"op": "failed", "kind": failure.kind, "text": failure.text})


def receive_ready(channel: "_socket.socket") -> int:
    """Parent: wait for ready; the terminal's master or -1. Raises StartFailure, scm.Gone."""
    message, fds = scm.receive(channel)
    if message.get("op") != "ready":
        scm.close_all(fds)
        raise _failure(message)
    return fds[0] if fds else -1


def send_go(channel: "_socket.socket") -> None:
    """Parent: run the program. Raises scm.Gone."""
    scm.send(channel, {"op": "go"})


def receive_go(channel: "_socket.socket") -> None:
    """Init: wait for go. Raises scm.Gone."""
    scm.receive(channel)


def receive_running(channel: "_socket.socket") -> None:
    """Parent: wait until the program runs. Raises StartFailure."""
    try:
        message, fds = scm.receive(channel)
    except scm.Gone:
        return
    scm.close_all(fds)
    raise _failure(message)


def _failure(message: "dict[str, object]") -> StartFailure:
    if message.get("op") != "failed":
        return StartFailure("internal", f"init sent {message.get('op')!r}")
    return StartFailure(str(message.get("kind", "internal")), str(message.get("text", "")))
