"""What is read from the kernel: memory of processes, CPU of a control group, calls that wait for a disk."""

from __future__ import annotations

import os
import re
import subprocess
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from support import peers

CPUACCT = Path("/sys/fs/cgroup/cpuacct")
SYNCS = "fsync,fdatasync,sync,syncfs,msync,sync_file_range"


def pss(pid: int) -> float:
    """Proportional set size of a process, in MB."""
    found = re.search(r"^Pss:\s+(\d+) kB", Path(f"/proc/{pid}/smaps_rollup").read_text(), re.MULTILINE)
    return int(found[1]) / 1024 if found else 0.0


def parent(pid: int) -> int:
    return int(Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[1])


def children(pid: int) -> list[int]:
    return [int(word) for word in Path(f"/proc/{pid}/task/{pid}/children").read_text().split()]


@contextmanager
def group(name: str) -> Iterator[Path | None]:
    """A cpuacct group of ours, for whatever is started with ``inside``; None where there is none to be had."""
    folder = CPUACCT / f"proa-bench-{name}-{os.getpid()}"
    try:
        folder.mkdir()
    except OSError:
        yield None
        return
    try:
        yield folder
    finally:
        _remove(folder)


def _remove(folder: Path) -> None:
    for _ in range(50):
        for pid in (folder / "cgroup.procs").read_text().split():
            (CPUACCT / "cgroup.procs").write_text(pid)
        try:
            folder.rmdir()
            return
        except OSError:
            time.sleep(0.1)


@contextmanager
def inside(folder: Path | None) -> Iterator[None]:
    """What is started meanwhile is counted in ``folder``."""
    if folder is None:
        yield
        return
    (folder / "cgroup.procs").write_text(str(os.getpid()))
    try:
        yield
    finally:
        (CPUACCT / "cgroup.procs").write_text(str(os.getpid()))


def cpu(folders: Sequence[Path | None]) -> float:
    """CPU used in these groups so far, in ms."""
    return sum(int((folder / "cpuacct.usage").read_text()) / 1e6 for folder in folders if folder and folder.exists())


@contextmanager
def syncs(pids: Sequence[int]) -> Iterator[list[str]]:
    """Calls that wait for a disk, made by these processes and their children meanwhile. Raises peers.Missing."""
    found: list[str] = []
    strace = peers.fetch(("strace",)) / "usr/bin/strace"
    with tempfile.NamedTemporaryFile(prefix="proa-strace-") as log:
        targets = [word for pid in pids for word in ("-p", str(pid))]
        tracer = subprocess.Popen(
            [strace, "-f", "-e", f"trace={SYNCS}", "-o", log.name, *targets], stderr=subprocess.PIPE, text=True
        )
        assert tracer.stderr
        for _ in pids:
            tracer.stderr.readline()
        try:
            yield found
        finally:
            tracer.terminate()
            tracer.communicate()
            found += [line for line in Path(log.name).read_text().splitlines() if re.search(r"\bf?(data)?sync", line)]
