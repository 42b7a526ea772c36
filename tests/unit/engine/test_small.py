"""Times, filters, names, signals, transitions, the feed."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proa.engine import feed, filters, names, signals, times, transitions
from proa.errors import Conflict, InvalidRequest


@given(st.integers(1, 4_000_000_000_000_000_000))
def test_times_round_trip(ns: int) -> None:
    assert times.parse_rfc3339(times.rfc3339(ns)) == ns
    assert times.parse_rfc3339(times.rfc3339_nine(ns)) == ns


@pytest.mark.parametrize(
    ("text", "ns"),
    [
        ("12", 12_000_000_000),
        ("12.5", 12_500_000_000),
        ("1.000000001", 1_000_000_001),
        ("1970-01-01T00:00:02Z", 2_000_000_000),
        ("1970-01-01T01:00:02+01:00", 2_000_000_000),
        ("1970-01-02", 86400_000_000_000),
    ],
)
def test_moments(text: str, ns: int) -> None:
    assert times.parse(text) == ns


@pytest.mark.parametrize("text", ["yesterday", "1970-13-01T00:00:00Z", "1e9", "12.", "-"])
def test_no_moments(text: str) -> None:
    with pytest.raises(InvalidRequest):
        times.parse(text)


def test_never() -> None:
    assert times.rfc3339(0) == "0001-01-01T00:00:00Z"


@pytest.mark.parametrize("text", ['{"label":{"a=b":true,"c":true}}', '{"label":["a=b","c"]}'])
def test_both_forms_of_filters(text: str) -> None:
    assert filters.parse(text, ["label"]) == {"label": ["a=b", "c"]}


def test_filters_that_are_none() -> None:
    assert filters.parse("", []) == {}
    with pytest.raises(InvalidRequest, match="invalid filter 'foo'"):
        filters.parse('{"foo":["x"]}', ["bar"])
    for text in ("{", "[]", '{"a":1}'):
        with pytest.raises(InvalidRequest, match="invalid filter"):
            filters.parse(text, ["a"])


def test_labels_must_all_match() -> None:
    labels = {"a": "b", "c": "d"}
    assert filters.labels_match({"label": ["a=b", "c"]}, labels)
    assert not filters.labels_match({"label": ["a=b", "e"]}, labels)
    assert not filters.labels_match({"label!": ["a"]}, labels)


def test_patterns() -> None:
    assert filters.found(filters.patterns({"name": ["^/web"]}, "name"), "/web-1", "web-1")
    assert not filters.found(filters.patterns({"name": ["^web$"]}, "name"), "/web-1", "web-1")
    assert filters.found(filters.patterns({}, "name"), "x")
    with pytest.raises(InvalidRequest):
        filters.patterns({"name": ["("]}, "name")


def test_flags_and_numbers() -> None:
    assert filters.flag({}, "dangling") is None
    assert filters.flag({"dangling": ["true", "1"]}, "dangling") is True
    assert filters.flag({"dangling": ["0"]}, "dangling") is False
    for bad in (["true", "false"], ["maybe"], [""]):
        with pytest.raises(InvalidRequest, match="invalid filter 'dangling="):
            filters.flag({"dangling": bad}, "dangling")
    filters.numbers({"exited": ["0", "-1", "137"]}, "exited")
    for bad in (["x"], [""], ["1.5"], ["1\n"]):
        with pytest.raises(InvalidRequest, match="invalid filter 'exited="):
            filters.numbers({"exited": bad}, "exited")


def test_names_are_valid() -> None:
    for _ in range(100):
        assert names.check(names.suggest())
    assert len(names.new_id()) == 64
    assert names.check("/a-b") == "a-b"


@pytest.mark.parametrize("text", ["", "a", "-ab", "a b", "a/b", "ä1", "a" * 256])
def test_bad_names(text: str) -> None:
    with pytest.raises(InvalidRequest, match="Invalid container name"):
        names.check(text)


@pytest.mark.parametrize(("text", "number"), [("KILL", 9), ("SIGTERM", 15), ("term", 15), ("10", 10), ("RTMIN+3", 37)])
def test_signals(text: str, number: int) -> None:
    assert signals.number(text) == number


@pytest.mark.parametrize("text", ["", "0", "65", "-9", "NOPE"])
def test_bad_signals(text: str) -> None:
    with pytest.raises(InvalidRequest, match="invalid signal"):
        signals.number(text)


def test_the_table_is_whole() -> None:
    states = set(transitions.TABLE["start"])
    assert all(set(row) == states for row in transitions.TABLE.values())


@pytest.mark.parametrize(
    ("action", "status", "text"),
    [
        ("exec", "exited", "container ID is not running"),
        ("exec", "paused", "Container pr is paused, unpause the container before exec"),
        ("remove", "paused", 'cannot remove container "/pr": container is paused: stop the container before'),
        ("start", "paused", "cannot start a paused container, try unpause instead"),
    ],
)
def test_docker_s_words(action: transitions.Action, status: transitions.Status, text: str) -> None:
    with pytest.raises(Conflict, match=text):
        transitions.check(action, status, id="ID", name="pr")


async def _chunks(*chunks: bytes) -> AsyncIterator[bytes]:
    for chunk in chunks:
        await asyncio.sleep(0)
        yield chunk


def _all(stream: feed.Feed) -> bytes:
    parts = []
    while part := stream.read(3):
        parts.append(part)
    return b"".join(parts)


def test_a_feed_is_read_like_a_file() -> None:
    assert asyncio.run(feed.consume(_chunks(b"abcd", b"", b"ef"), _all)) == b"abcdef"


def test_a_feed_waits_for_a_slow_reader() -> None:
    chunk = b"x" * (1 << 20)
    assert len(asyncio.run(feed.consume(_chunks(*[chunk] * 20), lambda stream: _count(stream)))) == 20 << 20


def _count(stream: feed.Feed) -> bytes:
    parts = []
    while part := stream.read(1 << 16):
        parts.append(part)
    return b"".join(parts)


def test_a_reader_that_stops_early_ends_the_feed() -> None:
    assert asyncio.run(feed.consume(_chunks(*[b"x" * (1 << 20)] * 20), lambda stream: stream.read(1))) == b"x"


def test_a_reader_s_error_is_passed_on() -> None:
    def fail(stream: feed.Feed) -> bytes:
        raise InvalidRequest("no tar")

    with pytest.raises(InvalidRequest, match="no tar"):
        asyncio.run(feed.consume(_chunks(b"abc"), fail))


def test_a_sender_that_breaks_off_is_never_taken_as_whole() -> None:
    seen: list[str] = []

    async def broken() -> AsyncIterator[bytes]:
        yield b"abc"
        raise ConnectionResetError

    def work(stream: feed.Feed) -> bytes:
        try:
            return _all(stream)
        except feed.Cut:
            seen.append("cut")
            raise

    with pytest.raises(ConnectionResetError):
        asyncio.run(feed.consume(broken(), work))
    assert seen == ["cut"]


def test_a_filter_of_a_closed_list_takes_no_other_value() -> None:
    filters.only({"status": ["running"]}, "status", ("running", "exited"))
    filters.only({}, "status", ("running",))
    with pytest.raises(InvalidRequest, match="invalid filter 'status=nonsense'"):
        filters.only({"status": ["running", "nonsense"]}, "status", ("running",))
