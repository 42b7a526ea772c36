"""Spawner: a small, warm, single-threaded process that forks a shim for each container.

It has imported everything that a launch needs, so that a fork is all that the launch path pays: no interpreter starts,
nothing is imported, and no process that has threads ever forks. It serves one engine over an inherited SEQPACKET
socket (messages: hull/messages) and ends when that closes; its shims live on.
"""

import gc
import os
import sys

import _socket

from . import carrier, container_carrier, messages, probe, shim

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal

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
    try:
        if message.get("op") != "spawn" or len(fds) < 2:
            raise ValueError(f"not a message for a spawner: {message.get('op')!r}")
        pid = _fork(sock, fds)
        reply = {"op": "spawned", "id": id, "pid": pid}
    except (OSError, ValueError) as problem:
        reply = {"op": "failed", "id": id, "error": {"kind": "internal", "text": str(problem)}}
    finally:
        for fd in fds:
            os.close(fd)
    try:
        messages.send(sock, reply)
    except messages.Gone:
        pass  # the next receive says so too


def _fork(sock: _socket.socket, fds: "list[int]") -> int:
    """A shim's pid. In the shim this never returns."""
    assert len(os.listdir("/proc/self/task")) == 1, "a process with threads must not fork"
    pid = os.fork()
    if pid == 0:
        os.close(sock.detach())
        shim.run(fds[0], fds[1], fds[2:])
    return pid


def _import_vm() -> None:
    """The VM's carrier, if this host may ever use it: what a shim loads it would load for itself alone."""
    try:
        from .vm import carrier as vm_carrier
    except ImportError:
        return
    assert vm_carrier
