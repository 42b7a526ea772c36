"""Detach keys: parsing, and detection across reads."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proa.hull import detach


@pytest.mark.parametrize(
    ("text", "keys"),
    [
        ("", b""),
        ("ctrl-p,ctrl-q", b"\x10\x11"),
        ("a", b"a"),
        ("ctrl-a,b,ctrl-_", b"\x01b\x1f"),
        ("ctrl-@,ctrl-[,ctrl-\\,ctrl-],ctrl-^", b"\x00\x1b\x1c\x1d\x1e"),
        ("ctrl-P", b"\x10"),
    ],
)
def test_parse(text: str, keys: bytes) -> None:
    assert detach.parse(text) == keys


@pytest.mark.parametrize("text", ["ctrl-", "ctrl-1", "ab", "a,,b", "é"])
def test_parse_refuses(text: str) -> None:
    with pytest.raises(ValueError, match="Unknown character"):
        detach.parse(text)


def feed(keys: bytes, *reads: bytes) -> tuple[bytes, bool]:
    detector, out = detach.Detector(keys), b""
    for read in reads:
        forward, detached = detector.feed(read)
        out += forward
        if detached:
            return out, True
    return out + detector.rest(), False


@pytest.mark.parametrize(
    ("reads", "result"),
    [
        ((b"hello",), (b"hello", False)),
        ((b"ab\x10\x11cd",), (b"ab", True)),
        ((b"ab\x10", b"\x11"), (b"ab", True)),
        ((b"\x10a\x10\x11",), (b"\x10a", True)),
        ((b"\x10\x10\x11",), (b"\x10", True)),
        ((b"\x10", b"x"), (b"\x10x", False)),
        ((b"\x10",), (b"\x10", False)),
        ((b"\x11\x10",), (b"\x11\x10", False)),
    ],
)
def test_detector(reads: tuple[bytes, ...], result: tuple[bytes, bool]) -> None:
    assert feed(b"\x10\x11", *reads) == result


def test_one_key_and_no_key() -> None:
    assert feed(b"q", b"abq") == (b"ab", True)
    assert feed(b"", b"\x10\x11") == (b"\x10\x11", False)


@given(st.lists(st.binary(max_size=8)), st.sampled_from([b"\x10\x11", b"aab", b"aba", b"a"]))
def test_nothing_is_lost_and_keys_are_found(reads: list[bytes], keys: bytes) -> None:
    whole = b"".join(reads)
    out, detached = feed(keys, *reads)
    if detached:
        assert whole.startswith(out + keys)
        assert keys in whole
    else:
        assert out == whole
        assert keys not in whole


@given(
    st.lists(st.sampled_from([b"a", b"b", b"\x10", b"\x11", b"c"]), max_size=30),
    st.sampled_from([b"aab", b"aba", b"abab"]),
)
def test_overlapping_keys(reads: list[bytes], keys: bytes) -> None:
    whole = b"".join(reads)
    out, detached = feed(keys, *reads)
    assert detached == (keys in whole)
    if detached:
        assert out == whole[: whole.index(keys)]
    else:
        assert out == whole
