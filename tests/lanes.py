"""``make test``: the parts of the whole suite, side by side, each a pytest of its own against the same installed wheel.

Two at once where there are two processors. Each has a pid namespace to itself, where root may make one: what it looks
for when it looks for leaks is its own, and nothing that it started outlives it. Without one there is no side by side.

What failed runs once more, alone: on a loaded machine a deadline may pass that is wide enough elsewhere. Such a test
is named in the first run's summary, and twice is a failure. With arguments: one pytest with those, and again.
"""

from __future__ import annotations

import os
import resource
import shutil
import subprocess
import sys
import tempfile
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

from support import image, peers
from support.box import command
from support.hulls import HULLS

HERE = Path(__file__).parent
CACHE = HERE.parent / ".pytest_cache" / "parts"
OWN = ["unshare", "--pid", "--fork", "--kill-child", "--mount-proc", "sh", "-c", '"$@"; exit $?', "sh"]
"""Process 1 of a part is a shell, which reaps what others left."""
FAILED, NOTHING = 1, 5
"""Exit codes of pytest: tests failed; there was none."""


@dataclass(frozen=True)
class Part:
    """``marks``: which tests of ``folders``, by pytest's -m. ``hulls``: left out where none of these is asked for."""

    name: str
    folders: tuple[str, ...]
    marks: str = ""
    hulls: tuple[str, ...] = ()


PARTS = (
    Part("outside-vm", ("outside",), "on_vm or on_floor", ("vm", "floor")),
    Part("functional-floor", ("functional",), "on_floor", ("floor",)),
    Part("functional-vm", ("functional",), "on_vm", ("vm",)),
    Part("outside", ("outside",), "not on_vm and not on_floor"),
    Part("crash", ("crash",)),
    Part("functional", ("functional",), "not on_vm and not on_floor"),
    Part("contract", ("contract",)),
    Part("unit", ("unit", "style", "security", "leaks", "floor", "lab")),
)
"""The longest first, so that both lanes end at about the same time."""


@dataclass(frozen=True)
class Outcome:
    """How a part ended: exit code, what it printed, seconds by the clock and of the processors."""

    name: str
    code: int
    text: str
    took: float
    busy: float

    def __str__(self) -> str:
        last = self.text.strip().rpartition("\n")[2].strip("= ")
        return f"{self.name:<18}{self.took:5.0f} s {self.busy:5.0f} s of CPU  {last}"


def pytest(part: Part, *more: str) -> list[str]:
    """A part's command."""
    folders = [str(HERE / folder) for folder in part.folders]
    marks = ["-m", part.marks] if part.marks else []
    keep = ["-o", f"cache_dir={CACHE / part.name}", f"--junitxml={CACHE / part.name}.xml"]
    return [sys.executable, "-m", "pytest", *keep, *marks, *more, *folders]


def play(name: str, words: list[str], env: dict[str, str]) -> Outcome:
    """Run a command to its end and print what it printed."""
    print(f"== {name}: begins", flush=True)
    began = time.monotonic()
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(words, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=env)
        status, used = ended(process.pid)
        process.returncode = os.waitstatus_to_exitcode(status)
        output.seek(0)
        text = output.read().decode("utf-8", "replace")
    outcome = Outcome(name, process.returncode, text, time.monotonic() - began, used.ru_utime + used.ru_stime)
    print(f"== {name}: exit code {outcome.code}\n{text}", flush=True)
    return outcome


def ended(pid: int) -> tuple[int, resource.struct_rusage]:
    """Wait for a child. Whoever interrupts us interrupts it too, and it tidies up."""
    try:
        return os.wait4(pid, 0)[1:]
    except KeyboardInterrupt:
        os.wait4(pid, 0)
        raise


def fetch(env: dict[str, str]) -> None:
    """What several parts need from outside, before each would fetch it. What cannot be had they say themselves."""
    user = [] if os.geteuid() == 0 else ["--user"]
    subprocess.run([*command(), "setup", *user], env=env, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL)
    try:
        image.busybox()
        peers.fetch()
    except peers.Missing as problem:
        print(problem, flush=True)


def may_part() -> bool:
    """Whether a part can have a pid namespace here."""
    return shutil.which("unshare") is not None and subprocess.run([*OWN, "true"], capture_output=True).returncode == 0


class Run:
    """The parts, in lanes. ``own``: each in a pid namespace."""

    def __init__(self, env: dict[str, str]) -> None:
        self.env = env
        self.own = OWN if may_part() else []
        self.parts = [part for part in PARTS if not part.hulls or set(part.hulls) & set(HULLS)]
        self.waiting = list(self.parts)
        self.ended: dict[str, Outcome] = {}
        self.told: list[Outcome] = []
        self.ready = threading.Event()

    def whole(self) -> bool:
        """Lint and every part; what failed once more. Whether all is well."""
        if self.own and (os.cpu_count() or 1) > 1:
            other = threading.Thread(target=self.lane, args=(self.lint,))
            other.start()
            self.lane(self.fetch)
            other.join()
        else:
            self.lane(self.fetch, self.lint)
        failed = [part for part in self.parts if self.ended[part.name].code == FAILED]
        for part in failed:
            self.again(part)
        print("", *self.told, sep="\n")
        return {one.code for one in self.ended.values()} <= {0, NOTHING}

    def lane(self, *first: Callable[[], None]) -> None:
        """Those, then parts until none is left."""
        for job in first:
            job()
        self.ready.wait()
        while self.waiting:
            part = self.waiting.pop(0)
            self.play(part.name, part.name, [*self.own, *pytest(part)], self.env)

    def play(self, part: str, name: str, words: list[str], env: dict[str, str]) -> None:
        """One of them; its outcome takes the place of an earlier one."""
        self.ended[part] = play(name, words, env)
        self.told.append(self.ended[part])

    def fetch(self) -> None:
        try:
            fetch(self.env)
        finally:
            self.ready.set()

    def lint(self) -> None:
        self.play("lint", "lint", [os.environ.get("MAKE", "make"), "lint"], self.env)

    def again(self, part: Part) -> None:
        """What failed of a part, and dockerd is asked anew."""
        words = pytest(part, "--last-failed", "--last-failed-no-failures=none")
        with tempfile.TemporaryDirectory(prefix="proa-answers-") as answers:
            env = {**self.env, "PROA_TEST_ANSWERS": answers}
            self.play(part.name, f"{part.name} again", [*self.own, *words], env)


def main() -> int:
    """Exit code of the run."""
    CACHE.mkdir(parents=True, exist_ok=True)
    if sys.argv[1:]:
        return some(sys.argv[1:])
    with tempfile.TemporaryDirectory(prefix="proa-answers-") as answers:
        run = Run({**os.environ, "PROA_TEST_ANSWERS": answers})
        try:
            return 0 if run.whole() else 1
        finally:
            run.waiting.clear()


def some(arguments: list[str]) -> int:
    """One pytest with these arguments."""
    words = [sys.executable, "-m", "pytest"]
    code = subprocess.run([*words, *arguments], check=False).returncode
    if code == FAILED:
        again = ["--last-failed", "--last-failed-no-failures=none"]
        code = subprocess.run([*words, *again, *arguments], check=False).returncode
    return code


if __name__ == "__main__":
    sys.exit(main())
