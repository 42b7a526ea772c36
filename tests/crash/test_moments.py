"""Deaths at moments that a random delay hardly hits; each is brought about by stopping a process there."""

from __future__ import annotations

import os
import signal
import subprocess
import time
from pathlib import Path

from leaks import check
from support.box import IMAGE

from . import processes
from .judge import Judge, numbered, script
from .plan import on
from .player import Player

NAME = "moment"
pytestmark = on("container")


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
    """The shim was asked for and has said nothing yet: the start is called off, the client asks again, once is told."""
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


def test_a_detached_run_that_its_engine_did_not_answer(player: Player) -> None:
    """The start went through: said so by the next engine, and not done twice."""
    shims, engine = set(player.waiting()), player.engine()
    client = player.client("run", "-d", *player.flags, IMAGE, "sh", "-c", script(7))
    processes.appear(shims, 10)
    stop(engine)
    time.sleep(0.3)
    processes.kill(engine)
    seen = player._finish(client)
    assert seen.code == 0, seen
    Judge(player.box, seen.text, player.since, False, 7).ended()


def test_a_second_run_is_called_off_and_begun_again(player: Player) -> None:
    """It has run before: neither is its old end taken for the new one, nor its old output shown again."""
    id = create(player, "echo line; exit 7")
    assert player._finish(player.client("start", "-a", id)).out == b"line\n"
    player.calm()
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
        starter = player.client("version")
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


def test_all_are_killed_at_once(player: Player) -> None:
    """Engine, spawner and every shim: what ran is ended and on record, and nothing is left."""
    ids = [player.box.detached(IMAGE, "sh", "-c", "sleep 600 & sleep 600") for _ in range(3)]
    player.box.cli("pause", ids[0]).ok()
    inits = [processes.state(player.run, id)["pid"] for id in ids]
    everybody = [player.engine(), processes.spawner(player.run), *(processes.shim(player.run, id) for id in ids)]
    for pid in everybody:
        os.kill(pid, signal.SIGKILL)
    form = "{{.State.Status}} {{.State.ExitCode}} {{.State.Error}}"
    assert [player.box.inspect(id, form) for id in ids] == ["exited 137 shim lost"] * 3
    assert [processes.parent(pid) for pid in inits] == [-1] * 3
    assert [path for path in check.cgroups() if any(id in path for id in ids)] == []


def test_an_engine_that_sees_many_deaths_keeps_no_descriptors(player: Player) -> None:
    """Shims are killed under it in every state; it has as many descriptors as before, and still works."""

    def round() -> None:
        id = player.box.detached(IMAGE, "sleep", "600")
        client, beside = player.client("attach", "--no-stdin", id), player.client("exec", id, "sleep", "600")
        player.box.until(lambda: player.box.cli("inspect", "-f", "{{len .ExecIDs}}", id).text == "1", 5)
        processes.kill(processes.shim(player.run, id))
        assert player._finish(client).code == 137
        player._finish(beside)
        player.box.cli("rm", "-f", id).ok()

    round()
    player.calm()
    engine = player.engine()
    before, spares = check.descriptors(engine), len(player.waiting())
    for _ in range(5):
        round()
    player.calm()
    assert player.engine() == engine
    more = max(0, len(player.waiting()) - spares)  # a socket for each shim that waits
    assert len(check.grown(before, check.descriptors(engine))) <= more


def test_an_import_that_its_engine_did_not_survive_leaves_nothing(player: Player, image_tar: Path) -> None:
    assert player.box.root
    state = player.box.root / "state"

    def files() -> set[str]:
        kept = ("content", "layers", "blocks")
        return {str(path) for folder in kept for path in (state / folder).rglob("*") if "bin" not in path.parts}

    before = files()
    data = image_tar.read_bytes() + bytes(1 << 20)
    client = player.client("import", "-", "half", stdin=subprocess.PIPE)
    assert client.stdin
    client.stdin.write(data[: len(data) // 2])
    client.stdin.flush()
    player.box.until(lambda: files() != before, 5)
    processes.kill(player.engine())
    try:
        client.stdin.close()
    except BrokenPipeError:
        pass
    client.stdin = None
    seen = player._finish(client)
    assert seen.code and len(seen.error.splitlines()) <= 2, seen
    assert player.box.cli("images", "-q", "half").ok().text == ""
    player.box.until(lambda: files() == before, 5)
    player.box.cli("import", str(image_tar), "half").ok()
    player.box.cli("rmi", "half").ok()
