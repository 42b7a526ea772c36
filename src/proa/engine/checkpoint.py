"""What is done when nobody waits, never on the path of a request: moving SQLite's log into the database, and what else
the wiring hands in."""

from __future__ import annotations

import asyncio
import sqlite3
import sys
import traceback
from collections.abc import Awaitable, Callable
from typing import TYPE_CHECKING

from . import state

if TYPE_CHECKING:
    from .state import Database

QUIET_SECONDS = 2.0
WRITES_MAX = 2000
"""Transactions after which the log is moved although it is not quiet: it must not grow without end."""


class Idle:
    """Watches an open database's writes. ``first`` is done once, shortly after the start; ``then`` behind each
    checkpoint."""

    def __init__(self, db: Database, first: Callable[[], Awaitable[None]], then: Callable[[], Awaitable[None]]) -> None:
        self._db = db
        self._first = first
        self._then = then
        self._writes = 0
        self._wake = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """From now on."""
        self._db.on_write = self._wrote
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """No more."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.wait({self._task})

    def _wrote(self) -> None:
        self._writes += 1
        self._wake.set()

    async def _run(self) -> None:
        await asyncio.sleep(QUIET_SECONDS)
        await _done(self._first)
        await _done(self._then)
        while True:
            await self._wake.wait()
            await self._quiet()
            self._writes = 0
            self._wake.clear()
            try:
                await asyncio.to_thread(state.checkpoint, self._db.path)
            except sqlite3.Error as problem:  # a full disk: the log stays, the next quiet time tries again
                print(f"checkpoint: {problem}", file=sys.stderr)
            await _done(self._then)

    async def _quiet(self) -> None:
        """Until nothing was written for a while, or too much was."""
        seen = -1
        while seen != self._writes and self._writes < WRITES_MAX:
            seen = self._writes
            await asyncio.sleep(QUIET_SECONDS)


async def _done(work: Callable[[], Awaitable[None]]) -> None:
    """Do it; what goes wrong is logged."""
    try:
        await work()
    except Exception:  # whatever it is: checkpoints must go on
        traceback.print_exc()
