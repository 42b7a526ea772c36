"""Events: Docker's, kept as a ring on disk in the transaction of the change that they tell of.

with events.change() as change:      one transaction
    change.db.set_state(id, state)
    change.event("container", "die", id, attributes)
                                     committed: followers see it now
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager

import msgspec
from msgspec import Struct

from .state import Database

RING = 2048
"""Events kept. The ring on disk is shortened in steps, so it may hold a quarter more."""


class Event(Struct, frozen=True):
    """``seq`` grows by one with each event and survives restarts; ``time`` in ns since the epoch."""

    seq: int
    time: int
    type: str
    action: str
    id: str
    attributes: dict[str, str] = {}


class Change:
    """One transaction in the making: write through ``db``, tell through ``event``."""

    def __init__(self, db: Database, seq: int) -> None:
        self.db = db
        self.events: list[Event] = []
        self._seq = seq

    def event(self, type: str, action: str, id: str, attributes: dict[str, str], *, time_ns: int = 0) -> None:
        """Tell of one event. ``time_ns``: when it happened, if not now."""
        self._seq += 1
        event = Event(self._seq, time_ns or time.time_ns(), type, action, id, attributes)
        self.db.add_event(event.seq, event)
        self.events.append(event)


class Events:
    """The ring, and whoever follows it."""

    def __init__(self, db: Database) -> None:
        self._db = db
        decode = msgspec.json.Decoder(Event).decode
        self._ring: deque[Event] = deque((decode(row) for row in db.events()), RING)
        self._wake: set[asyncio.Event] = set()

    @property
    def last(self) -> int:
        """The number of the newest event, 0 if there never was one."""
        return self._ring[-1].seq if self._ring else 0

    @contextmanager
    def change(self, *, ends: bool = False) -> Iterator[Change]:
        """One transaction; its events reach followers once it is committed. ``ends``: of what ends or goes, which must
        be possible on a full disk too."""
        change = Change(self._db, self.last)
        if ends:
            self._db.reserve.spend()
        with self._db.transaction():
            yield change
            if change.events and change.events[-1].seq % (RING // 4) == 0:
                self._db.drop_events(change.events[-1].seq - RING)
        if change.events:
            self._ring.extend(change.events)
            for wake in self._wake:
                wake.set()

    def refill(self) -> None:
        """Something was removed: there may be room again for what is kept free."""
        self._db.reserve.fill()

    def since(self, time_ns: int) -> int:
        """The number of the last event before ``time_ns``: where a follower begins."""
        for event in self._ring:
            if event.time >= time_ns:
                return event.seq - 1
        return self.last

    def after(self, seq: int) -> list[Event]:
        """The events kept that are newer than number ``seq``."""
        if not self._ring or seq >= self.last:
            return []
        skip = max(0, seq + 1 - self._ring[0].seq)
        return [self._ring[index] for index in range(skip, len(self._ring))]

    async def follow(self, seq: int, until_ns: int | None) -> AsyncIterator[list[Event]]:
        """Batches of events newer than ``seq``, as they come; ends at ``until_ns``, or never."""
        wake = asyncio.Event()
        self._wake.add(wake)
        try:
            while True:
                batch = self.after(seq)
                if batch:
                    seq = batch[-1].seq
                    yield [event for event in batch if until_ns is None or event.time <= until_ns]
                if not await _woken(wake, until_ns):
                    return
        finally:
            self._wake.discard(wake)


async def _woken(wake: asyncio.Event, until_ns: int | None) -> bool:
    """Wait for news; False once ``until_ns`` has passed."""
    wait = None if until_ns is None else (until_ns - time.time_ns()) / 1e9
    if wait is not None and wait <= 0:
        return False
    try:
        await asyncio.wait_for(wake.wait(), wait)
    except TimeoutError:
        return False
    wake.clear()
    return True
