"""Leak check: what there is of ours before and after, compared.

    before = check.snapshot()
    …                                   start engines, run, kill, end them
    assert check.leaks(before, check.snapshot(), marks) == []

Kinds: processes, mounts of every mount namespace, cgroup directories, links of every network namespace, nftables
rules of each, unix sockets, loop devices, /dev/shm, temporary directories, and what an engine left in its RUN.
``marks`` are texts that make a thing ours (a root, an engine's id). Without marks everything new counts, which is
right for a machine where nothing else happens.
"""

from __future__ import annotations

import os
import re
import tempfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from . import netfilter

Things = dict[str, str]
"""What there is of one kind: identity → description (where marks are looked for)."""


@dataclass(frozen=True)
class Leak:
    kind: str
    what: str

    def __str__(self) -> str:
        return f"{self.kind}: {self.what}"


@dataclass(frozen=True)
class Snapshot:
    things: dict[str, Things] = field(default_factory=dict)


def snapshot() -> Snapshot:
    """What there is now."""
    return Snapshot({kind: collect() for kind, collect in KINDS.items()})


def leaks(before: Snapshot, after: Snapshot, marks: Iterable[str] = ()) -> list[Leak]:
    """What ``after`` has and ``before`` had not, if it bears one of ``marks`` (or there are none)."""
    wanted = tuple(marks)
    found = []
    for kind, things in after.things.items():
        for identity, description in things.items():
            if identity in before.things[kind]:
                continue
            if not wanted or any(mark in identity or mark in description for mark in wanted):
                found.append(Leak(kind, f"{identity} {description}"))
    return found


def processes() -> Things:
    """Every process but this one's family and the kernel's threads, by pid and start time."""
    family = {os.getpid(), os.getppid()}
    return {
        f"{pid} started {start}": description
        for pid in pids()
        if pid not in family and (start := _start(pid)) and (description := describe(pid))
    }


def pids() -> list[int]:
    return [int(name) for name in os.listdir("/proc") if name.isdigit()]


def describe(pid: int) -> str:
    """Whose a process is: program, arguments, root, cgroup, open files, PROA_ROOT. A kernel thread is ""."""
    text = [_link(f"/proc/{pid}/exe"), _read(f"/proc/{pid}/cmdline").replace("\0", " "), _state(pid)]
    if not text[0] and not text[1]:
        return " ".join(text) if "Z" in text[2] else ""
    text += [_link(f"/proc/{pid}/cwd"), _link(f"/proc/{pid}/root"), _read(f"/proc/{pid}/cgroup").replace("\n", " ")]
    text += [part for part in _read(f"/proc/{pid}/environ").split("\0") if part.startswith("PROA_")]
    return " ".join([*text, *descriptors(pid)])


def descriptors(pid: int) -> list[str]:
    """What a process's descriptors point to."""
    folder = f"/proc/{pid}/fd"
    try:
        return [_link(f"{folder}/{name}") for name in os.listdir(folder)]
    except OSError:
        return []


def mounts() -> Things:
    """Every mount of every mount namespace that a process is in."""
    found: Things = {}
    for namespace, pid in _namespaces("mnt").items():
        for line in _read(f"/proc/{pid}/mountinfo").splitlines():
            parts = line.split(" ")
            found[f"{namespace} {parts[0]} {parts[4]}"] = line
    return found


def cgroups() -> Things:
    """Every cgroup directory below every mounted hierarchy."""
    found: Things = {}
    for line in _read("/proc/self/mountinfo").splitlines():
        left, _, right = line.partition(" - ")
        if right.split(" ")[0] in ("cgroup", "cgroup2"):
            top = left.split(" ")[4]
            found.update({folder: "" for folder, _, _ in os.walk(top)})
    return found


def links() -> Things:
    """Every network link of every network namespace that a process is in."""
    found: Things = {}
    for namespace, pid in _namespaces("net").items():
        for line in _read(f"/proc/{pid}/net/dev").splitlines()[2:]:
            found[f"{namespace} {line.split(':')[0].strip()}"] = describe(pid) if namespace != _own("net") else ""
    return found


def rules() -> Things:
    """Every nftables table and rule of every network namespace that a process is in."""
    found: Things = {}
    for namespace, pid in _namespaces("net").items():
        for name in netfilter.ruleset(pid):
            found[f"{namespace} {name}"] = ""
    return found


def sockets() -> Things:
    """Every unix socket that has a name."""
    found: Things = {}
    for namespace, pid in _namespaces("net").items():
        for line in _read(f"/proc/{pid}/net/unix").splitlines()[1:]:
            parts = line.split(None, 7)
            if len(parts) == 8:
                found[f"{namespace} {parts[6]} {parts[7]}"] = ""
    return found


def loops() -> Things:
    """Every loop device that is in use."""
    return {
        str(path.parents[1]): path.read_text().strip() for path in Path("/sys/block").glob("loop*/loop/backing_file")
    }


def shared_memory() -> Things:
    return {f"/dev/shm/{name}": "" for name in _list("/dev/shm")}


def temporaries() -> Things:
    """Temporary files and directories that bear our name."""
    folders = {tempfile.gettempdir(), "/tmp", "/var/tmp"}
    return {
        f"{folder}/{name}": "" for folder in folders for name in _list(folder) if name.startswith(("proa-", "proa."))
    }


KINDS: dict[str, Callable[[], Things]] = {
    "process": processes,
    "mount": mounts,
    "cgroup": cgroups,
    "link": links,
    "nft rule": rules,
    "unix socket": sockets,
    "loop device": loops,
    "shared memory": shared_memory,
    "temporary": temporaries,
}

STAYS = re.compile(r"^(engine\.lock|boot|s|containers)$")
"""What an ended engine may leave in RUN: the lock, the boot id, empty directories."""


def left_in_run(run: Path) -> list[Leak]:
    """What an engine that has ended, its containers too, left in its RUN directory."""
    found = []
    for path in sorted(run.rglob("*")) if run.is_dir() else ():
        relative = str(path.relative_to(run))
        if not STAYS.match(relative) or (path.is_dir() and any(path.iterdir())):
            found.append(Leak("RUN", relative))
    return found


def grown(before: list[str], after: list[str]) -> list[Leak]:
    """Descriptors that a process has more of, by what they point to (inode numbers aside)."""
    rest = sorted(map(_shape, before))
    found = []
    for target in sorted(map(_shape, after)):
        if target in rest:
            rest.remove(target)
        else:
            found.append(Leak("descriptor", target))
    return found


def _shape(target: str) -> str:
    return re.sub(r"\d+", "N", target)


def _namespaces(kind: str) -> dict[str, int]:
    """Each namespace of ``kind`` that a process is in, and one process that is."""
    found: dict[str, int] = {}
    for pid in sorted(pids()):
        name = _link(f"/proc/{pid}/ns/{kind}")
        if name:
            found.setdefault(name, pid)
    return found


def _own(kind: str) -> str:
    return _link(f"/proc/self/ns/{kind}")


def _start(pid: int) -> str:
    stat = _read(f"/proc/{pid}/stat")
    return stat.rpartition(")")[2].split()[19] if ")" in stat else ""


def _state(pid: int) -> str:
    stat = _read(f"/proc/{pid}/stat")
    return stat.rpartition(")")[2].split()[0] if ")" in stat else ""


def _read(path: str) -> str:
    try:
        return Path(path).read_bytes().decode("utf-8", "surrogateescape")
    except OSError:
        return ""


def _link(path: str) -> str:
    try:
        return os.readlink(path)
    except OSError:
        return ""


def _list(path: str) -> Iterator[str]:
    try:
        yield from os.listdir(path)
    except OSError:
        return
