"""The port's framing and credit, both ends over a socketpair."""

from __future__ import annotations

import select
import socket
import struct
from collections.abc import Iterator

import pytest

from proa.hull.vm import port as ports
from proa.hull.vm.port import WINDOW, Hangup, Malformed, Port


@pytest.fixture
def ends() -> Iterator[tuple[Port, Port, socket.socket, socket.socket]]:
    a, b = socket.socketpair()
    with a, b:
        a.setblocking(False)
        b.setblocking(False)
        yield Port(a.fileno()), Port(b.fileno()), a, b


def carry(sender: Port, receiver: Port) -> list[tuple[int, object]]:
    """Everything that ``sender`` has queued, as ``receiver`` gets it."""
    found: list[tuple[int, object]] = []
    while sender.pending or select.select([receiver.fd], [], [], 0)[0]:
        sender.flush()
        found += receiver.receive()
    return found


def test_a_message_and_bytes_arrive_in_order(ends) -> None:
    host, guest, _, _ = ends
    host.expect(2)
    guest.send({"op": "running", "pid": 7})
    guest.data(2, b"hello")
    guest.data(2, b"")
    guest.send({"op": "exited", "status": 0})
    assert carry(guest, host) == [
        (0, {"op": "running", "pid": 7}),
        (2, b"hello"),
        (2, b""),
        (0, {"op": "exited", "status": 0}),
    ]


def test_a_long_message_spans_frames(ends) -> None:
    host, guest, _, _ = ends
    text = "x" * 300_000
    host.send({"op": "run", "spec": text})
    assert carry(host, guest) == [(0, {"op": "run", "spec": text})]


def test_a_sender_without_credit_has_no_room_until_the_receiver_handed_on(ends) -> None:
    host, guest, _, _ = ends
    host.expect(5)
    guest.data(5, bytes(WINDOW))
    assert guest.room(5) == 0
    taken = sum(len(data) for stream, data in carry(guest, host) if stream == 5)
    assert taken == WINDOW
    host.consumed(5, taken)
    assert [message["op"] for _, message in carry(host, guest)] == ["credit"]
    assert guest.room(5) == WINDOW


def test_small_amounts_are_granted_in_portions(ends) -> None:
    host, _, _, _ = ends
    host.expect(5)
    host.consumed(5, 10)
    assert not host.pending


def test_more_than_was_granted_is_malformed(ends) -> None:
    host, guest, _, raw = ends
    host.expect(5)
    guest.data(5, bytes(WINDOW))
    carry(guest, host)
    raw.sendall(struct.pack("<II", 5, 1) + b"x")
    with pytest.raises(Malformed):
        host.receive()


def test_what_nobody_expects_is_dropped_and_costs_nothing(ends) -> None:
    host, _, _, raw = ends
    for stream in range(1000, 1100):
        raw.sendall(struct.pack("<II", stream, 3) + b"abc")
    assert host.receive() == []
    assert host._open == {}


@pytest.mark.parametrize(
    "data",
    [
        struct.pack("<II", 0, ports.PAYLOAD_MAX + 1),
        struct.pack("<II", 0, 4) + b"abc\n",
        struct.pack("<II", 0, 3) + b"[]\n",
        struct.pack("<II", 0, 10) + b'{"op": 1}\n',
        struct.pack("<II", 0, 3) + b"\xff\xfe\n",
    ],
)
def test_nonsense_is_malformed(ends, data: bytes) -> None:
    host, _, _, raw = ends
    raw.sendall(data)
    with pytest.raises(Malformed):
        host.receive()


def test_negative_credit_is_malformed(ends) -> None:
    host, guest, _, _ = ends
    host.data(1, b"x")
    guest.send({"op": "credit", "stream": 1, "bytes": -5})
    guest.flush()
    with pytest.raises(Malformed):
        host.receive()


def test_credit_never_exceeds_the_window(ends) -> None:
    host, guest, _, _ = ends
    host.data(1, b"x")
    guest.send({"op": "credit", "stream": 1, "bytes": 10 * WINDOW})
    guest.flush()
    host.receive()
    assert host.room(1) == WINDOW


def test_the_end_is_a_hangup(ends) -> None:
    host, _, _, raw = ends
    raw.close()
    with pytest.raises(Hangup):
        host.receive()


def test_what_a_guest_may_say_is_short(ends) -> None:
    _, guest, a, _ = ends
    host = Port(a.fileno(), message_max=ports.GUEST_MESSAGE_MAX)
    guest.send({"op": "x", "text": "x" * ports.GUEST_MESSAGE_MAX})
    with pytest.raises(Malformed, match="too long"):
        carry(guest, host)


def test_one_who_speaks_and_never_reads_is_malformed(ends, monkeypatch: pytest.MonkeyPatch) -> None:
    host, guest, _, _ = ends
    monkeypatch.setattr(ports, "OUT_MAX", 1000)
    host.send({"op": "x", "text": "x" * 1000})
    guest.send({"op": "running", "pid": 1})
    guest.flush()
    with pytest.raises(Malformed, match="does not read"):
        host.receive()
