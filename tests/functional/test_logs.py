"""logs: both streams, tails, times, following."""

from __future__ import annotations

import re
import time

from support.box import IMAGE, Box

STAMP = r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{9}Z "


def _ran(box: Box, script: str) -> None:
    box.cli("run", *box.flags, "--name", "c1", IMAGE, "sh", "-c", script)


def test_both_streams(box: Box) -> None:
    _ran(box, "echo out; echo err >&2; exit 3")
    result = box.cli("logs", "c1").ok()
    assert (result.out, result.err) == (b"out\n", b"err\n")


def test_every_line_once_and_in_order(box: Box) -> None:
    _ran(box, "seq 1 5000")
    assert box.cli("logs", "c1").out == "".join(f"{n}\n" for n in range(1, 5001)).encode()


def test_tail(box: Box) -> None:
    _ran(box, "seq 1 100")
    assert box.cli("logs", "--tail", "3", "c1").lines == ["98", "99", "100"]
    assert box.cli("logs", "-n", "0", "c1").lines == []
    assert len(box.cli("logs", "--tail", "all", "c1").lines) == 100
    assert len(box.cli("logs", "--tail", "1000", "c1").lines) == 100


def test_timestamps(box: Box) -> None:
    _ran(box, "echo one; echo two")
    lines = box.cli("logs", "-t", "c1").lines
    assert [re.fullmatch(STAMP + "(.*)", line)[1] for line in lines] == ["one", "two"]  # type: ignore[index]


def test_since_and_until(box: Box) -> None:
    _ran(box, "echo early; sleep 2.2; echo late")
    times = [line.split(" ")[0] for line in box.cli("logs", "-t", "c1").lines]
    assert box.cli("logs", "--since", times[1], "c1").lines == ["late"]
    assert box.cli("logs", "--until", times[0], "c1").lines == ["early"]
    assert box.cli("logs", "--since", "1h", "c1").lines == ["early", "late"]


def test_follow_ends_with_the_container(box: Box) -> None:
    box.detached("--name", "c1", IMAGE, "sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.2; done")
    assert box.cli("logs", "-f", "c1").lines == ["1", "2", "3"]


def test_follow_is_prompt(box: Box) -> None:
    box.detached("--name", "c1", IMAGE, "sh", "-c", "echo first; sleep 600")
    process = box.popen("logs", "-f", "c1")
    assert process.stdout is not None
    begun = time.monotonic()
    assert process.stdout.readline() == b"first\n"
    assert time.monotonic() - begun < 5 * box.slow
    process.terminate()
    process.communicate()


def test_follow_of_one_that_has_ended(box: Box) -> None:
    _ran(box, "echo x")
    assert box.cli("logs", "-f", "c1").text == "x"


def test_a_line_without_an_end(box: Box) -> None:
    _ran(box, "printf unfinished")
    assert box.cli("logs", "c1").out == b"unfinished"


def test_long_lines_and_odd_bytes(box: Box) -> None:
    _ran(box, "head -c 100000 /dev/zero | tr '\\0' x; echo; printf '\\033[31mred\\033[0m \"q\" \\\\\\n'")
    out = box.cli("logs", "c1").out
    assert out == b"x" * 100000 + b'\n\x1b[31mred\x1b[0m "q" \\\n'


def test_logs_grow_over_starts(box: Box) -> None:
    _ran(box, "echo again")
    box.cli("start", "-a", "c1").ok()
    assert box.cli("logs", "c1").lines == ["again", "again"]


def test_none_yet(box: Box) -> None:
    box.create("--name", "c1", IMAGE, "true")
    assert box.cli("logs", "c1").ok().out == b""


def test_unknown_container(box: Box) -> None:
    result = box.cli("logs", "nobody")
    assert result.code == 1
    assert "No such container: nobody" in result.error
