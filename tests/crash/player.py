"""Plays one round of a kill test against one engine, and has it judged."""

from __future__ import annotations

import os
import subprocess
import time
from contextlib import suppress
from pathlib import Path
from typing import Any

from leaks import check
from proa.hull.spawn import SPARES
from support.box import IMAGE, Box, Result

from . import judge, processes
from .judge import Judge, script
from .plan import Round

PROGRAMS = ("busybox", "sh")
CALM = 1.5
"""Seconds without a new shim after which none is coming: the engine does not know yet that one of its was killed."""


class Player:
    """``play`` plays the round. Times that depend on the hull are multiplied by the box's ``slow``."""

    def __init__(self, box: Box, round: Round) -> None:
        assert box.root
        self.box, self.round = box, round
        self.run: Path = box.root / "run"
        self.since = time.time()
        self.note = ""
        self.clients: list[subprocess.Popen[bytes]] = []
        self.flags = [*box.flags, *(["--rm"] if round.remove else []), "--name", round.name]

    def play(self) -> None:
        """The round, what must hold, and that nothing is left of it."""
        self.calm()
        method = self.round.step.replace(",", "").replace("-", " ").replace(" ", "_")
        getattr(self, method)()
        self.box.clean()
        assert judge.settled(self.box) == []

    def close(self) -> None:
        """End the clients that a failed round leaves, and remove its container."""
        for client in self.clients:
            client.kill()
            for pipe in (client.stdin, client.stdout, client.stderr):
                if pipe:
                    with suppress(BrokenPipeError):  # what it was still to be given
                        pipe.close()
            client.wait()
        self.box.clean()

    def client(self, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        """A command, left running, with nothing to read unless told otherwise; ended with us."""
        client = self.box.popen(*arguments, **{"stdin": subprocess.DEVNULL, **options})
        self.clients.append(client)
        return client

    # who is killed

    def engine(self) -> int:
        pid = processes.engine(self.run)
        assert pid, "no engine"
        return pid

    def waiting(self) -> list[int]:
        """The shims that wait for a container; after a spawner was killed some are nobody's children."""
        owner = processes.engine(self.run)
        spawners = processes.children(owner) if owner else []
        return [pid for pid in check.pids() if processes.waits(pid) and self._mine(pid) and pid not in spawners]

    def calm(self) -> None:
        """Return once the engine has made the shims that it wants waiting: the next container takes one of them."""
        self.box.until(lambda: self.box.cli("version").code == 0, 5)
        end, since, before = time.monotonic() + 20 * self.box.slow, time.monotonic(), [0]
        while len(before) < SPARES and (not before or time.monotonic() - since < CALM):
            assert time.monotonic() < end, "no shim waits"
            time.sleep(0.05)
            now = self.waiting()
            if now != before:
                before, since = now, time.monotonic()

    def _mine(self, pid: int) -> bool:
        return pid not in self.box.extra["before"] and judge.site(self.box) in processes.arguments(pid)

    def victim(self, id: str = "") -> int:
        """Who is to be killed; a shim is that of container ``id``."""
        if self.round.victim == "engine":
            return self.engine()
        if self.round.victim == "spawner":
            return processes.spawner(self.run)
        return processes.shim(self.run, id)

    # the steps

    def after_create(self) -> None:
        id = self._create()
        processes.kill(self.waiting()[0] if self.round.victim == "shim" else self.victim())
        case = self._case(id)
        case.client(self._finish(self.client("start", "-a", id)))
        case.ended()

    def in_start_before_exec(self) -> None:
        """Killed while init, or QEMU, is there, and the program is not."""
        self._in_start(lambda child: time.sleep(self.round.delay * (0.2 if self.box.is_vm else 0.001)))

    def in_start_after_exec(self) -> None:
        """Killed as soon as the program runs: the engine may know it, or not."""

        def wait(child: int) -> None:
            if self.box.is_vm:
                processes.until(lambda: self._log(child).exists() and self._log(child).stat().st_size, 60)
            else:
                processes.until(lambda: processes.program(child) in PROGRAMS, 5, 0)
            time.sleep(self.round.delay * 0.004 * self.box.slow)

        self._in_start(wait)

    def mid_output(self) -> None:
        client, id = self._foreground("sleep 0.3;")
        victim = self.victim(id)
        processes.until(lambda: self._logged(id), 30)
        time.sleep(0.3 * self.round.delay)
        processes.kill(victim)
        self._judge(id, self._finish(client))

    def in_exit(self) -> None:
        """Killed around the end: the program has ended, or is about to."""
        client, id = self._foreground("sleep 0.7;", lines=20)
        victim = self.victim(id)
        if self.box.is_vm:
            processes.until(lambda: rb"out20\n" in self._logged(id), 60)
            time.sleep(0.3 * self.round.delay)
        else:
            pid = processes.state(self.run, id)["pid"]
            processes.until(lambda: processes.parent(pid) < 0, 30, 0)
            time.sleep(0.006 * self.round.delay)
        processes.kill(victim)
        seen, case = self._finish(client), self._case(id, 20)
        if self.round.victim == "shim" and seen.code == 137:
            case.part(seen)
            case.lost()
        else:
            case.client(seen)
            case.ended()

    def in_delete(self) -> None:
        """Killed while it is removed by force; its client is told 137 all the same."""
        client, id = self._foreground("sleep 600;")
        victim = self.victim(id)
        removing = self.client("rm", "-f", self.round.name)
        time.sleep((0.1 if self.box.is_vm else 0.06) * self.round.delay * self.box.slow)
        processes.kill(victim)
        self._finish(removing)
        self.box.cli("rm", "-f", self.round.name)
        seen = self._finish(client)
        case = self._case(id)
        assert (seen.code, seen.out) == (137, b""), seen
        case.gone()
        assert case.told("die") == ["137"]

    def exec_and_attached_client_open(self) -> None:
        client, id = self._foreground("sleep 1.5;")
        watcher = self.client("attach", "--no-stdin", "--sig-proxy=false", id)
        beside = self.client("exec", id, "sh", "-c", "echo in; sleep 0.5; echo end; echo wrong >&2; exit 5")
        assert beside.stdout and beside.stdout.readline() == b"in\n"
        time.sleep(0.7 * self.round.delay)
        processes.kill(self.victim(id))
        executed, seen, watched = self._finish(beside), self._finish(client), self._finish(watcher)
        self._judge(id, seen)
        if self.round.victim == "shim":
            assert executed.code
        else:
            assert executed == Result(5, b"end\n", b"wrong\n")
            if not self.box.is_vm:  # it was attached before the first line
                self._case(id).client(watched)
        for word, out in (("out", watched.out), ("err", watched.err)):
            consecutive(out.decode().splitlines(), word)

    def engine_down_at_the_end(self) -> None:
        """The program ends, or its shim is killed, when there is no engine; the client is not there to start one."""
        client, id = self._foreground("sleep 0.5;")
        shim = processes.shim(self.run, id)
        os.kill(client.pid, 19)
        processes.kill(self.engine())
        if self.round.victim == "shim":
            processes.until(lambda: self._logged(id), 30)
            time.sleep(0.3 * self.round.delay)
            processes.kill(shim)
        else:
            processes.until(lambda: (self.run / "containers" / id / "exit").exists(), 60)
        time.sleep(1.2)
        os.kill(client.pid, 18)
        self._judge(id, self._finish(client))

    # what they use

    def _in_start(self, wait) -> None:  # type: ignore[no-untyped-def]
        """Watch for what appears below a waiting shim; ``wait`` waits for the moment."""
        shims = set(self.waiting())
        self.id = self._create()
        client = self.client("start", "-a", self.id)
        child = processes.appear(shims, 60)
        shim = processes.parent(child)
        victim = shim if self.round.victim == "shim" else self.victim()
        wait(child)
        self.note = processes.program(child)
        processes.kill(victim)
        seen = self._finish(client)
        if self.round.victim == "shim" and seen.code not in (137, self.round.code):
            assert b"shim lost" in seen.err, seen
            assert seen.out == b""
            self._case(self.id).never_ran()
        else:
            self._judge(self.id, seen)

    def _log(self, _child: int) -> Path:
        return self._path(self.id)

    def _path(self, id: str) -> Path:
        assert self.box.root
        return self.box.root / "state" / "containers" / id / f"{id}-json.log"

    def _logged(self, id: str) -> bytes:
        try:
            return self._path(id).read_bytes()
        except OSError:
            return b""

    def _create(self) -> str:
        program = script(self.round.code)
        return self.box.cli("create", *self.flags, IMAGE, "sh", "-c", program).ok().text

    def _foreground(self, first: str, lines: int = judge.LINES) -> tuple[subprocess.Popen[bytes], str]:
        """``run`` with its client, once the program runs; and the container's id."""
        program = script(self.round.code, lines, first)
        client = self.client("run", *self.flags, IMAGE, "sh", "-c", program)
        form = "{{.State.Running}} {{.Id}}"
        self.box.until(lambda: self.box.cli("inspect", "-f", form, self.round.name).text.startswith("true"), 30)
        return client, self.box.inspect(self.round.name, "{{.Id}}")

    def _finish(self, client: subprocess.Popen[bytes]) -> Result:
        out, err = client.communicate(timeout=60 * self.box.slow)
        return Result(client.returncode, out, err)

    def _case(self, id: str, lines: int = judge.LINES) -> Judge:
        return Judge(self.box, id, self.since, self.round.remove, self.round.code, lines)

    def _judge(self, id: str, seen: Result) -> None:
        case = self._case(id)
        if self.round.victim == "shim":
            assert seen.code == 137, seen
            case.part(seen)
            case.lost()
            self._again(case)
        else:
            case.client(seen)
            case.ended()

    def _again(self, case: Judge) -> None:
        """What lost its shim can be started again."""
        if not case.removed:
            case.client(self._finish(self.client("start", "-a", case.id)))


def consecutive(lines: list[str], word: str) -> None:
    """Numbered lines without a gap or a double, from wherever the client joined."""
    numbers = [int(line.removeprefix(word)) for line in lines]
    assert numbers == list(range(numbers[0], numbers[0] + len(numbers))) if numbers else True
