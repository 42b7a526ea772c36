"""nftables spoken by netlink, as little as the leak check needs: list tables and rules, make and remove a table.

Works without the nft program. linux/netfilter/nfnetlink.h, linux/netfilter/nf_tables.h.
"""

from __future__ import annotations

import os
import socket
import struct
from collections.abc import Callable, Iterator

NETLINK_NETFILTER = 12
SUBSYSTEM = 10 << 8
NEWTABLE, GETTABLE, DELTABLE, GETRULE = 0, 1, 2, 7
BATCH_BEGIN, BATCH_END = 16, 17
REQUEST, ACK, DUMP, CREATE = 0x1, 0x4, 0x300, 0x400
INET = 1  # NFPROTO_INET
TABLE_NAME, RULE_TABLE, RULE_CHAIN, RULE_HANDLE = 1, 1, 2, 3


def ruleset(pid: int) -> list[str]:
    """Names of the tables and rules of the network namespace of ``pid``; none where they may not be read."""
    return _inside(pid, _listing)


def add_table(pid: int, name: str) -> None:
    """Make an empty inet table in the network namespace of ``pid``. Raises OSError."""
    told = _inside(pid, lambda: [str(_change(NEWTABLE, CREATE, name))])
    if told != ["0"]:
        raise OSError(f"nftables: {told}")


def _inside(pid: int, work: Callable[[], list[str]]) -> list[str]:
    """The result of ``work`` in another process's network namespace: in a child, since setns(2) has no way back."""
    if _same(pid):
        return _try(work)
    out, inlet = os.pipe()
    child = os.fork()
    if child == 0:
        try:
            _enter(pid)
            os.write(inlet, "\n".join(_try(work)).encode())
        finally:
            os._exit(0)
    os.close(inlet)
    with os.fdopen(out, "rb") as reader:
        told = reader.read().decode()
    os.waitpid(child, 0)
    return told.split("\n") if told else []


def _same(pid: int) -> bool:
    try:
        return os.readlink(f"/proc/{pid}/ns/net") == os.readlink("/proc/self/ns/net")
    except OSError:
        return False


def _enter(pid: int) -> None:
    import ctypes

    fd = os.open(f"/proc/{pid}/ns/net", os.O_RDONLY)
    if ctypes.CDLL(None, use_errno=True).setns(fd, 0) != 0:
        raise OSError("setns")


def _try(work: Callable[[], list[str]]) -> list[str]:
    try:
        return work()
    except OSError:
        return []


def _listing() -> list[str]:
    names = [f"table {_text(found[TABLE_NAME])}" for found in _dump(GETTABLE) if TABLE_NAME in found]
    for found in _dump(GETRULE):
        handle = int.from_bytes(found.get(RULE_HANDLE, b""), "big")
        names.append(f"rule {_text(found.get(RULE_TABLE, b''))} {_text(found.get(RULE_CHAIN, b''))} {handle}")
    return names


def _text(value: bytes) -> str:
    return value.rstrip(b"\0").decode()


def _message(kind: int, flags: int, family: int, body: bytes = b"", resource: int = 0) -> bytes:
    payload = struct.pack("=BBH", family, 0, socket.htons(resource)) + body
    return struct.pack("=IHHII", 16 + len(payload), kind, flags, 1, 0) + payload


def _attribute(kind: int, value: bytes) -> bytes:
    length = 4 + len(value)
    return struct.pack("=HH", length, kind) + value + b"\0" * (-length % 4)


def _dump(kind: int) -> Iterator[dict[int, bytes]]:
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as sock:
        sock.settimeout(5)
        sock.send(_message(SUBSYSTEM | kind, REQUEST | DUMP, 0))
        while True:
            data = sock.recv(1 << 17)
            for type_, payload in _messages(data):
                if type_ == 3:  # NLMSG_DONE
                    return
                if type_ == 2:  # NLMSG_ERROR
                    raise OSError(-struct.unpack_from("=i", payload)[0], "nftables")
                yield dict(_attributes(payload[4:]))


def _messages(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= 16:
        length, type_ = struct.unpack_from("=IH", data)
        yield type_, data[16:length]
        data = data[(length + 3) & ~3 :]


def _attributes(data: bytes) -> Iterator[tuple[int, bytes]]:
    while len(data) >= 4:
        length, kind = struct.unpack_from("=HH", data)
        if length < 4:
            return
        yield kind & 0x3FFF, data[4:length]
        data = data[(length + 3) & ~3 :]


def _change(kind: int, flags: int, name: str) -> int:
    """One change in a batch of its own; returns the kernel's error."""
    batch = _message(BATCH_BEGIN, REQUEST, 0, resource=10)
    table = _attribute(TABLE_NAME, name.encode() + b"\0")
    batch += _message(SUBSYSTEM | kind, REQUEST | ACK | flags, INET, table)
    batch += _message(BATCH_END, REQUEST, 0, resource=10)
    with socket.socket(socket.AF_NETLINK, socket.SOCK_RAW, NETLINK_NETFILTER) as sock:
        sock.settimeout(5)
        sock.send(batch)
        for type_, payload in _messages(sock.recv(1 << 16)):
            if type_ == 2:
                return int(struct.unpack_from("=i", payload)[0])
    return 0
