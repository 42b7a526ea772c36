"""Reading json-file logs: tail, moments, rotation, following."""

from __future__ import annotations

import asyncio
import threading
from pathlib import Path

import pytest

from proa.dockerapi import frames
from proa.engine import logs
from proa.engine.times import rfc3339_nine
from proa.hull import log as writer

SECOND = 1_000_000_000


def line(text: str, stream: str = "stdout", at: int = 1) -> str:
    return f'{{"log":"{text}\\n","stream":"{stream}","time":"{rfc3339_nine(at * SECOND)}"}}\n'


@pytest.fixture
def path(tmp_path: Path) -> Path:
    found = tmp_path / "x-json.log"
    found.write_text("".join(line(f"n{number}", at=number) for number in range(1, 6)) + line("bad", "stderr", 6))
    return found


def read(path: Path, query: logs.Query) -> bytes:
    async def run() -> bytes:
        return b"".join([piece async for piece in logs.read(str(path), query, lambda: False)])

    return asyncio.run(run())


def raw(path: Path, **fields: object) -> list[str]:
    return read(path, logs.Query(mux=False, **fields)).decode().splitlines()  # type: ignore[arg-type]


def test_everything(path: Path) -> None:
    assert raw(path) == ["n1", "n2", "n3", "n4", "n5", "bad"]


@pytest.mark.parametrize(
    ("tail", "wanted"), [(0, []), (1, ["bad"]), (3, ["n4", "n5", "bad"]), (6, 6), (99, 6), (-1, 6)]
)
def test_tail(path: Path, tail: int, wanted: list[str] | int) -> None:
    found = raw(path, tail=tail)
    assert len(found) == wanted if isinstance(wanted, int) else found == wanted


def test_streams_and_moments(path: Path) -> None:
    assert raw(path, stdout=False) == ["bad"]
    assert raw(path, stderr=False, since=3 * SECOND, until=4 * SECOND) == ["n3", "n4"]
    assert raw(path, tail=1, timestamps=True) == ["1970-01-01T00:00:06.000000000Z bad"]


def test_frames(path: Path) -> None:
    pieces = frames.Demultiplexer().feed(read(path, logs.Query(tail=2)))
    assert pieces == [(1, b"n5\n"), (2, b"bad\n")]


def test_rotated_files_are_one_log(path: Path) -> None:
    path.rename(str(path) + ".2")
    (path.parent / (path.name + ".1")).write_text(line("older"))
    path.write_text(line("newest"))
    assert raw(path, tail=3) == ["bad", "older", "newest"]
    assert len(raw(path)) == 8


def test_no_log_at_all(tmp_path: Path) -> None:
    assert raw(tmp_path / "none") == []


def test_a_line_cut_by_a_crash_is_left_out(path: Path) -> None:
    with path.open("a") as file:
        file.write('{"log":"hal\n' + line("whole") + '{"log":"no newline yet')
    assert raw(path, tail=3)[-1] == "whole"


def test_bytes_come_back_as_they_were(tmp_path: Path) -> None:
    path = tmp_path / "x-json.log"
    log = writer.JsonLog({"path": str(path), "max_size": 1 << 20, "max_file": 2})
    data = bytes(range(256)) * 300 + b"end"
    log.write(1, data)
    log.flush()
    assert read(path, logs.Query(mux=False)) == data


def test_following_through_rotations_loses_nothing(tmp_path: Path) -> None:
    path = tmp_path / "x-json.log"

    async def run() -> None:
        log = writer.JsonLog({"path": str(path), "max_size": 2000, "max_file": 3})
        alive = True
        seen = b""

        async def follow() -> None:
            nonlocal seen
            async for piece in logs.read(str(path), logs.Query(mux=False, follow=True), lambda: alive):
                seen += piece

        task = asyncio.ensure_future(follow())
        wanted = b""
        for number in range(300):
            text = b"line %d\n" % number
            log.write(1, text)
            wanted += text
            if number % 30 == 0:
                await asyncio.sleep(0.05)
        await asyncio.sleep(0.1)
        assert not task.done()
        log.write(1, b"last without newline")
        log.flush()
        alive = False
        await asyncio.wait_for(task, 5)
        assert seen == wanted + b"last without newline"

    asyncio.run(run())


def test_following_waits_for_the_first_line(tmp_path: Path) -> None:
    path = tmp_path / "x-json.log"

    async def run() -> None:
        alive = True
        pieces: list[bytes] = []

        async def follow() -> None:
            async for piece in logs.read(str(path), logs.Query(mux=False, follow=True, tail=0), lambda: alive):
                pieces.append(piece)

        task = asyncio.ensure_future(follow())
        await asyncio.sleep(0.05)
        path.write_text(line("first"))
        for _ in range(100):
            await asyncio.sleep(0.01)
            if pieces:
                break
        assert pieces == [b"first\n"]
        alive = False
        await asyncio.wait_for(task, 5)

    asyncio.run(run())


def test_a_follower_that_leaves_lets_go_of_the_file(path: Path) -> None:
    async def run() -> None:
        stream = logs.read(str(path), logs.Query(follow=True), lambda: True)
        await anext(stream)
        task = asyncio.ensure_future(anext(stream))
        await asyncio.sleep(0.05)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        await stream.aclose()  # type: ignore[attr-defined]

    asyncio.run(run())


def test_a_reader_beside_a_writer_that_rotates_sees_each_line_once_and_in_order(tmp_path: Path) -> None:
    path = tmp_path / "x-json.log"
    stop = threading.Event()

    def write() -> None:
        log = writer.JsonLog({"path": str(path), "max_size": 1500, "max_file": 4})
        for number in range(20_000):
            log.write(1, b"%d\n" % number)
        stop.set()

    async def run() -> list[int]:
        thread = threading.Thread(target=write)
        thread.start()
        pieces = logs.read(str(path), logs.Query(mux=False, follow=True), lambda: not stop.is_set())
        seen = b"".join([piece async for piece in pieces])
        thread.join()
        return [int(line) for line in seen.split()]

    numbers = asyncio.run(asyncio.wait_for(run(), 60))
    assert numbers == sorted(set(numbers))  # what was rotated away before it was read may lack, nothing comes twice
    assert numbers[-1] == 19_999
