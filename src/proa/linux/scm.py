"""unix(7): SOCK_SEQPACKET datagrams, each one JSON object with descriptors beside it (SCM_RIGHTS).

A message over ``INLINE_MAX`` travels as a sealed memfd, the last descriptor of a datagram that holds only ``@``: the
kernel refuses datagrams of a quarter megabyte.
"""

import _socket
import errno
import fcntl
import os
import struct

from .. import jsontext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

INLINE_MAX = 60_000
FDS_MAX = 32
MEMFD_MAX = 64 << 20

_F_ADD_SEALS = 1033
_SEALS = 0x0001 | 0x0002 | 0x0004 | 0x0008  # seal, shrink, grow, write: memfd_create(2)


class Gone(Exception):
    """The other end has closed, or died."""


def pair() -> "tuple[_socket.socket, _socket.socket]":
    """Two connected ends, close-on-exec."""
    return _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET | _socket.SOCK_CLOEXEC, 0)


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


def send(sock: "_socket.socket", message: "dict[str, Any]", fds: "Sequence[int]" = ()) -> None:
    """Send one message; ``fds`` stay the caller's. Raises Gone."""
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


def receive(sock: "_socket.socket") -> "tuple[dict[str, Any], list[int]]":
    """One message and the descriptors beside it, which are now the caller's (close-on-exec).

    Raises Gone at the end, ValueError for what is not a message.
    """
    try:
        data, ancillary, flags, _ = sock.recvmsg(
            INLINE_MAX + 4096, _socket.CMSG_SPACE(4 * FDS_MAX), _socket.MSG_CMSG_CLOEXEC
        )
    except OSError as problem:
        if problem.errno in (errno.ECONNRESET, errno.ENOTCONN):
            raise Gone from problem
        raise
    fds: list[int] = []
    for level, kind, payload in ancillary:
        if level == _socket.SOL_SOCKET and kind == _socket.SCM_RIGHTS:
            fds += struct.unpack(f"{len(payload) // 4}i", payload[: len(payload) // 4 * 4])
    if not data:
        close_all(fds)
        raise Gone
    try:
        if flags & (_socket.MSG_TRUNC | _socket.MSG_CTRUNC):
            raise ValueError("truncated message")
        message = jsontext.loads(unseal(fds.pop()) if data == b"@" and fds else data)
        if not isinstance(message, dict):
            raise ValueError("message is not an object")
    except ValueError:
        close_all(fds)
        raise
    return message, fds


def close_all(fds: "Sequence[int]") -> None:
    """Close every descriptor in ``fds``."""
    for fd in fds:
        os.close(fd)
