"""Spawner: a small, warm, single-threaded process that forks a shim for each container.

It has imported everything that a launch needs, so that a fork is all that the launch path pays: no interpreter starts,
nothing is imported, and no process that has threads ever forks. It serves one engine over an inherited SEQPACKET
socket (messages: hull/messages) and ends when that closes; its shims live on.
"""

import _socket
import gc
import os
import sys

from ..linux import scm
from . import birth, carrier, container_carrier, messages, probe

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable
    from typing import Any

    from .messages import Message
else:
    import _signal

_WARM = (carrier, container_carrier)


def main() -> None:
    """The program: ``sys.argv[1]`` is the number of the socket to serve."""
    sock = _socket.socket(fileno=int(sys.argv[1]))
    os.setsid()
    _signal.signal(_signal.SIGCHLD, _signal.SIG_IGN)  # shims are reaped by the kernel
    _import_vm()
    able = probe.probe()
    gc.collect()
    gc.freeze()
    messages.send(sock, {"op": "hello", "protocol": messages.PROTOCOL, "pid": os.getpid(), **able})
    while True:
        try:
            message, fds = messages.receive(sock)
        except messages.Gone:
            return
        except ValueError:
            continue
        _serve(sock, message, fds)


def _serve(sock: _socket.socket, message: "Message", fds: "list[int]") -> None:
    id = str(message.get("id", ""))
    made: "list[int]" = []
    try:
        if message.get("op") == "spare":
            reply, made = _spares(sock, int(message["count"]))
        elif message.get("op") == "spawn" and len(fds) >= 2:
            reply = {"op": "spawned", "id": id, "pid": _fork(sock, birth.run, fds[0], fds[1], fds[2:])}
        else:
            raise ValueError(f"not a message for a spawner: {message.get('op')!r}")
    except (KeyError, OSError, ValueError) as problem:
        reply = {"op": "failed", "id": id, "error": {"kind": "internal", "text": str(problem)}}
    try:
        messages.send(sock, reply, made)
    except messages.Gone:
        pass  # the next receive says so too
    for fd in (*fds, *made):
        os.close(fd)


def _spares(sock: _socket.socket, count: int) -> "tuple[Message, list[int]]":
    """Shims that wait, as a reply and their control sockets.

    Forked in a row: the pages that this process writes to between two forks would become each child's own.
    """
    pairs = [scm.pair() for _ in range(count)]

    def life(own: _socket.socket) -> None:
        for ours, theirs in pairs:
            ours.close()
            if theirs is not own:
                theirs.close()
        birth.wait(own.detach())

    for _, theirs in pairs:
        _fork(sock, life, theirs)
    return {"op": "spare"}, [ours.detach() for ours, _ in pairs]


def _fork(sock: _socket.socket, life: "Callable[..., object]", *args: "Any") -> int:
    """The pid of a child that lives ``life(*args)``, which never returns."""
    assert len(os.listdir("/proc/self/task")) == 1, "a process with threads must not fork"
    pid = os.fork()
    if pid == 0:
        os.close(sock.detach())
        life(*args)
    return pid


def _import_vm() -> None:
    """The VM's carrier, if this host may ever use it: what a shim loads it would load for itself alone."""
    try:
        from .vm import carrier as vm_carrier
    except ImportError:
        return
    assert vm_carrier
