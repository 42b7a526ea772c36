"""Which records come after a break: by time, and by number among those of one time."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any

import pytest

from proa.cli import again
from proa.cli.following import Following
from proa.client.wire import closed
from proa.dockerapi.frames import STAMPED, pack
from proa.errors import EngineGone, NotFound

A, B, C = b"2026-01-02T00:00:00.000000001Z", b"2026-01-02T00:00:00.000000002Z", b"2026-01-02T00:00:00.000000003Z"


class Answer:
    def __init__(self, *pieces: bytes | Exception, kind: str = STAMPED) -> None:
        self.headers = {"content-type": kind}
        self._pieces = pieces

    def pieces(self) -> Iterator[bytes]:
        for piece in self._pieces:
            if isinstance(piece, Exception):
                raise piece
            yield piece


class Engine:
    """Answers in order; an exception is raised instead."""

    def __init__(self, *answers: Answer | Exception) -> None:
        self.answers = list(answers)
        self.asked: list[str] = []
        self.started: list[bool] = []
        self.host = type("Host", (), {"socket": "/nonexistent"})()

    def open(self, _method: str, target: str, start: bool = True) -> Answer:
        self.asked.append(target.partition("?")[2])
        self.started.append(start)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


@pytest.fixture(autouse=True)
def _at_once(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(again, "_PAUSE", 0.0)


def frame(stamp: bytes, text: bytes, kind: int = 1) -> bytes:
    return pack(kind, stamp + b" " + text)


def followed(engine: Engine, **query: Any) -> list[tuple[int, bytes, bytes]]:
    following = Following(engine, "/containers/c/logs", {"follow": True, **query})  # type: ignore[arg-type]
    return [record for found in following.records() for record in found]


def test_as_many_of_one_time_are_left_out_as_were_seen() -> None:
    whole = [frame(A, b"1\n"), frame(B, b"2\n"), frame(B, b"3\n", 2), frame(B, b"2\n"), frame(C, b"5\n")]
    for cut in range(len(b"".join(whole[:4])) + 1):
        engine = Engine(
            Answer(b"".join(whole)[:cut], closed()),
            Answer(b"".join(whole[0 if cut < len(whole[0] + whole[1]) else 1 :])),
        )
        assert [text for _, _, text in followed(engine)] == [b"1\n", b"2\n", b"3\n", b"2\n", b"5\n"], cut


def test_it_dies_twice_at_the_same_time() -> None:
    engine = Engine(
        Answer(frame(A, b"1"), frame(A, b"2"), closed()),
        EngineGone("no", code="no-engine"),
        Answer(frame(A, b"1"), closed()),
        Answer(frame(A, b"1"), frame(A, b"2"), frame(A, b"3"), closed()),
        Answer(frame(A, b"1"), frame(A, b"2"), frame(A, b"3"), frame(B, b"4")),
    )
    assert [text for _, _, text in followed(engine, tail="7")] == [b"1", b"2", b"3", b"4"]
    assert "tail=7" in engine.asked[0] and "since" not in engine.asked[0]
    assert all("tail" not in asked and f"since={A.decode()}" in asked for asked in engine.asked[1:])
    assert engine.started == [True, False, False, False, False]  # its socket is gone: it was told to stop


def test_a_tail_of_nothing_goes_on_from_the_beginning_of_the_following() -> None:
    engine = Engine(Answer(closed()), Answer(frame(A, b"1")))
    assert [text for _, _, text in followed(engine, tail="0")] == [b"1"]
    assert "since=1" in engine.asked[1] and "tail" not in engine.asked[1]


def test_the_log_is_gone() -> None:
    engine = Engine(Answer(frame(A, b"1"), closed()), NotFound("No such container: c"))
    assert [text for _, _, text in followed(engine)] == [b"1"]


def test_nobody_waits_beyond_the_end() -> None:
    engine = Engine(Answer(frame(A, b"1"), closed()), *[EngineGone("no", code="no-engine")] * 9)
    assert [text for _, _, text in followed(engine, until="5.0")] == [b"1"]


def test_an_engine_that_cannot_start_is_told() -> None:
    engine = Engine(Answer(closed()), EngineGone("broken", code="engine-start"))
    with pytest.raises(EngineGone, match="broken"):
        followed(engine)


def test_another_engine_s_plain_answer() -> None:
    engine = Engine(Answer(b"x", kind="application/vnd.docker.raw-stream"))
    following = Following(engine, "/containers/c/logs", {"follow": True})  # type: ignore[arg-type]
    assert not following.stamped
