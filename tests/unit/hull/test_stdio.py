"""Streams: log, clients, input, in one process with socket pairs and pipes; no container."""

from __future__ import annotations

import os
import select
import socket
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from proa.dockerapi.frames import Demultiplexer
from proa.hull.client_stream import QUEUE, Wants
from proa.hull.log import JsonLog
from proa.hull.loop import Loop
from proa.hull.stdio import Streams


class Bench:
    """A loop, and a program's streams with a log (or none)."""

    def __init__(
        self, path: Path | None, *, terminal: bool = False, stdin: bool = True, max_size: int = 1 << 20
    ) -> None:
        self.loop = Loop()
        self.log = JsonLog({"path": str(path), "max_size": max_size, "max_file": 3}) if path else None
        self.detached = 0
        self._mine: list[socket.socket] = []
        self.streams = Streams(
            self.loop, terminal=terminal, stdin=stdin, stdin_once=True, log=self.log, detached=self._detached
        )

    def _detached(self) -> None:
        self.detached += 1

    def turn(self, rounds: int = 20) -> None:
        for _ in range(rounds):
            self.loop.turn(0)

    def until(self, told: Callable[[], bool]) -> None:
        for _ in range(100_000):
            if told():
                return
            self.loop.turn(0)
        raise AssertionError("never")

    def attach(self, early: bytes = b"", *, small: bool = False, **wants: object) -> socket.socket:
        ours, theirs = socket.socketpair()
        if small:
            theirs.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 4096)
        self.streams.attach(theirs.detach(), Wants(**wants), early)  # type: ignore[arg-type]
        ours.setblocking(False)
        self._mine.append(ours)
        return ours

    def close(self) -> None:
        self.streams.finish(lambda: None)
        self.streams.drop()
        self.loop.close()
        for sock in self._mine:
            sock.close()

    def drain(self, sock: socket.socket, *, to_end: bool = False) -> bytes:
        """All that comes, until nothing more does (or EOF)."""
        said, quiet = bytearray(), 0
        while quiet < 50:
            try:
                data = sock.recv(1 << 16)
            except BlockingIOError:
                self.turn(2)
                quiet += 1
                continue
            if not data:
                return bytes(said)
            said += data
            quiet = 0
        assert not to_end, "no EOF"
        return bytes(said)


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "log")
    yield bench
    bench.close()


@pytest.fixture
def unlogged() -> Iterator[Bench]:
    bench = Bench(None)
    yield bench
    bench.close()


def test_live_output_is_framed_and_split_by_wish(bench: Bench) -> None:
    both, raw, only_err = bench.attach(mux=True), bench.attach(), bench.attach(stdout=False, mux=True)
    bench.streams.output(1, b"out")
    bench.streams.output(2, b"err")
    assert Demultiplexer().feed(bench.drain(both)) == [(1, b"out"), (2, b"err")]
    assert bench.drain(raw) == b"outerr"
    assert Demultiplexer().feed(bench.drain(only_err)) == [(2, b"err")]


def test_a_slow_client_is_fed_from_the_log_and_stops_nobody(bench: Bench) -> None:
    slow, quick = bench.attach(small=True), bench.attach()
    lines = []
    for number in range(60_000):
        line = b"line %d, long enough to matter to somebody who counts bytes and then some more\n" % number
        bench.streams.output(1, line)
        lines.append(line)
        if number % 500 == 0:
            bench.turn(1)
            assert quick.recv(1 << 20)
    whole = b"".join(lines)
    assert len(whole) > 4 * QUEUE
    assert len(bench.streams._clients[0]._queue) < QUEUE + 200  # type: ignore[arg-type]
    bench.streams.output(1, b"part of a line")
    assert bench.drain(slow) == whole + b"part of a line"
    bench.streams.output(1, b", and the rest\n")
    assert bench.drain(slow) == b", and the rest\n"  # live again


def test_a_slow_client_gets_binary_output_unchanged(bench: Bench) -> None:
    slow = bench.attach(small=True, mux=True)
    whole = {1: b"", 2: b""}
    for number in range(100):
        data = os.urandom(30_000)
        stream = number % 2 + 1
        bench.streams.output(stream, data)
        whole[stream] += data
    got = {1: b"", 2: b""}
    for stream, data in Demultiplexer().feed(bench.drain(slow)):
        got[stream] += data
    assert got == whole


def test_logs_then_live_without_gap_or_duplicate(bench: Bench) -> None:
    bench.streams.output(1, b"one\ntwo\nthr")
    client = bench.attach(logs=True)
    bench.streams.output(1, b"ee\nfour\n")
    assert bench.drain(client) == b"one\ntwo\nthree\nfour\n"
    bench.streams.output(1, b"five\n")
    assert bench.drain(client) == b"five\n"


def test_logs_only_ends(bench: Bench) -> None:
    bench.streams.output(1, b"one\ntw")
    client = bench.attach(logs=True, stream=False)
    bench.until(lambda: bench.streams.clients == 0)
    assert bench.drain(client, to_end=True) == b"one\ntw"


def test_neither_logs_nor_stream_ends_at_once(bench: Bench) -> None:
    client = bench.attach(stream=False)
    assert bench.streams.clients == 0
    assert client.recv(10) == b""


def test_without_a_log_the_program_waits_for_its_client(unlogged: Bench) -> None:
    bench = unlogged
    client = bench.attach(small=True)
    reader, writer = os.pipe()
    os.set_blocking(writer, False)
    bench.streams.output_fd(1, reader)
    written = 0
    for _ in range(2000):
        try:
            written += os.write(writer, b"x" * 10_000)
        except BlockingIOError:
            bench.turn(1)
    assert written < QUEUE + 500_000
    os.close(writer)
    said = b""
    while len(said) < written:
        said += bench.drain(client)
    assert len(said) == written


def test_input_reaches_the_program_and_its_end_too(bench: Bench) -> None:
    client = bench.attach(b"early ", stdin=True)
    client.send(b"before the start ")
    bench.turn()
    reader, writer = os.pipe()
    bench.streams.input_fd(writer)
    client.send(b"after")
    client.shutdown(socket.SHUT_WR)
    bench.turn()
    assert os.read(reader, 100) == b"early before the start after"
    assert os.read(reader, 100) == b""
    bench.streams.output(1, b"still here")
    assert bench.drain(client) == b"still here"  # half-closed is not gone
    os.close(reader)


def test_much_input_through_a_slow_program(bench: Bench) -> None:
    client = bench.attach(stdin=True)
    reader, writer = os.pipe()
    os.set_blocking(reader, False)
    bench.streams.input_fd(writer)
    whole = os.urandom(3_000_000)
    sent, said = 0, b""
    while len(said) < len(whole):
        try:
            sent += client.send(whole[sent : sent + 50_000])
        except BlockingIOError:
            pass
        bench.turn(1)
        try:
            said += os.read(reader, 7_000)
        except BlockingIOError:
            pass
        assert len(bench.streams.input._buffer) < 200_000
    assert said == whole
    os.close(reader)


def test_a_client_that_hangs_up_leaves_its_input(bench: Bench) -> None:
    client = bench.attach(stdin=True)
    client.send(b"x" * 100_000)
    client.close()
    bench.turn()
    reader, writer = os.pipe()
    bench.streams.input_fd(writer)
    os.set_blocking(reader, False)
    said = b""
    for _ in range(100):
        bench.turn(2)
        try:
            said += os.read(reader, 1 << 16)
        except BlockingIOError:
            break
    assert len(said) == 100_000
    assert os.read(reader, 10) == b""
    assert bench.streams.clients == 0
    os.close(reader)


def test_a_program_that_closed_its_stdin(bench: Bench) -> None:
    client = bench.attach(stdin=True)
    reader, writer = os.pipe()
    bench.streams.input_fd(writer)
    os.close(reader)
    for _ in range(50):
        client.send(b"nobody reads this")
        bench.turn(2)
    bench.streams.output(1, b"fine")
    assert bench.drain(client) == b"fine"


def test_several_clients_may_type(bench: Bench) -> None:
    one, two = bench.attach(stdin=True), bench.attach(stdin=True)
    reader, writer = os.pipe()
    bench.streams.input_fd(writer)
    one.send(b"1")
    bench.turn()
    two.send(b"2")
    bench.turn()
    assert os.read(reader, 10) == b"12"
    os.close(reader)


def test_detach_keys(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "log", terminal=True)
    client = bench.attach(stdin=True, keys=b"\x10\x11")
    reader, writer = os.pipe()
    bench.streams.input_fd(writer)
    client.send(b"abc\x10")
    bench.turn()
    client.send(b"\x11def")
    bench.turn()
    assert os.read(reader, 100) == b"abc"
    assert bench.detached == 1
    assert bench.streams.clients == 0
    assert client.recv(10) == b""
    assert select.select([reader], [], [], 0)[0] == []  # not closed: the program goes on
    os.close(reader)
    bench.close()


def test_no_detach_keys_without_a_terminal(bench: Bench) -> None:
    client = bench.attach(stdin=True, keys=b"\x10\x11")
    reader, writer = os.pipe()
    bench.streams.input_fd(writer)
    client.send(b"abc\x10\x11def")
    bench.turn()
    assert os.read(reader, 100) == b"abc\x10\x11def"
    os.close(reader)


def test_finish_drains_pipes_and_flushes_the_log(bench: Bench, tmp_path: Path) -> None:
    client = bench.attach()
    reader, writer = os.pipe()
    bench.streams.output_fd(1, reader)
    os.write(writer, b"last words")
    bench.streams.finish(lambda: None)
    assert b"last words" in (tmp_path / "log").read_bytes()
    assert client.recv(100) == b"last words"
    assert bench.streams.served
    bench.streams.release()
    assert client.recv(100) == b""
    assert bench.streams.clients == 0
    os.close(writer)


def test_release_serves_a_slow_client_to_the_end(bench: Bench) -> None:
    client = bench.attach(small=True)
    whole = b"".join(b"line %d of very many lines that nobody reads for now\n" % number for number in range(60_000))
    for at in range(0, len(whole), 50_000):
        bench.streams.output(1, whole[at : at + 50_000])
    bench.streams.finish(lambda: None)
    assert not bench.streams.served
    bench.streams.release()
    assert bench.drain(client, to_end=True) == whole
    assert bench.streams.clients == 0


def test_a_terminal_has_both_directions_in_one_descriptor(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "log", terminal=True)
    client = bench.attach(stdin=True)
    master, slave = os.openpty()
    bench.streams.terminal_fd(master)
    client.send(b"hi\n")
    bench.turn()
    assert os.read(slave, 100) == b"hi\n"
    assert bench.drain(client) == b"hi\r\n"  # its echo
    os.write(slave, b"bye\n")
    os.close(slave)
    bench.turn()
    assert bench.drain(client) == b"bye\r\n"
    bench.close()


class Source:
    """Pushed output, as a VM's carrier has it."""

    def __init__(self) -> None:
        self.held = False

    def hold(self, wanted: bool) -> None:
        self.held = wanted


class Sink:
    """Pushed input with little room."""

    def __init__(self) -> None:
        self.got = b""
        self.room = 10
        self.closed = False

    def write(self, data: bytes) -> int:
        taken = min(self.room, len(data))
        self.got += data[:taken]
        self.room -= taken
        return taken

    def close(self) -> None:
        self.closed = True


def test_pushed_streams(unlogged: Bench) -> None:
    bench = unlogged
    source, sink = Source(), Sink()
    bench.streams.output_source(source)
    bench.streams.input_sink(sink)
    client = bench.attach(stdin=True, small=True)
    bench.streams.output(1, b"x" * (QUEUE + 300_000))
    assert source.held
    assert len(bench.drain(client)) == QUEUE + 300_000
    assert not source.held
    client.send(b"0123456789abc")
    client.shutdown(socket.SHUT_WR)
    bench.turn()
    assert (sink.got, sink.closed) == (b"0123456789", False)
    sink.room = 10
    bench.streams.input_ready()
    assert (sink.got, sink.closed) == (b"0123456789abc", True)


def test_nothing_is_left_after_many_clients(tmp_path: Path) -> None:
    bench = Bench(tmp_path / "log")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(100):
        client = bench.attach(stdin=True, logs=True)
        bench.turn(2)
        client.close()
        bench.turn(2)
    bench.until(lambda: bench.streams.clients == 0)
    assert len(os.listdir("/proc/self/fd")) == before
    bench.close()
