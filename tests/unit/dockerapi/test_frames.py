"""Docker's stream framing."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proa.dockerapi import frames


def test_head_is_docker_s_eight_bytes() -> None:
    assert frames.pack(frames.STDERR, b"abc") == b"\x02\0\0\0\0\0\0\x03abc"


@given(st.lists(st.tuples(st.integers(0, 3), st.binary(min_size=1, max_size=40)), max_size=8), st.integers(1, 17))
def test_any_cut_gives_the_same_streams(pieces: list[tuple[int, bytes]], step: int) -> None:
    wire = b"".join(frames.pack(kind, data) for kind, data in pieces)
    demultiplexer = frames.Demultiplexer()
    seen: dict[int, bytes] = {}
    for start in range(0, len(wire), step):
        for kind, data in demultiplexer.feed(wire[start : start + step]):
            seen[kind] = seen.get(kind, b"") + data
    wanted: dict[int, bytes] = {}
    for kind, data in pieces:
        wanted[kind] = wanted.get(kind, b"") + data
    assert seen == wanted
    assert demultiplexer.whole


def test_a_broken_off_stream_is_seen() -> None:
    demultiplexer = frames.Demultiplexer()
    demultiplexer.feed(frames.pack(1, b"abc")[:-1])
    assert not demultiplexer.whole


@pytest.mark.parametrize("wire", [b"\x04\0\0\0\0\0\0\x01x", b"\x01\1\0\0\0\0\0\x01x", b"\x01\0\0\0\xff\xff\xff\xffx"])
def test_what_is_no_frame_is_refused(wire: bytes) -> None:
    with pytest.raises(frames.BrokenFrame):
        frames.Demultiplexer().feed(wire)
