"""Execs over a fake hull."""

from __future__ import annotations

import asyncio
import socket
from pathlib import Path

import pytest

from proa.dockerapi.execs import ExecCreate
from proa.engine.wiring import Engine
from proa.errors import Conflict, InvalidRequest, NotFound
from proa.hull.contract import Refused

from .fakes import FakeHull, body, running
from .test_lifecycle import actions, play

CREATE = ExecCreate(cmd=["ls", "-l"], attach_stdout=True, env=["A=1"], user="7", working_dir="/tmp")


def test_an_exec_s_life(tmp_path: Path) -> None:
    async def story(engine: Engine, hull: FakeHull) -> None:
        container, _ = await engine.containers.create("", body(Env=["A=0", "B=2"]))
        with pytest.raises(Conflict, match="is not running"):
            engine.execs.create(container, CREATE)
        await engine.containers.life.start(container)
        exec = engine.execs.create(container, CREATE)
        await engine.execs.start(exec.id, None)
        process = hull.handles[container.id].execs[exec.id]["process"]
        assert process["args"] == ["ls", "-l"]
        assert process["cwd"] == "/tmp"
        assert process["user"]["username"] == "7"
        assert set(process["env"]) >= {"A=1", "B=2"} and "A=0" not in process["env"]
        assert (engine.execs.find(exec.id).running, engine.execs.find(exec.id).pid) == (True, 77)
        assert engine.execs.of(container) == [exec.id]
        hull.listener(hull.handles[container.id], {"op": "exec-exited", "exec": exec.id, "status": 4})
        found = engine.execs.find(exec.id)
        assert (found.running, found.status) == (False, 4)
        with pytest.raises(Conflict, match="has already run"):
            await engine.execs.start(exec.id, None)
        assert actions(engine)[-3:] == ["exec_create: ls -l", "exec_start: ls -l", "exec_die"]
        await engine.containers.life.remove(container, force=True)
        with pytest.raises(NotFound, match="No such exec instance"):
            engine.execs.find(exec.id)

    play(tmp_path, story)


def test_what_cannot_run_is_told_on_the_stream(tmp_path: Path) -> None:
    async def story(engine: Engine, hull: FakeHull) -> None:
        container, _ = await engine.containers.create("", body())
        await engine.containers.life.start(container)
        hull.refuse_exec = Refused("not-found", 'exec: "ls": executable file not found in $PATH')
        exec = engine.execs.create(container, CREATE)
        ours, theirs = socket.socketpair()
        await engine.execs.start(exec.id, theirs.detach(), mux=True)
        said = ours.recv(1000)
        assert said[:4] == b"\1\0\0\0"
        assert said[8:].endswith(b"executable file not found in $PATH: unknown\r\n")
        assert ours.recv(1) == b""
        ours.close()
        assert engine.execs.find(exec.id).status == 127

    play(tmp_path, story)


def test_the_end_of_the_program_ends_its_execs(tmp_path: Path) -> None:
    async def story(engine: Engine, hull: FakeHull) -> None:
        container, _ = await engine.containers.create("", body())
        await engine.containers.life.start(container)
        exec = engine.execs.create(container, CREATE)
        await engine.execs.start(exec.id, None)
        wait = engine.containers.waiter(container, "not-running")
        hull.handles[container.id].end(0)
        await wait
        assert engine.execs.find(exec.id).status == 137

    play(tmp_path, story)


def test_bad_execs(tmp_path: Path) -> None:
    async def story(engine: Engine, hull: FakeHull) -> None:
        container, _ = await engine.containers.create("", body())
        await engine.containers.life.start(container)
        with pytest.raises(InvalidRequest, match="No exec command specified"):
            engine.execs.create(container, ExecCreate())
        with pytest.raises(InvalidRequest, match="NUL"):
            engine.execs.create(container, ExecCreate(cmd=["a\0b"]))

    play(tmp_path, story)


def test_ended_execs_do_not_pile_up(tmp_path: Path) -> None:
    async def run() -> None:
        async with running(tmp_path) as (engine, hull):
            container, _ = await engine.containers.create("", body())
            await engine.containers.life.start(container)
            for _ in range(200):
                exec = engine.execs.create(container, CREATE)
                await engine.execs.start(exec.id, None)
                hull.listener(hull.handles[container.id], {"op": "exec-exited", "exec": exec.id, "status": 0})
            assert len(engine.db.execs()) <= 65
            assert engine.execs.find(exec.id).status == 0

    asyncio.run(run())


def test_an_exec_that_was_never_handed_on_has_not_run(tmp_path: Path) -> None:
    async def story(engine: Engine, hull: FakeHull) -> None:
        container, _ = await engine.containers.create("", body())
        await engine.containers.life.start(container)
        lost, ended, runs = [engine.execs.create(container, CREATE).id for _ in range(3)]
        for id in (lost, ended, runs):
            await engine.execs.start(id, None)
        before = len(actions(engine))
        states = {ended: {"running": False, "status": 3}, runs: {"running": True, "status": 0}}
        engine.execs.adopted(container, states)
        assert (engine.execs.find(lost).status, engine.execs.find(lost).started) == (None, False)
        assert (engine.execs.find(ended).status, engine.execs.find(runs).running) == (3, True)
        assert actions(engine)[before:] == ["exec_die"]
        await engine.execs.start(lost, None)
        engine.execs.adopted(container, {}, complete=False)
        assert engine.execs.find(lost).status == engine.execs.find(runs).status == 137

    play(tmp_path, story)
