"""Kill test: SIGKILL to engine, spawner or shim at any step; afterwards the list is right and nothing is lost.

Seed and plan are printed; PROA_SEED=N repeats a run. Each step of the list is played at least once, the rest of the
rounds draw from it. The program writes numbered lines to both streams and ends with a random code.
"""

from __future__ import annotations

import os
import random
import re
import signal
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from leaks import check
from support.box import IMAGE, Box, Result, proa

SEED = int(os.environ.get("PROA_SEED") or random.SystemRandom().randrange(1 << 32))
ROUNDS = {"container": 30, "vm": 12, "floor": 4}
LINES = 400

STEPS = [
    ("after create", "engine"),
    ("after create", "spawner"),
    ("in start, before exec", "engine"),
    ("in start, before exec", "spawner"),
    ("in start, after exec", "engine"),
    ("mid-output", "engine"),
    ("mid-output", "spawner"),
    ("mid-output", "shim"),
    ("in exit", "engine"),
    ("in exit", "shim"),
    ("in delete", "engine"),
    ("in delete", "spawner"),
    ("exec and attached client open", "engine"),
    ("exec and attached client open", "shim"),
    ("engine down at the end", "engine"),
]


@dataclass(frozen=True)
class Round:
    number: int
    step: str
    victim: str
    code: int
    delay: float

    @property
    def name(self) -> str:
        return f"round{self.number}"


def plan(seed: int, rounds: int) -> list[Round]:
    """Every step once, the rest drawn, in random order."""
    dice = random.Random(seed)
    steps = list(STEPS) if rounds >= len(STEPS) else dice.sample(STEPS, rounds)
    steps += [dice.choice(STEPS) for _ in range(rounds - len(steps))]
    dice.shuffle(steps)
    return [Round(n, step, victim, dice.randrange(1, 120), dice.random()) for n, (step, victim) in enumerate(steps)]


def script(code: int, lines: int = LINES) -> str:
    """Numbered lines to both streams, with pauses; then the code."""
    body = "echo out$i; echo err$i >&2; [ $((i % 20)) != 0 ] || usleep 20000"
    return f"i=0; while [ $i -lt {lines} ]; do i=$((i+1)); {body}; done; exit {code}"


def numbered(word: str, count: int = LINES) -> list[str]:
    return [f"{word}{n}" for n in range(1, count + 1)]


class Player:
    """Plays one round against one engine."""

    def __init__(self, box: Box, round: Round) -> None:
        assert box.root
        self.box, self.round = box, round
        self.run = box.root / "run"
        self.since = time.time()

    # ---- who to kill

    def engine(self) -> int:
        return int(self.box.cli("engine", "pid").ok().text)

    def spawner(self) -> int:
        parent = self.engine()
        return next(pid for pid in check.pids() if _parent(pid) == parent and "hull.spawner" in _arguments(pid))

    def shim(self) -> int:
        id = self.box.inspect(self.round.name, "{{.Id}}")
        text = (self.run / "containers" / id / "state.json").read_text()
        found = re.search(r'"shim":(\d+)', text)
        assert found, text
        return int(found[1])

    def kill(self, pid: int) -> None:
        os.kill(pid, signal.SIGKILL)

    def victim(self) -> int:
        return {"engine": self.engine, "spawner": self.spawner, "shim": self.shim}[self.round.victim]()

    # ---- the steps

    def play(self) -> None:
        steps = {
            "after create": self.after_create,
            "in start, before exec": lambda: self.in_start(0.004),
            "in start, after exec": lambda: self.in_start(0.05),
            "mid-output": self.mid_output,
            "in exit": self.in_exit,
            "in delete": self.in_delete,
            "exec and attached client open": self.with_exec_and_client,
            "engine down at the end": self.engine_down,
        }
        steps[self.round.step]()

    def after_create(self) -> None:
        self._create()
        self.kill(self.victim())
        self._whole(self._finish(self.box.popen("start", "-a", self.round.name)))

    def in_start(self, span: float) -> None:
        """Whether the start went through is not known to a client whose engine died: both ends must be sound."""
        self._create()
        victim = self.victim()
        starting = self.box.popen("start", self.round.name)
        time.sleep(span * self.round.delay * self.box.slow)
        self.kill(victim)
        starting.communicate(timeout=60 * self.box.slow)
        if self.box.inspect(self.round.name, "{{.State.Status}}") == "created":
            assert self.box.cli("logs", self.round.name).out == b""
            self.box.cli("start", self.round.name).ok()
        assert self.box.wait(self.round.name) == self.round.code
        self._settled()

    def mid_output(self) -> None:
        client = self._foreground()
        victim = self.victim()
        time.sleep(0.2 * self.round.delay)
        self.kill(victim)
        self._judge(self._finish(client))

    def in_exit(self) -> None:
        client = self._foreground(lines=20, first="sleep 0.7; ")
        victim = self.victim()
        assert client.stdout
        first = b""
        while b"out20\n" not in first:
            piece = os.read(client.stdout.fileno(), 65536)
            first += piece
            if not piece:
                break
        time.sleep(0.03 * self.round.delay)
        try:
            self.kill(victim)
        except ProcessLookupError:
            pass  # it had done its work
        result = self._finish(client)
        code, lines = result.code, (first + result.out).decode().split()
        assert lines == numbered("out", 20)[: len(lines)]
        if self.round.victim == "shim" and code == 137:
            return self._lost()
        assert (code, len(lines)) == (self.round.code, 20)
        return self._settled(20)

    def in_delete(self) -> None:
        self.box.cli("run", "-d", *self.box.flags, "--name", self.round.name, IMAGE, "sleep", "600").ok()
        victim = self.victim()
        removing = self.box.popen("rm", "-f", self.round.name)
        time.sleep(0.02 * self.round.delay * self.box.slow)
        self.kill(victim)
        removing.communicate(timeout=60 * self.box.slow)
        self.box.cli("rm", "-f", self.round.name)
        assert self.round.name not in self.box.cli("ps", "-a", "--format", "{{.Names}}").lines

    def with_exec_and_client(self) -> None:
        client = self._foreground(first="sleep 0.7; ")
        watcher = self.box.popen("attach", "--no-stdin", "--sig-proxy=false", self.round.name)
        beside = self.box.popen("exec", self.round.name, "sh", "-c", "echo in; sleep 0.3; echo end; exit 5")
        assert beside.stdout and beside.stdout.readline() == b"in\n"
        self.kill(self.victim())
        executed = self._finish(beside)
        if self.round.victim == "engine":
            assert (executed.code, executed.out) == (5, b"end\n")
        self._judge(self._finish(client))
        seen = self._finish(watcher)
        for word, out in (("out", seen.out), ("err", seen.err)):
            _consecutive(out.decode().split(), word, to=LINES if self.round.victim == "engine" else None)

    def engine_down(self) -> None:
        client = self._foreground()
        engine = self.engine()
        self.kill(engine)
        self._judge(self._finish(client))

    # ---- what must hold

    def _create(self) -> None:
        self.box.cli(
            "create", *self.box.flags, "--name", self.round.name, IMAGE, "sh", "-c", script(self.round.code)
        ).ok()

    def _foreground(self, lines: int = LINES, first: str = "") -> subprocess.Popen[bytes]:
        """The program, running, and its client."""
        program = first + script(self.round.code, lines)
        client = self.box.popen("run", *self.box.flags, "--name", self.round.name, IMAGE, "sh", "-c", program)
        assert client.stdin and client.stdout
        client.stdin.close()
        client.stdin = None
        self.box.until(lambda: self.box.cli("inspect", "-f", "{{.State.Running}}", self.round.name).text == "true", 30)
        return client

    def _finish(self, client: subprocess.Popen[bytes]) -> Result:
        out, err = client.communicate(timeout=90 * self.box.slow)
        return Result(client.returncode, out, err)

    def _judge(self, seen: Result) -> None:
        if self.round.victim != "shim":
            return self._whole(seen)
        out = seen.out.decode().split()
        assert out == numbered("out")[: len(out)]
        assert seen.code == 137
        return self._lost()

    def _whole(self, seen: Result) -> None:
        """The client saw every number once and in order, and the code; so do log, inspect and events."""
        assert seen.out.decode().split() == numbered("out"), seen.error[-500:]
        assert [line for line in seen.err.decode().split("\n") if line] == numbered("err")
        assert seen.code == self.round.code
        self._settled()

    def _settled(self, lines: int = LINES) -> None:
        logs = self.box.cli("logs", self.round.name).ok()
        assert logs.lines == numbered("out", lines)
        assert logs.error.splitlines() == numbered("err", lines)
        said = self.box.inspect(self.round.name, "{{.State.Status}} {{.State.ExitCode}} {{.State.Error}}").split(" ", 2)
        assert said[:2] == ["exited", str(self.round.code)]
        self._one_die(str(self.round.code))

    def _lost(self) -> None:
        """A shim that was killed: 137, said so, and the log is what it had written."""
        assert self.box.wait(self.round.name) == 137
        assert "shim lost" in self.box.inspect(self.round.name, "{{.State.Error}}")
        lines = self.box.cli("logs", self.round.name).lines
        assert lines == numbered("out")[: len(lines)]
        self._one_die("137")

    def _one_die(self, code: str) -> None:
        until = f"{time.time() + 0.2:.9f}"
        flags = ["--filter", "event=die", "--filter", f"container={self.round.name}"]
        form = "{{.Actor.Attributes.exitCode}}"
        told = self.box.cli("events", "--since", f"{self.since:.9f}", "--until", until, *flags, "--format", form).ok()
        assert told.lines == [code]
        finished = self.box.inspect(self.round.name, "{{.State.FinishedAt}}")
        stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(self.since - 1))
        assert stamp <= finished <= time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime(time.time() + 1))


def _consecutive(lines: list[str], word: str, to: int | None) -> None:
    """Numbered lines without a gap or a double, from wherever the client joined."""
    numbers = [int(line.removeprefix(word)) for line in lines]
    if numbers:
        assert numbers == list(range(numbers[0], numbers[0] + len(numbers)))
    if to is not None:
        assert numbers[-1:] == [to]


def _parent(pid: int) -> int:
    try:
        return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])
    except (OSError, IndexError):
        return 0


def _arguments(pid: int) -> str:
    try:
        return Path(f"/proc/{pid}/cmdline").read_text()
    except OSError:
        return ""


HULLS = [hull for hull in os.environ.get("PROA_TEST_HULLS", "container").replace(",", " ").split() if hull in ROUNDS]
CASES = [(hull, round) for hull in HULLS for round in plan(SEED, ROUNDS[hull])]


@pytest.fixture(scope="module", params=HULLS)
def killed(request: pytest.FixtureRequest, image_tar: Path) -> Iterator[Box]:
    """One engine for all rounds of a hull; the leak check is its end."""
    print(f"PROA_SEED={SEED}")
    with proa(image_tar, request.param) as box:
        yield box


@pytest.mark.parametrize("number", range(max(ROUNDS.values())))
def test_round(killed: Box, number: int) -> None:
    rounds = plan(SEED, ROUNDS[killed.hull])
    if number >= len(rounds):
        pytest.skip("fewer rounds for this hull")
    print(f"PROA_SEED={SEED} {rounds[number]}")
    Player(killed, rounds[number]).play()
    killed.clean()
    assert killed.cli("ps", "-aq").text == ""


def test_the_plan_has_every_step() -> None:
    assert {(round.step, round.victim) for round in plan(1, 30)} == set(STEPS)
    assert plan(7, 30) == plan(7, 30)
