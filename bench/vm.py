"""Launching virtual machines: ours against a bare QEMU boot of the same kernel, all in one run.

    python bench/vm.py [--rounds N] [--json] [--check] [--floor]

Everything is private and ended afterwards. ``--floor`` plays the floor too (root only). ``--check`` exits 1 if a
promise is not kept.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import signal
import sys
import tempfile
import time
from contextlib import ExitStack
from pathlib import Path

HERE = Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "tests")]

import barevm  # noqa: E402
import measure  # noqa: E402
from figures import Report, interleaved  # noqa: E402
from leaks import check  # noqa: E402
from proa import places  # noqa: E402
from proa.hull.vm import parts  # noqa: E402
from support import image  # noqa: E402
from support.box import IMAGE, Box, Unplayable, floor, proa  # noqa: E402

SHAPES = ("700m", "1500m", "3000m")
"""Each another power of two of RAM, so each another template."""
BARE, FIRST, LATER = "bare: QEMU, the same kernel, busybox", "first VM of a shape", "each later proa run"
BEYOND = "  beyond the bare boot just before it"


class Machines:
    """The run: a bare machine, our engine, the report."""

    def __init__(self, stack: ExitStack, rounds: int) -> None:
        self.report = Report()
        self.rounds = rounds
        self.folder = Path(tempfile.mkdtemp(prefix="proa-bench-"))
        stack.callback(shutil.rmtree, self.folder, ignore_errors=True)
        self.tar = image.build(self.folder / "bb.tar")
        self.box = stack.enter_context(proa(self.tar, "vm"))
        self.qemu = list(parts.find_qemu(places.find(str(self.box.root))).argv)
        self.initrd = barevm.initramfs(image.busybox(), self.folder / "bare.cpio")

    def all(self, with_floor: bool) -> Report:
        self.report.of("the very first VM of an engine").add(self._run(self.box))
        for memory in SHAPES:
            bare, first = self.bare(), self._run(self.box, "-m", memory)
            self.report.of(FIRST).add(first)
            self.report.of(BEYOND).add(first - bare)
        interleaved(self.rounds, [self.bare, lambda: self.later(self.box, "")])
        self.box.detached("--name", "running", IMAGE, "sleep", "600")
        self.memory("restored VM with a program")
        self.exec()
        self.memory("  and after 15 execs")
        self.box.clean()
        self.sizes()
        self.nothing_left()
        if with_floor:
            self.on_the_floor()
        self.promises()
        return self.report

    def state(self, pattern: str) -> list[Path]:
        assert self.box.root
        return sorted((self.box.root / "state").glob(pattern))

    def bare(self) -> float:
        kernel = self.state("kernels/*.vmlinux")[0]
        taken = barevm.boot(self.qemu, kernel, self.initrd)
        self.report.of(BARE).add(taken)
        return taken

    def first(self, box: Box, suffix: str) -> None:
        self.report.of(FIRST + suffix).add(self._run(box))

    def later(self, box: Box, suffix: str) -> None:
        self.report.of(LATER + suffix).add(self._run(box))

    def _run(self, box: Box, *flags: str) -> float:
        begun = time.perf_counter()
        box.run(*flags, IMAGE, "true", timeout=100).ok()
        return (time.perf_counter() - begun) * 1000

    def exec(self, times: int = 15) -> None:
        """exec of true in a running machine, the whole command."""
        for number in range(times):
            begun = time.perf_counter()
            self.box.cli("exec", "running", "true").ok()
            name = "exec of true, the first" if number == 0 else "exec of true, later ones"
            self.report.of(name).add((time.perf_counter() - begun) * 1000)

    def memory(self, name: str) -> None:
        """The machine that runs, and its shim. Each path that the guest has not taken yet leaves code translated."""
        qemu = int(self.box.inspect("running", "{{.State.Pid}}"))
        self.report.of(name, "MB").add(measure.pss(qemu))
        self.report.of("its shim", "MB").add(measure.pss(measure.parent(qemu)))

    def sizes(self) -> None:
        boots = self.state("boot/*.cpio")
        self.report.goal("boot image", max(path.stat().st_size for path in boots) / (1 << 20), 16, "MB")
        saved = [json.loads(path.read_text()).get("saved") for path in self.state("templates/*/meta.json")]
        if saved and saved[0] is not None:
            self.report.goal("template saved in", saved[0] * 1000, 50, "ms")
        else:
            self.report.notes.append("the template's meta.json does not say how long saving took")

    def nothing_left(self) -> None:
        """A machine whose shim is killed: busy, stopped, not yet loaded; what is left of it after 200 ms."""
        for number, state in enumerate(("busy", "stopped", "not yet loaded")):
            name = f"killed{number}"
            qemu, shim = self._victim(name, state)
            time.sleep(0.2)
            left = [str(pid) for pid in (qemu, shim) if pid and self._alive(pid)]
            self.report.goal(f"processes left 200 ms after the shim's death, {state}", len(left), 0)
            self.box.clean()

    def _alive(self, pid: int) -> bool:
        try:
            return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
        except OSError:
            return False

    def _victim(self, name: str, state: str) -> tuple[int, int]:
        """pids of QEMU and its shim, which was killed in that state."""
        if state == "not yet loaded":
            return self._loading(name)
        self.box.detached("--name", name, IMAGE, "sh", "-c", "while :; do :; done")
        qemu = int(self.box.inspect(name, "{{.State.Pid}}"))
        shim = measure.parent(qemu)
        if state == "stopped":
            os.kill(qemu, signal.SIGSTOP)
        os.kill(shim, signal.SIGKILL)
        return qemu, shim

    def _loading(self, name: str) -> tuple[int, int]:
        """The moment when QEMU has just been started: caught by looking for it."""
        before = set(check.pids())
        starting = self.box.popen("run", "--rm", *self.box.flags, "--name", name, IMAGE, "sleep", "60")
        end = time.monotonic() + 30
        found = 0
        while not found and time.monotonic() < end:
            found = next((pid for pid in check.pids() if pid not in before and self._is_qemu(pid)), 0)
        shim = measure.parent(found) if found else 0
        if shim:
            os.kill(shim, signal.SIGKILL)
        starting.kill()
        starting.communicate()
        return found, shim or starting.pid

    def _is_qemu(self, pid: int) -> bool:
        try:
            return b"qemu" in Path(f"/proc/{pid}/cmdline").read_bytes()[:200]
        except OSError:
            return False

    def on_the_floor(self) -> None:
        try:
            with floor(self.tar) as box:
                self.first(box, ", floor")
                for _ in range(self.rounds):
                    self.later(box, ", floor")
                    self.bare()
        except Unplayable as problem:
            self.report.notes.append(f"no floor: {problem}")

    def promises(self) -> None:
        report = self.report
        report.goal("first VM of a shape, beyond bare", report.of(BEYOND).median, 1500, "ms")
        report.ratio("each later run, of bare", LATER, BARE, 0.35)
        report.ratio("  on the floor", LATER + ", floor", BARE, 0.45)
        report.goal("exec, the first", report.of("exec of true, the first").median, 200, "ms")
        report.goal("exec, later ones", report.of("exec of true, later ones").median, 70, "ms")
        report.goal("restored VM with a program", report.of("restored VM with a program", "MB").median, 100, "MB PSS")


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0] if __doc__ else "")
    parser.add_argument("--rounds", type=int, default=20)
    parser.add_argument("--json", action="store_true")
    parser.add_argument("--check", action="store_true")
    parser.add_argument("--floor", action="store_true")
    options = parser.parse_args()
    with ExitStack() as stack:
        report = Machines(stack, options.rounds).all(options.floor)
        report.notes.append(f"load {os.getloadavg()[0]:.1f}, {os.cpu_count()} CPUs, kernel {os.uname().release}")
    print(report.json() if options.json else report.text())
    return 1 if options.check and not all(goal.kept for goal in report.goals) else 0


if __name__ == "__main__":
    sys.exit(main())
