"""The shim's loop: readiness, timers, and descriptors that go away in the middle of a round."""

import os
import time

import pytest

from proa.hull import loop as loops
from proa.hull.loop import Loop


@pytest.fixture
def pipe() -> "list[int]":
    return list(os.pipe())


def test_readable_then_removed(pipe: "list[int]") -> None:
    loop, seen = Loop(), []
    loop.add(pipe[0], lambda events: seen.append((events, os.read(pipe[0], 10))))
    loop.turn(0)
    os.write(pipe[1], b"a")
    loop.turn(0)
    loop.remove(pipe[0])
    loop.remove(pipe[0])
    os.write(pipe[1], b"b")
    loop.turn(0)
    assert seen == [(loops.IN, b"a")]
    for fd in pipe:
        os.close(fd)
    loop.close()


def test_a_handler_may_remove_another_of_the_same_round() -> None:
    loop, seen = Loop(), []
    ends = [os.pipe() for _ in range(2)]

    def handler(mine: int, other: int) -> None:
        seen.append(mine)
        loop.remove(other)

    loop.add(ends[0][0], lambda _: handler(0, ends[1][0]))
    loop.add(ends[1][0], lambda _: handler(1, ends[0][0]))
    for _, writer in ends:
        os.write(writer, b"x")
    loop.turn(0)
    assert len(seen) == 1
    for pair in ends:
        os.close(pair[0])
        os.close(pair[1])
    loop.close()


def test_change(pipe: "list[int]") -> None:
    loop, seen = Loop(), []
    loop.add(pipe[1], seen.append, 0)
    loop.turn(0)
    loop.change(pipe[1], loops.OUT)
    loop.change(pipe[1], loops.OUT)
    loop.turn(0)
    assert seen == [loops.OUT]
    for fd in pipe:
        os.close(fd)
    loop.close()


def test_timers_run_once_in_time_and_may_be_cancelled() -> None:
    loop, seen = Loop(), []
    begun = time.monotonic()
    loop.after(0.03, lambda: seen.append("late"))
    loop.after(0.01, lambda: seen.append("early"))
    cancelled = loop.after(0.02, lambda: seen.append("never"))
    cancelled.cancel()
    loop.after(0.04, loop.stop)
    loop.run()
    assert seen == ["early", "late"]
    assert time.monotonic() - begun >= 0.04
    cancelled.cancel()
    loop.close()


def test_a_timer_may_set_another() -> None:
    loop, seen = Loop(), []

    def again() -> None:
        seen.append(1)
        if len(seen) == 3:
            loop.stop()
        else:
            loop.after(0, again)

    loop.after(0, again)
    loop.run()
    assert len(seen) == 3
    assert loop._timers == []
    loop.close()


def test_regular_files_are_refused() -> None:
    loop = Loop()
    with open(__file__) as file, pytest.raises(PermissionError):
        loop.add(file.fileno(), print)
    loop.close()


def test_a_new_descriptor_gets_no_event_of_the_one_whose_number_it_got() -> None:
    loop, seen = Loop(), []
    ends, quiet = [os.pipe() for _ in range(2)], os.pipe()

    def replace(mine: int, other: int) -> None:
        seen.append("old")
        for fd in (mine, other):
            loop.remove(fd)
        os.dup2(quiet[0], other)
        loop.add(other, lambda _: seen.append("new"))

    loop.add(ends[0][0], lambda _: replace(ends[0][0], ends[1][0]))
    loop.add(ends[1][0], lambda _: replace(ends[1][0], ends[0][0]))
    for _, writer in ends:
        os.write(writer, b"x")
    loop.turn(0)
    assert seen == ["old"]
    os.write(quiet[1], b"x")
    loop.turn(0)
    assert seen == ["old", "new"]
    for pair in (*ends, quiet):
        os.close(pair[0])
        os.close(pair[1])
    loop.close()
