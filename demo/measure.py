"""What a hull is made of, measured from outside: time to the first output, memory on the host, what the inside says."""

from __future__ import annotations

import json
import os
import subprocess
import time
from dataclasses import dataclass, field
from pathlib import Path

INSIDE = """
echo "kernel $(uname -r)"
echo "version $(cut -c1-60 /proc/version)"
echo "boot $(cat /proc/sys/kernel/random/boot_id)"
echo "process $(cat /proc/1/comm)"
echo "host $(cat /proc/sys/kernel/hostname)"
echo "memory $(sed -n 's/^MemTotal: *//p' /proc/meminfo)"
"""


@dataclass
class Row:
    """One way of running the program. ``first`` and ``later`` in seconds, ``memory`` in bytes (PSS)."""

    name: str
    said: dict[str, str] = field(default_factory=dict)
    first: float = 0.0
    later: float = 0.0
    memory: int = 0
    why_not: str = ""


class Runner:
    """The ``proa`` command, with a prefix for who runs it (nobody, for the machine's own user)."""

    def __init__(self, proa: str, prefix: list[str], root: str = "") -> None:
        self.command = [*prefix, proa, *(["--root", root] if root else [])]

    def run(self, *args: str, check: bool = True, **more: object) -> subprocess.CompletedProcess[str]:
        done = subprocess.run([*self.command, *args], text=True, capture_output=True, stdin=subprocess.DEVNULL)
        if check and done.returncode:
            raise RuntimeError(done.stderr.strip() or f"{args[0]}: exit code {done.returncode}")
        return done

    def measure(self, name: str, image: str, isolation: str) -> Row:
        """Run the program twice, then once more in the background for its memory."""
        row = Row(name)
        try:
            row.first, row.said = self._timed(image, isolation)
            row.later, row.said = min((self._timed(image, isolation) for _ in range(3)), key=lambda pair: pair[0])
            row.memory = self._memory(image, isolation)
        except RuntimeError as problem:
            row.why_not = str(problem).splitlines()[0]
        return row

    def _timed(self, image: str, isolation: str) -> tuple[float, dict[str, str]]:
        options = ["run", "--rm", "--network", "none", "--isolation", isolation, image, "sh", "-c", INSIDE]
        begin = time.monotonic()
        running = subprocess.Popen(
            [*self.command, *options],
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        assert running.stdout is not None and running.stderr is not None
        line = running.stdout.readline()
        seconds = time.monotonic() - begin
        rest, errors = running.communicate()
        if running.returncode:
            raise RuntimeError(errors.strip() or f"exit code {running.returncode}")
        said = dict(entry.split(" ", 1) for entry in (line + rest).splitlines() if " " in entry)
        return seconds, said

    def _memory(self, image: str, isolation: str) -> int:
        name = self.run("run", "-d", "--network", "none", "--isolation", isolation, image, "sleep", "60").stdout.strip()
        try:
            time.sleep(0.5)
            state = json.loads(self.run("inspect", name).stdout)[0]["State"]
            return _family_pss(_parent(state["Pid"]))
        finally:
            self.run("rm", "-f", name, check=False)


def _parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def _family_pss(shim: int) -> int:
    """Proportional set size of a shim and all that descends from it, in bytes (proc(5), smaps_rollup)."""
    children: dict[int, list[int]] = {}
    for entry in os.listdir("/proc"):
        if entry.isdigit():
            try:
                children.setdefault(_parent(int(entry)), []).append(int(entry))
            except OSError:
                continue
    total, waiting = 0, [shim]
    while waiting:
        pid = waiting.pop()
        waiting += children.get(pid, [])
        try:
            text = Path(f"/proc/{pid}/smaps_rollup").read_text()
        except OSError:
            continue
        total += next(int(line.split()[1]) for line in text.splitlines() if line.startswith("Pss:")) * 1024
    return total
