"""The guest's side of programs, on this host: real processes, pipes and a loop; the port is a socketpair."""

from __future__ import annotations

import gc
import os
import socket
import subprocess
import time
from collections.abc import Callable, Iterator

import pytest

from proa.hull.loop import IN, OUT, Loop
from proa.hull.vm.guest.program import Program, Stdio
from proa.hull.vm.port import WINDOW, Port

ORDER = {"stdin": 1, "stdout": 2, "stderr": 3}


class Side:
    """The guest's loop and port, and the host's port."""

    def __init__(self, guest: socket.socket, host: socket.socket) -> None:
        self.loop = Loop()
        self.port = Port(guest.fileno())
        self.host = Port(host.fileno())
        self.ended: list[Program] = []
        self.got: dict[int, bytes] = {2: b"", 3: b""}
        self.grant = True
        for stream in self.got:
            self.host.expect(stream)
        self.programs: list[Program] = []
        self.loop.add(guest.fileno(), self._on_port)

    def run(self, script: str, stdin: bool = True, target: str = "") -> Program:
        stdio = Stdio(stdin)
        child = subprocess.Popen(
            ["sh", "-c", script], stdin=stdio.inside[0], stdout=stdio.inside[1], stderr=stdio.inside[2]
        )
        pidfd = os.pidfd_open(child.pid)
        child.returncode = 0  # the program reaps it, not Popen
        stdio.started()
        program = Program(self.loop, self.port, target, child.pid, pidfd, self.ended.append)
        program.connect(ORDER if stdin else {**ORDER, "stdin": 0}, stdio, -1)
        self.programs.append(program)
        return program

    def until(self, ready: Callable[[], bool], seconds: float = 10) -> None:
        end = time.monotonic() + seconds
        while not ready():
            assert time.monotonic() < end, (self.got, self.ended)
            self.turn()

    def turn(self) -> None:
        self.host.flush()
        self.loop.turn(0.01)
        self.port.flush()
        self.loop.change(self.port.fd, IN | OUT if self.port.pending else IN)
        for stream, message in self.host.receive():
            if stream:
                self.got[stream] += message
                if self.grant:
                    self.host.consumed(stream, len(message))

    def _on_port(self, events: int) -> None:
        if events & IN:
            for stream, message in self.port.receive():
                for program in self.programs:
                    if stream and program.inlet is not None:
                        program.inlet.take(message)
                    elif not stream and message["op"] == "credit":
                        for outlet in list(program.outlets):
                            outlet.granted()


@pytest.fixture
def side() -> Iterator[Side]:
    a, b = socket.socketpair()
    with a, b:
        a.setblocking(False)
        b.setblocking(False)
        yield Side(a, b)


def test_streams_apart_and_the_status_behind_them(side: Side) -> None:
    side.run("echo out; echo err >&2; exit 5", stdin=False)
    side.until(lambda: bool(side.ended))
    side.until(lambda: side.got == {2: b"out\n", 3: b"err\n"})
    assert side.ended[0].status == 5


def test_a_signal_is_128_and_its_number(side: Side) -> None:
    program = side.run("sleep 60", stdin=False)
    program.signal(15)
    side.until(lambda: bool(side.ended))
    assert side.ended[0].status == 143


def test_input_reaches_the_program_and_ends(side: Side) -> None:
    side.run("cat")
    side.host.data(1, b"hello")
    side.host.data(1, b"")
    side.until(lambda: bool(side.ended))
    side.until(lambda: side.got[2] == b"hello")


def test_a_program_that_reads_nothing_more_closes_its_input(side: Side) -> None:
    side.run("exec <&-; sleep 0.3; echo done")
    side.host.data(1, bytes(100_000))
    side.until(lambda: bool(side.ended))
    side.until(lambda: side.got[2] == b"done\n")


def test_without_credit_the_program_waits_and_nothing_is_lost(side: Side) -> None:
    side.grant = False
    side.run(f"head -c {WINDOW * 3} /dev/zero; echo err >&2", stdin=False)
    end = time.monotonic() + 0.5
    while time.monotonic() < end:
        side.turn()
    assert len(side.got[2]) == WINDOW and not side.ended
    side.grant = True
    side.host.consumed(2, WINDOW)
    side.until(lambda: bool(side.ended))
    side.until(lambda: len(side.got[2]) == 3 * WINDOW and side.got[3] == b"err\n")


def test_a_child_that_keeps_the_pipe_does_not_hold_the_end(side: Side) -> None:
    side.run("echo first; sleep 5 & exit 3", stdin=False)
    began = time.monotonic()
    side.until(lambda: bool(side.ended))
    assert side.ended[0].status == 3 and time.monotonic() - began < 4
    side.until(lambda: side.got[2] == b"first\n")


def test_what_an_exec_left_behind_may_still_write(side: Side) -> None:
    side.run("(sleep 0.3; echo late) & echo first; exit 3", stdin=False, target="ab")
    side.until(lambda: bool(side.ended))
    assert side.ended[0].status == 3 and side.ended[0].outlets == []
    side.until(lambda: side.got[2] == b"first\nlate\n")


def test_but_not_for_ever(side: Side, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("proa.hull.vm.guest.program.BACKGROUND", 0.2)
    side.run("echo first; sleep 5 & exit 3", stdin=False, target="ab")
    began = time.monotonic()
    side.until(lambda: bool(side.ended))
    assert 0.2 <= time.monotonic() - began < 4
    side.until(lambda: side.got[2] == b"first\n")


def test_no_descriptor_stays(side: Side) -> None:
    gc.collect()  # what earlier tests dropped
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(5):
        side.ended.clear()
        side.run("cat; echo x")
        side.host.data(1, b"")
        side.until(lambda: bool(side.ended))
    assert len(os.listdir("/proc/self/fd")) == before


def test_what_writes_for_ever_behind_an_exec_does_not_keep_it_from_its_end(side: Side) -> None:
    side.run("yes & exit 7", stdin=False, target="e")
    side.until(lambda: bool(side.ended), 20)
    assert side.ended[0].status == 7
