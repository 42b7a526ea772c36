"""What must hold after a kill: nothing lost, nothing twice, one end on record, nothing left."""

from __future__ import annotations

import sysconfig
import time
from dataclasses import dataclass
from datetime import datetime

from leaks import check
from proa.hull.spawn import SPARES
from support.box import Box, Result

from . import processes

LINES = 400


def site(box: Box) -> str:
    """Where the package lies that this box runs, by which its processes are known."""
    if box.hull == "floor":
        assert box.root
        return f"{box.root.parent}/v/"  # installed by its user
    return sysconfig.get_path("purelib")


def script(code: int, lines: int = LINES, first: str = "") -> str:
    """A program: numbered lines to both streams, with pauses; then the code."""
    body = "echo out$i; echo err$i >&2; [ $((i % 20)) != 0 ] || usleep 20000"
    return f"{first} i=0; while [ $i -lt {lines} ]; do i=$((i+1)); {body}; done; exit {code}"


def numbered(word: str, count: int = LINES) -> list[str]:
    return [f"{word}{n}" for n in range(1, count + 1)]


@dataclass
class Judge:
    """One container's case. ``since``: when its round began."""

    box: Box
    id: str
    since: float
    removed: bool
    code: int
    lines: int = LINES

    # the client

    def client(self, seen: Result) -> None:
        """It saw every number once and in order, and the program's code."""
        assert seen.out.decode().splitlines() == numbered("out", self.lines), seen.error[-500:]
        assert seen.err.decode().splitlines() == numbered("err", self.lines)
        assert seen.code == self.code

    def part(self, seen: Result) -> None:
        """It saw numbers once and in order, up to where its shim was killed."""
        got = seen.out.decode().splitlines()
        assert got == numbered("out", len(got)) and len(got) <= self.lines

    # the engine's record

    def ended(self) -> None:
        """Log, state and events tell of one whole run."""
        if self.removed:
            self.gone()
        else:
            assert self.box.wait(self.id) == self.code
            assert self.log() == (numbered("out", self.lines), numbered("err", self.lines))
            assert self.state("{{.State.Status}} {{.State.ExitCode}} {{.State.Running}}") == f"exited {self.code} false"
            self.finished()
        assert self.told("die") == [str(self.code)]
        assert len(self.told("start")) == 1

    def lost(self) -> None:
        """The end is on record as ``shim lost``, and the log is what was written until then."""
        if self.removed:
            self.gone()
        else:
            assert self.box.wait(self.id) == 137
            assert self.state("{{.State.Status}} {{.State.Error}}") == "exited shim lost"
            out, err = self.log()
            assert out == numbered("out", len(out)) and err == numbered("err", len(err))
        assert self.told("die") == ["137"]
        assert len(self.told("start")) == 1

    def never_ran(self) -> None:
        """The start was refused: nothing is told of a program."""
        if self.removed:
            self.gone()
        else:
            assert self.state("{{.State.Status}}") == "created"
            assert "shim lost" in self.state("{{.State.Error}}")
        assert self.told("die") == self.told("start") == []

    def gone(self) -> None:
        """It is removed, and that was told once."""
        self.box.until(lambda: self.box.cli("inspect", self.id).code == 1, 5)
        assert len(self.told("destroy")) == 1

    def log(self) -> tuple[list[str], list[str]]:
        """What ``logs`` shows of each stream."""
        logs = self.box.cli("logs", self.id).ok()
        return logs.out.decode().splitlines(), logs.err.decode().splitlines()

    def state(self, template: str) -> str:
        return self.box.inspect(self.id, template)

    def told(self, action: str) -> list[str]:
        """The exit codes in its events of one kind ("" where there is none)."""
        until = f"{time.time() + 0.05:.9f}"
        flags = ["--filter", f"event={action}", "--filter", f"container={self.id}", "--json"]
        events = self.box.cli("events", "--since", f"{self.since - 1:.9f}", "--until", until, *flags).ok()
        from proa import jsontext

        found = [jsontext.loads(line.encode()) for line in events.lines]
        return [str(event["Actor"]["Attributes"].get("exitCode", "")) for event in found]  # type: ignore[index,call-overload]

    def finished(self) -> None:
        """FinishedAt is when the program ended: just behind its last line, whenever that was recorded."""
        last = self.box.cli("logs", "--timestamps", "--tail", "1", self.id).ok()
        written = moment((last.out or last.err).split()[0].decode())
        began, ended = (moment(self.state(f"{{{{.State.{name}}}}}")) for name in ("StartedAt", "FinishedAt"))
        assert self.since < began <= written <= ended <= written + 0.5 * self.box.slow, (began, written, ended)


def moment(text: str) -> float:
    """Seconds since the epoch of an RFC 3339 time with up to nine decimals."""
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return datetime.fromisoformat(whole + "+00:00").timestamp() + float("0." + (fraction or "0"))


def left(box: Box) -> list[str]:
    """What is there beside an idle engine: processes, cgroups, files of containers."""
    assert box.root
    run, state = box.root / "run", box.root / "state"
    found = [str(path) for place in ("containers", "s") for path in (run / place).glob("*")]
    found += [str(path) for path in (state / "containers").glob("*")]
    found += [path for path in check.cgroups() if f"/proa-{box.extra['engine']}/" in path]
    return found + strangers(box)


def strangers(box: Box) -> list[str]:
    """Processes of ours that are neither the engine nor below it."""
    assert box.root
    owner = processes.engine(box.root / "run")
    family = {owner, *processes.children(owner)} if owner else set()
    family |= {child for pid in family - {owner} for child in processes.children(pid)}
    found = []
    waiting = 0
    for pid in set(check.pids()) - family - box.extra["before"]:
        text = processes.arguments(pid)
        machine = "qemu" in text.split("\0")[0] and str(box.root) in check.describe(pid)
        ours = machine or (site(box) in text and "from proa." in text)
        if ours and processes.waits(pid) and owner:
            waiting += 1  # made by an earlier spawner of this engine
            ours = waiting > SPARES
        if ours and processes.parent(pid) >= 0:
            found.append(f"{pid} {text.replace(chr(0), ' ')[-300:]}")
    return found


def settled(box: Box, seconds: float = 4) -> list[str]:
    """``left``, after what is being removed had time to go."""
    end = time.monotonic() + seconds * box.slow
    while (found := left(box)) and time.monotonic() < end:
        time.sleep(0.05)
    return found
