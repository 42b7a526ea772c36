"""Deaths at moments that a random delay hardly hits; each is brought about by stopping a process there.

All are played on containers, those that say so on a VM too.
"""

from __future__ import annotations

import os
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from leaks import check
from support.box import IMAGE, Box, proa

from . import judge, processes
from .judge import Judge, numbered, script
from .plan import Round
from .player import Player

NAME = "moment"


@pytest.fixture(scope="module")
def shared(request: pytest.FixtureRequest, image_tar: Path) -> Iterator[Box]:
    before = set(check.pids())
    with proa(image_tar, "container") as box:
        status, body = box.api("GET", "/proa/v1/engine")
        assert status == 200
        yield replace(box, extra={"before": before, "engine": body["Id"]})


@pytest.fixture
def player(shared: Box) -> Iterator[Player]:
    """Someone who plays, in a calm engine; afterwards nothing is left."""
    player = Player(shared, Round(0, "moment", "engine", 7, 0, False))
    shared.until(lambda: shared.cli("version").code == 0, 5)
    shared.until(lambda: len(player.waiting()) == 2, 10)
    yield player
    player.close()
    assert judge.settled(shared) == []


def stop(*pids: int) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGSTOP)
        processes.until(lambda pid=pid: b"T" in Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2][:3], 5)  # type: ignore[misc]


def go_on(*pids: int) -> None:
    for pid in pids:
        os.kill(pid, signal.SIGCONT)


def create(player: Player, program: str) -> str:
    return player.box.cli("create", *player.flags, IMAGE, "sh", "-c", program).ok().text


def start_missed(player: Player, id: str) -> subprocess.Popen[bytes]:
    """The engine is killed after it has had the program started, before it is told so."""
    shims, engine = set(player.waiting()), player.engine()
    client = player.client("start", "-a", id)
    processes.appear(shims, 10)
    stop(engine)
    processes.until(lambda: player._logged(id), 10)
    return client


def test_the_engine_dies_before_the_shim_is_there(player: Player) -> None:
    """The shim was asked for and said no hello yet: the start is called off, the client asks again, all is said once."""
    id = create(player, script(7))
    waiting = player.waiting()
    stop(*waiting)
    client = player.client("start", "-a", id)
    player.box.until(lambda: (player.run / "containers" / id).is_dir(), 5)
    processes.kill(player.engine())
    time.sleep(0.5)  # the client has the next engine by now
    go_on(*[pid for pid in waiting if processes.parent(pid) >= 0])
    case = Judge(player.box, id, player.since, False, 7)
    case.client(player._finish(client))
    case.ended()


def test_start_and_end_are_both_missed(player: Player) -> None:
    """Recorded by the next engine: one start, one die, both times right; the client saw everything."""
    id = create(player, script(7))
    engine = player.engine()
    client = start_missed(player, id)
    processes.until(lambda: (player.run / "containers" / id / "exit").exists(), 30)
    time.sleep(0.7)
    processes.kill(engine)
    case = Judge(player.box, id, player.since, False, 7)
    case.client(player._finish(client))
    case.ended()


def test_a_start_is_missed_and_the_program_runs(player: Player) -> None:
    id = create(player, script(7, first="sleep 1;"))
    shims, engine = set(player.waiting()), player.engine()
    client = player.client("start", "-a", id)
    child = processes.appear(shims, 10)
    stop(engine)
    processes.until(lambda: processes.program(child) == "busybox", 10)
    processes.kill(engine)
    case = Judge(player.box, id, player.since, False, 7)
    case.client(player._finish(client))
    case.ended()


def test_a_second_run_is_called_off_and_begun_again(player: Player) -> None:
    """It has run before: neither is its old end taken for the new one, nor its old output shown again."""
    id = create(player, "echo line; exit 7")
    assert player._finish(player.client("start", "-a", id)).out == b"line\n"
    waiting = player.waiting()
    player.box.until(lambda: len(player.waiting()) == 2, 5)
    waiting = player.waiting()
    stop(*waiting)
    client = player.client("start", "-a", id)
    time.sleep(0.3)
    processes.kill(player.engine())
    time.sleep(0.5)
    go_on(*[pid for pid in waiting if processes.parent(pid) >= 0])
    seen = player._finish(client)
    assert (seen.code, seen.out) == (7, b"line\n")
    case = Judge(player.box, id, player.since, False, 7)
    assert case.log()[0] == ["line", "line"]
    assert case.told("die") == ["7", "7"]


def test_a_refused_start_that_nobody_heard_of_is_no_end(player: Player) -> None:
    id = player.box.cli("create", *player.flags, IMAGE, "/nowhere").ok().text
    shims, engine = set(player.waiting()), player.engine()
    client = player.client("start", "-a", id)
    processes.appear(shims, 10)
    stop(engine)
    processes.until(lambda: (player.run / "containers" / id / "exit").exists(), 10)
    processes.kill(engine)
    seen = player._finish(client)
    assert seen.code == 1 and b"no such file" in seen.err, seen
    case = Judge(player.box, id, player.since, False, 7)
    assert case.state("{{.State.Status}} {{.State.ExitCode}}") == "created 127"
    assert case.told("die") == case.told("start") == []


def test_an_exec_and_the_program_end_unseen(player: Player) -> None:
    """The exec's own exit code is told, not that of a killed one."""
    id = player.box.detached("--name", NAME, IMAGE, "sh", "-c", "sleep 1.5; exit 7")
    client = player.client("exec", id, "sh", "-c", "echo in; sleep 0.5; echo end; exit 5")
    assert client.stdout and client.stdout.readline() == b"in\n"
    stop(client.pid)
    processes.kill(player.engine())
    processes.until(lambda: (player.run / "containers" / id / "exit").exists(), 10)
    go_on(client.pid)
    seen = player._finish(client)
    assert (seen.code, seen.out) == (5, b"end\n")
    assert player.box.wait(id) == 7


def test_who_only_attached_is_shown_nothing_old(player: Player) -> None:
    id = player.box.detached("--name", NAME, IMAGE, "sh", "-c", "echo before; sleep 1; exit 7")
    player.box.until(lambda: player._logged(id), 5)
    client = player.client("attach", "--no-stdin", id)
    time.sleep(0.3)
    processes.kill(player.engine())
    seen = player._finish(client)
    assert (seen.code, seen.out, seen.err) == (7, b"", b"")


def test_a_paused_program_is_still_paused(player: Player) -> None:
    id = player.box.detached("--name", NAME, IMAGE, "sh", "-c", "sleep 0.5; exit 7")
    player.box.cli("pause", id).ok()
    processes.kill(player.engine())
    assert player.box.inspect(id, "{{.State.Status}}") == "paused"
    player.box.cli("unpause", id).ok()
    assert player.box.wait(id) == 7


def test_the_next_engine_is_quick_with_many_to_adopt(player: Player) -> None:
    ids = [player.box.detached(IMAGE, "sleep", "600") for _ in range(12)]
    ended = player.box.detached(IMAGE, "sh", "-c", "sleep 0.5; exit 3")
    processes.kill(player.engine())
    processes.until(lambda: (player.run / "containers" / ended / "exit").exists(), 10)
    began = time.monotonic()
    running = player.box.cli("ps", "-q", "--no-trunc").ok().lines
    assert time.monotonic() - began < 1.5
    assert sorted(running) == sorted(ids)
    assert player.box.inspect(ended, "{{.State.ExitCode}}") == "3"


def test_killed_again_and_again_while_it_starts(player: Player) -> None:
    """An engine that dies while it adopts, or records what ended, leaves that to the next: still one die."""
    id = create(player, script(7, first="sleep 0.5;"))
    client = player.client("start", "-a", id)
    player.box.until(lambda: player.box.inspect(id, "{{.State.Running}}") == "true", 5)
    stop(client.pid)
    processes.kill(player.engine())
    for number in range(12):
        starter = player.box.popen("version")
        time.sleep(0.12 + number * 0.02)
        engine = processes.engine(player.run)
        if engine:
            processes.kill(engine)
        starter.kill()
        starter.communicate()
    go_on(client.pid)
    case = Judge(player.box, id, player.since, False, 7)
    case.client(player._finish(client))
    case.ended()


def test_numbered_is_what_the_script_writes(player: Player) -> None:
    seen = player.box.run(IMAGE, "sh", "-c", script(3, 5))
    assert (seen.code, seen.lines) == (3, numbered("out", 5))
