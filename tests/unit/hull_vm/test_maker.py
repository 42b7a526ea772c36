"""The engine's side of a template's making, with other programs in the maker's place."""

from __future__ import annotations

import asyncio
import os
import sys
from collections.abc import Callable, Coroutine
from pathlib import Path
from typing import Any

import pytest

from proa import program
from proa.errors import HostCannot, Internal
from proa.hull.vm import maker, memory
from proa.hull.vm.parts import Kernel, Qemu
from proa.hull.vm.recipe import Recipe

RECIPE = Recipe(
    qemu=Qemu(("/usr/bin/true",), (), "/usr/bin/true", "id", (), "host"),
    kernel=Kernel("/k/vmlinuz", "/k/modules", "6.1", "host"),
    cpus=1,
    memory=8,
    accelerator="tcg",
    cache="/nowhere",
    host="",
    may={"mknod": False, "mount": False, "cgroup": False, "setuid": False},
)
META = dict.fromkeys(maker.Meta._fields, 0)
SAY = f"import json, sys; sys.path.append({program.SITE!r}); from proa.hull.vm import memory; ram = int(sys.argv[2])\n"


def told(fresh: bool) -> str:
    return f"print(json.dumps({{'directory': '/t/key', 'meta': {META!r}, 'fresh': {fresh}}}), flush=True)\n"


Play = Callable[[str, Callable[[maker.Makers], Coroutine[Any, Any, None]]], None]


@pytest.fixture
def play(monkeypatch: pytest.MonkeyPatch) -> Play:
    """Run a coroutine with makers that run a script."""

    def run(script: str, coroutine: Callable[[maker.Makers], Coroutine[Any, Any, None]]) -> None:
        monkeypatch.setattr(program, "argv", lambda _module, *args: [sys.executable, "-c", SAY + script, *args])
        asyncio.run(_whole(coroutine))

    return run


async def _whole(coroutine: Callable[[maker.Makers], Coroutine[Any, Any, None]]) -> None:
    makers = maker.Makers()
    await coroutine(makers)
    await until(lambda: not makers._tasks)


def open_files() -> int:
    return len(os.listdir("/proc/self/fd"))


async def until(condition: Callable[[], bool]) -> None:
    async with asyncio.timeout(10):
        while not condition():
            await asyncio.sleep(0.01)


def test_machines_start_while_it_is_still_written(play: Play, tmp_path: Path) -> None:
    written = tmp_path / "written"
    script = "import os; os.pwrite(ram, b'memory', 0); memory.seal(ram)\n" + told(True)
    script += f"import time\nwhile not os.path.exists({str(written)!r}): time.sleep(.01)\n"

    async def story(makers: maker.Makers) -> None:
        loaded = await makers.make(RECIPE)
        assert loaded.directory == "/t/key" and makers.writing("/t/key")
        assert os.pread(loaded.fd, 6, 0) == b"memory" and os.fstat(loaded.fd).st_size == 8 << 20
        os.close(loaded.fd)
        written.touch()
        await until(lambda: not makers.writing("/t/key"))

    play(script, story)


def test_memory_that_is_not_sealed_is_refused(play: Play) -> None:
    async def story(makers: maker.Makers) -> None:
        before = open_files()
        with pytest.raises(Internal, match="sealed"):
            await makers.make(RECIPE)
        await until(lambda: open_files() <= before)

    play(told(True) + "input()", story)


def test_one_that_was_there_already_is_to_be_loaded(play: Play) -> None:
    async def story(makers: maker.Makers) -> None:
        loaded = await makers.make(RECIPE)
        assert (loaded.directory, loaded.fd) == ("/t/key", -1)

    play(told(False), story)


@pytest.mark.parametrize(
    ("script", "says"),
    [("", "died"), ("print(json.dumps({'error': 'panic', 'code': 'template-failed', 'next': ''}))", "panic")],
)
def test_a_maker_that_fails_is_told(play: Play, script: str, says: str) -> None:
    async def story(makers: maker.Makers) -> None:
        with pytest.raises(HostCannot, match=says) as failed:
            await makers.make(RECIPE)
        assert failed.value.code == "template-failed"

    play(script, story)


def test_none_outlives_its_engine(play: Play, tmp_path: Path) -> None:
    pid = tmp_path / "pid"
    script = f"import os; open({str(pid)!r}, 'w').write(str(os.getpid())); memory.seal(ram)\n" + told(True)

    async def story(makers: maker.Makers) -> None:
        loaded = await makers.make(RECIPE)
        os.close(loaded.fd)
        makers.close()
        await until(lambda: not os.path.exists(f"/proc/{pid.read_text()}"))
        makers.close()

    play(script + "import time; time.sleep(60)", story)


def test_sealing_is_all_or_nothing() -> None:
    fd = memory.create(4096)
    assert not memory.sealed(fd)
    memory.seal(fd)
    assert memory.sealed(fd)
    os.close(fd)
