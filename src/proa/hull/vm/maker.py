"""Who makes templates: the program ``template``, one a template, as the engine sees it.

argv    a Recipe as JSON, the number of an empty memfd of the machine's size
stdout  one line: {directory, meta, fresh} as soon as machines can be restored from it, or {error, code, next}
        fresh: from that memfd, which is sealed now; the program then writes it to the directory, and ends
stdin   closed: whoever wanted the template is gone
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
from typing import Any, NamedTuple

from ... import NAME, program
from ...errors import HostCannot, Internal
from . import memory
from .recipe import Meta, Recipe

SECONDS = 600.0


class Loaded(NamedTuple):
    """A template. ``fd``: its memory, a sealed memfd; -1: not loaded yet."""

    directory: str
    meta: Meta
    fd: int


class Makers:
    """The programs that run."""

    def __init__(self) -> None:
        self._writing: dict[str, asyncio.subprocess.Process] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    async def make(self, recipe: Recipe) -> Loaded:
        """Have it made; one that somebody else just made is not loaded. Raises HostCannot, Internal, OSError."""
        ram = memory.create(recipe.memory << 20)
        try:
            directory, meta, fresh = await self._make(recipe, ram)
        except BaseException:
            os.close(ram)
            raise
        if fresh:
            return Loaded(directory, meta, ram)
        os.close(ram)
        return Loaded(directory, meta, -1)

    def writing(self, directory: str) -> bool:
        """Whether that template is not on the disk yet."""
        return directory in self._writing

    def close(self) -> None:
        """End them: what is not on the disk yet is made anew another time."""
        for child in self._writing.values():
            with contextlib.suppress(ProcessLookupError):
                child.kill()

    async def _make(self, recipe: Recipe, ram: int) -> tuple[str, Meta, bool]:
        argv = program.argv("hull.vm.template", recipe.dump(), str(ram))
        pipe = asyncio.subprocess.PIPE
        child = await asyncio.create_subprocess_exec(*argv, stdin=pipe, stdout=pipe, env={}, pass_fds=(ram,))
        task = asyncio.ensure_future(self._ended(child))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)
        try:
            assert child.stdout is not None
            directory, meta, fresh = _answer(await asyncio.wait_for(child.stdout.readline(), SECONDS))
            if fresh and not memory.sealed(ram):
                raise Internal("a template's memory is not sealed", code="template-damaged", input=directory)
        except BaseException:
            if child.returncode is None:
                child.kill()
            raise
        if child.returncode is None:
            self._writing[directory] = child
        return directory, meta, fresh

    async def _ended(self, child: asyncio.subprocess.Process) -> None:
        await child.wait()
        self._writing = {directory: other for directory, other in self._writing.items() if other is not child}


def _answer(line: bytes) -> tuple[str, Meta, bool]:
    answer: dict[str, Any] = json.loads(line) if line.strip() else {"error": "the program that makes templates died"}
    if "error" in answer:
        raise HostCannot(
            str(answer["error"]),
            hull="vm",
            missing="template",
            code=answer.get("code") or "template-failed",
            next_step=answer.get("next") or f"{NAME} doctor --isolation vm",
        )
    return answer["directory"], Meta(**answer["meta"]), bool(answer["fresh"])
