"""The datagrams between engine, spawner and shim."""

import _socket
import os
import struct
from collections.abc import Iterator

import pytest

from proa.hull import messages


@pytest.fixture
def pair() -> Iterator[tuple[_socket.socket, _socket.socket]]:
    left, right = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
    yield left, right
    left.close()
    right.close()


def open_descriptors() -> int:
    return len(os.listdir("/proc/self/fd"))


def test_a_message_and_its_descriptors_arrive(pair: tuple[_socket.socket, _socket.socket]) -> None:
    read, write = os.pipe()
    messages.send(pair[0], {"op": "x", "data": "é\x00"}, [write])
    message, fds = messages.receive(pair[1])
    assert message == {"op": "x", "data": "é\x00"}
    os.write(fds[0], b"hello")
    assert os.read(read, 5) == b"hello"
    assert os.get_inheritable(fds[0]) is False
    for fd in (read, write, *fds):
        os.close(fd)


@pytest.mark.parametrize("size", [messages.INLINE_MAX - 100, messages.INLINE_MAX, 250_000, 3_000_000])
def test_any_size_travels_and_no_descriptor_is_left(pair: tuple[_socket.socket, _socket.socket], size: int) -> None:
    before = open_descriptors()
    messages.send(pair[0], {"op": "x", "data": "a" * size})
    message, fds = messages.receive(pair[1])
    assert (len(message["data"]), fds, open_descriptors()) == (size, [], before)


def test_end_is_gone(pair: tuple[_socket.socket, _socket.socket]) -> None:
    pair[0].close()
    with pytest.raises(messages.Gone):
        messages.receive(pair[1])
    with pytest.raises(messages.Gone):
        messages.send(pair[1], {"op": "x"})


@pytest.mark.parametrize("data", [b"[]", b"nonsense", b"@", b"{" * 1000, b"x" * 64_050])
def test_what_is_not_a_message_is_a_value_error_and_keeps_no_descriptor(
    pair: tuple[_socket.socket, _socket.socket], data: bytes
) -> None:
    before = open_descriptors()
    read, write = os.pipe()
    control = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack("i", read))] if data != b"@" else []
    pair[0].sendmsg([data], control)
    os.close(read)
    os.close(write)
    with pytest.raises(ValueError):
        messages.receive(pair[1])
    assert open_descriptors() == before


def test_a_sealed_memfd_cannot_be_written() -> None:
    fd = messages.seal(b"content")
    with pytest.raises(PermissionError):
        os.write(fd, b"x")
    assert messages.unseal(fd) == b"content"
