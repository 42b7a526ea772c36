"""The json-file log: its format, its rotation, and reading it back byte for byte."""

import json
import os
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from proa.hull import follow, log


def make(path: Path, max_size: int = 10 << 20, max_file: int = 5) -> log.JsonLog:
    return log.JsonLog({"path": str(path), "max_size": max_size, "max_file": max_file})


def read_all(reader: follow.Reader) -> list[tuple[int, bytes]]:
    pieces = []
    while more := reader.read():
        pieces += more
    return pieces + reader.rest()


def joined(pieces: list[tuple[int, bytes]], stream: int) -> bytes:
    return b"".join(data for number, data in pieces if number == stream)


def test_docker_format(tmp_path: Path) -> None:
    written = make(tmp_path / "log")
    written.write(1, b'one\ntwo "quoted" \\n\ncaf\xc3\xa9 ')
    written.write(2, b"err\n")
    written.write(1, b"\x00\x1b[0m\n")
    written.write(1, b"no newline")
    written.flush()
    lines = (tmp_path / "log").read_bytes().splitlines()
    records = [json.loads(line) for line in lines]
    assert [(r["stream"], r["log"]) for r in records] == [
        ("stdout", "one\n"),
        ("stdout", 'two "quoted" \\n\n'),
        ("stderr", "err\n"),
        ("stdout", "café \x00\x1b[0m\n"),
        ("stdout", "no newline"),
    ]
    assert list(records[0]) == ["log", "stream", "time"]
    assert len(records[0]["time"]) == 30
    assert records[0]["time"][10] == "T"
    assert records[0]["time"].endswith("Z")
    assert "café".encode() in lines[3]  # UTF-8 stays readable


def test_long_lines_are_cut_as_docker_does(tmp_path: Path) -> None:
    written = make(tmp_path / "log")
    written.write(1, b"a" * 40_000 + b"\nb\n")
    lengths = [len(json.loads(line)["log"]) for line in (tmp_path / "log").read_bytes().splitlines()]
    assert lengths == [16384, 16384, 40_001 - 32768, 2]


def test_partial_line_waits(tmp_path: Path) -> None:
    written = make(tmp_path / "log")
    written.write(1, b"abc")
    assert (tmp_path / "log").read_bytes() == b""
    assert written.pending(1) == b"abc"
    written.write(1, b"def\n")
    assert json.loads((tmp_path / "log").read_bytes())["log"] == "abcdef\n"


@settings(max_examples=200, deadline=None)
@given(
    st.lists(
        st.tuples(
            st.sampled_from([1, 2]),
            st.binary(max_size=60)
            | st.sampled_from([b"\n", b"\xff\n", b"\\\n\n", b"\xed\xb2\x80\n", b"}\n{", "é\n".encode()]),
        )
    )
)
def test_every_byte_comes_back(tmp_path_factory: pytest.TempPathFactory, writes: list[tuple[int, bytes]]) -> None:
    written = make(tmp_path_factory.mktemp("log") / "log", max_size=300, max_file=1000)
    for stream, data in writes:
        written.write(stream, data)
    pieces = read_all(follow.beginning(written))
    for stream in (1, 2):
        assert joined(pieces, stream) == b"".join(data for number, data in writes if number == stream)


@settings(max_examples=200, deadline=None)
@given(st.lists(st.tuples(st.sampled_from([1, 2]), st.binary(max_size=20) | st.just(b"x\n"))), st.integers(0, 30))
def test_a_reader_goes_on_where_a_client_stopped(
    tmp_path_factory: pytest.TempPathFactory, writes: list[tuple[int, bytes]], at: int
) -> None:
    written = make(tmp_path_factory.mktemp("log") / "log", max_size=200, max_file=3)
    reader = follow.here(written)
    for number, (stream, data) in enumerate(writes):
        if number == at:
            reader = follow.here(written)
        written.write(stream, data)
    if at >= len(writes):
        reader = follow.here(written)
    pieces = read_all(reader)
    for stream in (1, 2):
        assert joined(pieces, stream) == b"".join(data for number, data in writes[at:] if number == stream)


def test_rotation(tmp_path: Path) -> None:
    written = make(tmp_path / "log", max_size=1000, max_file=3)
    for number in range(100):
        written.write(1, b"line %d\n" % number)
    assert sorted(path.name for path in tmp_path.iterdir()) == ["log", "log.1", "log.2"]
    assert all(path.stat().st_size < 1100 for path in tmp_path.iterdir())
    text = joined(read_all(follow.beginning(written)), 1).splitlines()
    assert text == [b"line %d" % number for number in range(100 - len(text), 100)]


def test_one_file_only(tmp_path: Path) -> None:
    written = make(tmp_path / "log", max_size=500, max_file=1)
    for number in range(100):
        written.write(1, b"line %d\n" % number)
    assert [path.name for path in tmp_path.iterdir()] == ["log"]


def test_a_slow_reader_loses_nothing_by_rotation(tmp_path: Path) -> None:
    written = make(tmp_path / "log", max_size=500, max_file=2)
    written.write(1, b"part")
    reader = follow.here(written)
    written.write(1, b"ly\n")
    for number in range(200):
        written.write(1, b"line %d\n" % number)
    assert joined(read_all(reader), 1) == b"ly\n" + b"".join(b"line %d\n" % number for number in range(200))


def test_segments_close_their_files(tmp_path: Path) -> None:
    before = len(os.listdir("/proc/self/fd"))
    written = make(tmp_path / "log", max_size=100, max_file=2)
    for number in range(100):
        written.write(1, b"line %d\n" % number)
    assert len(os.listdir("/proc/self/fd")) == before + 1
    reader = follow.beginning(written)
    for number in range(100):
        written.write(1, b"line %d\n" % number)
    read_all(reader)
    del reader
    assert len(os.listdir("/proc/self/fd")) == before + 1


def test_a_line_that_was_cut_off_is_skipped(tmp_path: Path) -> None:
    (tmp_path / "log").write_bytes(b'{"log":"a\\n","stream":"stdout","time":"x"}\n{"log":"brok')
    written = make(tmp_path / "log")
    written.write(1, b"b\n")
    assert joined(read_all(follow.beginning(written)), 1) == b"a\nb\n"


def test_appends_to_an_earlier_run(tmp_path: Path) -> None:
    make(tmp_path / "log").write(1, b"first\n")
    second = make(tmp_path / "log")
    second.write(1, b"second\n")
    assert joined(read_all(follow.beginning(second)), 1) == b"first\nsecond\n"


def test_a_full_disk_stops_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    written = make(tmp_path / "log")
    written.write(1, b"one\n")

    def full(fd: int, data: bytes) -> int:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        patch.setattr(os, "write", full)
        written.write(1, b"two\n")
    written.write(1, b"three\n")
    assert written.lost == 1
    assert joined(read_all(follow.beginning(written)), 1) == b"one\nthree\n"


def test_a_log_that_is_a_link_is_refused(tmp_path: Path) -> None:
    (tmp_path / "log").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(OSError, match="symbolic"):
        make(tmp_path / "log")
