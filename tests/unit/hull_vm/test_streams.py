"""Streams between the port and the shim's: credit is withheld and granted, input takes what fits."""

from __future__ import annotations

import socket
from collections.abc import Iterator

import pytest

from proa.hull.vm.port import WINDOW, Port
from proa.hull.vm.streams import Sink, Source


class Taken:
    """Plays hull.stdio.Streams."""

    def __init__(self) -> None:
        self.pushed: list[tuple[int, bytes]] = []
        self.ended: list[int] = []
        self.ready = 0

    def output(self, stream: int, data: bytes) -> None:
        self.pushed.append((stream, data))

    def output_end(self, stream: int) -> None:
        self.ended.append(stream)

    def input_ready(self) -> None:
        self.ready += 1


@pytest.fixture
def ends() -> Iterator[tuple[Port, Port]]:
    a, b = socket.socketpair()
    with a, b:
        a.setblocking(False)
        b.setblocking(False)
        yield Port(a.fileno()), Port(b.fileno())


def test_output_is_pushed_to_its_stream_and_granted_again(ends: tuple[Port, Port]) -> None:
    host, _ = ends
    streams = Taken()
    source = Source(host, host.flush, streams, {2: 1, 3: 2})  # type: ignore[arg-type]
    source.push(2, b"out")
    source.push(3, b"err")
    source.push(2, b"")
    assert streams.pushed == [(1, b"out"), (2, b"err")] and streams.ended == [1]


def test_a_held_source_grants_nothing_until_it_goes_on(ends: tuple[Port, Port]) -> None:
    host, guest = ends
    streams = Taken()
    source = Source(host, host.flush, streams, {2: 1, 3: 2})  # type: ignore[arg-type]
    guest.data(2, bytes(WINDOW))
    source.hold(True)
    while sum(len(data) for _, data in streams.pushed) < WINDOW:
        guest.flush()
        for stream, data in host.receive():
            source.push(stream, data)
    assert guest.receive() == [] and guest.room(2) == 0
    source.hold(False)
    assert guest.receive()[0][1]["op"] == "credit"
    assert guest.room(2) == WINDOW


def test_a_sink_takes_what_fits_and_says_when_there_is_room(ends: tuple[Port, Port]) -> None:
    host, guest = ends
    streams = Taken()
    sink = Sink(host, host.flush, streams, 1)  # type: ignore[arg-type]
    guest.expect(1)
    assert sink.write(bytes(WINDOW + 10)) == WINDOW
    assert sink.write(b"x") == 0
    sink.granted()
    assert streams.ready == 1
    sink.granted()
    assert streams.ready == 1


def test_a_sink_closes_once(ends: tuple[Port, Port]) -> None:
    host, guest = ends
    guest.expect(1)
    sink = Sink(host, host.flush, Taken(), 1)  # type: ignore[arg-type]
    sink.close()
    sink.close()
    assert guest.receive() == [(1, b"")]
