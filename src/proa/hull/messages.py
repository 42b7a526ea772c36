"""The protocols between engine, spawner and shim: one closed list, with the arrows drawn.

Every message is one SOCK_SEQPACKET datagram holding one JSON object, with descriptors beside it (SCM_RIGHTS). A
message over ``INLINE_MAX`` travels as a sealed memfd, the last descriptor of a datagram that holds only ``@``: unix(7)
refuses datagrams of a quarter megabyte. Unknown fields are ignored, fields are only ever added and are optional: a new
engine drives old shims as long as these live.

engine ──► spawner
    spawn      {op, id}                  fds: control (the shim's end of a socketpair), bundle (memfd), then one for
                                         each name in bundle["fds"]
engine ◄── spawner
    hello      {op, protocol, pid}
    spawned    {op, id, pid}
    failed     {op, id, error}           fork(2) was refused: error is a Failure (below)

shim ──► engine, on every new connection (the control socket of ``spawn`` first, later ones by connect(2))
    hello      {op, protocol, status: "created"|"running"|"paused"|"exited", pid, started: ns,
                exit: Exit|None, execs: {exec id: ExecState}}

engine ──► shim, each with a serial number n, answered by reply {op, n} or reply {op, n, error: Failure}
    start      {op, n}                   run the program; the reply is {pid, started: ns}. May be sent at once after
                                         spawn: the shim works messages off in order
    attach     {op, n, target, stdin, stdout, stderr, logs, stream, mux, detach_keys, early}
                                         fds: the client's socket, its HTTP head already answered. target "" is the
                                         program, else an exec id. mux: frame output as Docker does (no terminal).
                                         early: bytes the client sent behind its head (latin-1)
    exec       {op, n, exec, process, terminal, stdin, stdout, stderr, mux, detach_keys, early}
                                         fds: the client's socket, or none (detached). process: OCI process object.
                                         The reply is {pid}; a program that cannot be run is an error with
                                         kind "not-found" or "not-executable", and an exec-exited follows
    resize     {op, n, target, height, width}
    signal     {op, n, target, signal}
    freeze     {op, n, frozen}
    end        {op, n}                   kill everything inside, now

shim ──► engine, unasked
    exited     {op, exit: Exit}          after the log is complete and the exit file stands
    exec-exited {op, exec, status}
    oom        {op}
    detached   {op, target}              a client typed the detach keys

Exit      {status, oom, finished: ns, error}     also the content of the exit file, RUN/containers/ID/exit
ExecState {running, pid, status}
Failure   {kind, text}    kind: not-found | not-executable | denied | invalid | host-cannot | internal;
                          text: what docker's users expect to read
"""

import errno
import fcntl
import os
import struct

import _socket

from .. import jsontext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    Message = dict[str, Any]

PROTOCOL = 1
INLINE_MAX = 60_000
FDS_MAX = 16
MEMFD_MAX = 64 << 20

_F_ADD_SEALS = 1033
_SEALS = 0x0001 | 0x0002 | 0x0004 | 0x0008  # seal, shrink, grow, write: memfd_create(2)


class Gone(Exception):
    """The other end has closed, or died."""


def seal(data: bytes, name: str = "proa-message") -> int:
    """A sealed memfd holding ``data``; the caller owns the descriptor. Raises OSError."""
    fd = os.memfd_create(name, os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    try:
        view = memoryview(data)
        while view:
            view = view[os.write(fd, view) :]
        fcntl.fcntl(fd, _F_ADD_SEALS, _SEALS)
        os.lseek(fd, 0, os.SEEK_SET)
    except BaseException:
        os.close(fd)
        raise
    return fd


def unseal(fd: int) -> bytes:
    """All that a memfd holds. Closes ``fd``. Raises ValueError when it is larger than ``MEMFD_MAX``."""
    try:
        size = os.fstat(fd).st_size
        if size > MEMFD_MAX:
            raise ValueError(f"message of {size} bytes")
        return os.pread(fd, size, 0)
    finally:
        os.close(fd)


def send(sock: "_socket.socket", message: "Message", fds: "Sequence[int]" = ()) -> None:
    """Send one message; ``fds`` stay the caller's. Raises Gone, or BlockingIOError on a full non-blocking socket."""
    data = jsontext.dumps(message)
    extra = -1
    if len(data) > INLINE_MAX:
        extra = seal(data)
        data = b"@"
        fds = [*fds, extra]
    try:
        control = []
        if fds:
            control = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack(f"{len(fds)}i", *fds))]
        sock.sendmsg([data], control, _socket.MSG_NOSIGNAL)
    except (BrokenPipeError, ConnectionResetError) as problem:
        raise Gone from problem
    finally:
        if extra >= 0:
            os.close(extra)


def receive(sock: "_socket.socket") -> "tuple[Message, list[int]]":
    """Receive one message and the descriptors beside it, which are now the caller's (close-on-exec).

    Raises Gone at the end, BlockingIOError on an empty non-blocking socket, ValueError for what is not a message.
    """
    space = _socket.CMSG_SPACE(4 * FDS_MAX)
    try:
        data, ancillary, flags, _ = sock.recvmsg(INLINE_MAX + 4096, space, _socket.MSG_CMSG_CLOEXEC)
    except ConnectionResetError as problem:
        raise Gone from problem
    except OSError as problem:
        if problem.errno == errno.ENOTCONN:
            raise Gone from problem
        raise
    fds: list[int] = []
    for level, kind, payload in ancillary:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            fds += struct.unpack(f"{len(payload) // 4}i", payload[: len(payload) // 4 * 4])
    if not data:
        for fd in fds:
            os.close(fd)
        raise Gone
    try:
        if flags & (_socket.MSG_TRUNC | _socket.MSG_CTRUNC):
            raise ValueError("truncated message")
        if data == b"@" and fds:
            data = unseal(fds.pop())
        message = jsontext.loads(data)
        if not isinstance(message, dict):
            raise ValueError("message is not an object")
    except ValueError:
        for fd in fds:
            os.close(fd)
        raise
    return message, fds
