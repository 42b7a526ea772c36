"""state.db: transactions, versions, what cannot be written."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import time
from pathlib import Path

import pytest

from proa.dockerapi.containers import Config, HostConfig
from proa.engine import state
from proa.engine.events import RING, Events
from proa.engine.records import Record, State
from proa.engine.state import Database
from proa.errors import HostCannot


def record(id: str) -> Record:
    return Record(
        id=id, created=1, hull="container", image="i", image_id="sha256:1", config=Config(), host=HostConfig()
    )


@pytest.fixture
def path(tmp_path: Path) -> str:
    return str(tmp_path / "state.db")


def test_what_was_written_is_read_again(path: str) -> None:
    db = Database(path)
    with db.transaction():
        db.add_container("one", record("a" * 64), State(exit_code=3))
    db.close()
    assert Database(path).containers() == [("one", record("a" * 64), State(exit_code=3))]
    assert os.stat(path).st_mode & 0o077 == 0


def test_names_and_ids_are_unique(path: str) -> None:
    db = Database(path)
    with db.transaction():
        db.add_container("one", record("a"), State())
    for name, id in (("one", "b"), ("two", "a")):
        with pytest.raises(sqlite3.IntegrityError), db.transaction():
            db.add_container(name, record(id), State())
    assert len(db.containers()) == 1
    db.close()


def test_a_failure_undoes_the_whole_transaction(path: str) -> None:
    db = Database(path)
    with pytest.raises(ZeroDivisionError), db.transaction():
        db.add_container("one", record("a"), State())
        _ = 1 / 0
    assert db.containers() == []
    db.close()


def test_a_newer_state_is_refused_and_left_alone(path: str) -> None:
    Database(path).close()
    raw = sqlite3.connect(path)
    raw.execute(f"PRAGMA user_version={state.VERSION + 1}")
    raw.close()
    with pytest.raises(HostCannot, match="newer version") as caught:
        Database(path)
    assert caught.value.code == "state-newer"
    raw = sqlite3.connect(path)
    assert raw.execute("PRAGMA user_version").fetchone() == (state.VERSION + 1,)
    raw.close()


def test_what_is_no_database_is_refused(path: str) -> None:
    Path(path).write_bytes(b"no database at all" * 100)
    with pytest.raises(Exception, match="state database") as caught:
        Database(path)
    assert getattr(caught.value, "code", "") == "state-broken"


def test_no_sync_on_the_way_and_the_log_moves_when_idle(path: str) -> None:
    db = Database(path)
    with db.transaction():
        db.add_container("one", record("a"), State())
    assert os.path.getsize(path + "-wal") > 0
    state.checkpoint(path)
    with db.transaction():
        db.set_state("a", State(exit_code=1))
    assert db.containers()[0][2].exit_code == 1
    db.close()


def test_events_are_a_ring_with_numbers_that_go_on(path: str) -> None:
    async def run() -> None:
        db = Database(path)
        events = Events(db)
        for number in range(RING + RING // 2):
            with events.change() as change:
                change.event("container", "start", str(number), {})
        assert events.last == RING + RING // 2
        kept = events.after(0)
        assert len(kept) == RING
        assert [event.seq for event in kept] == list(range(events.last - RING + 1, events.last + 1))
        assert RING <= len(db.events()) <= RING + RING // 4
        db.close()
        again = Events(Database(path))
        assert again.last == events.last
        assert again.after(again.last - 1)[0].id == str(RING + RING // 2 - 1)

    asyncio.run(run())


def test_an_event_of_a_failed_change_never_was(path: str) -> None:
    async def run() -> None:
        events = Events(Database(path))
        with pytest.raises(ZeroDivisionError), events.change() as change:
            change.event("container", "start", "x", {})
            _ = 1 / 0
        assert events.after(0) == []
        with events.change() as change:
            change.event("container", "die", "x", {})
        assert [event.seq for event in events.after(0)] == [1]

    asyncio.run(run())


def test_followers_see_past_and_future_until_their_end(path: str) -> None:
    async def run() -> None:
        events = Events(Database(path))
        with events.change() as change:
            change.event("container", "create", "x", {})
        seen: list[str] = []

        async def follow() -> None:
            async for batch in events.follow(0, time.time_ns() + 300_000_000):
                seen.extend(event.action for event in batch)

        task = asyncio.ensure_future(follow())
        await asyncio.sleep(0.02)
        assert seen == ["create"]
        with events.change() as change:
            change.event("container", "start", "x", {})
        await asyncio.sleep(0.02)
        assert seen == ["create", "start"]
        await asyncio.wait_for(task, 5)

    asyncio.run(run())


def test_since_finds_where_to_begin(path: str) -> None:
    async def run() -> None:
        events = Events(Database(path))
        for moment in (10, 20, 30):
            with events.change() as change:
                change.event("container", "start", "x", {}, time_ns=moment)
        assert [events.since(moment) for moment in (5, 20, 21, 31)] == [0, 1, 2, 3]

    asyncio.run(run())
