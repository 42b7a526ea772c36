"""Work that goes on beside requests: watching what runs, emptying what was removed."""

from __future__ import annotations

import asyncio
import sys
import traceback
from collections.abc import Coroutine
from typing import Any


class Tasks:
    """Holds on to tasks until they are done; a failure is logged, never lost."""

    def __init__(self) -> None:
        self._tasks: set[asyncio.Task[Any]] = set()

    def start(self, work: Coroutine[Any, Any, Any]) -> asyncio.Task[Any]:
        """Run ``work`` beside."""
        task = asyncio.get_running_loop().create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._done)
        return task

    def _done(self, task: asyncio.Task[Any]) -> None:
        self._tasks.discard(task)
        if not task.cancelled() and (problem := task.exception()) is not None:
            traceback.print_exception(problem, file=sys.stderr)

    async def settle(self, seconds: float, endless: set[asyncio.Task[Any]]) -> None:
        """Before the engine ends: let work finish for ``seconds``, but for ``endless``, then cancel what is left."""
        rest = self._tasks - endless
        if rest:
            await asyncio.wait(rest, timeout=seconds)
        left = list(self._tasks)
        for task in left:
            task.cancel()
        await asyncio.gather(*left, return_exceptions=True)
