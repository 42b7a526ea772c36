"""The kernel line, proved: a program in a VM runs on another kernel; a second VM of a shape is a restore of the first.

Read inside: a nonce, boot_id, /proc/version, machine-id, getrandom, hostname. Read outside: QEMU's pid and start time.
"""

from __future__ import annotations

import os
import re
import secrets
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from support.box import IMAGE, Box, proa

RUNS = 10
TELL = (
    "echo {nonce} > /tmp/nonce; cat /tmp/nonce /proc/sys/kernel/random/boot_id /proc/version /etc/machine-id;"
    " head -c 16 /dev/urandom | od -An -tx1 | tr -d ' '; hostname; date +%s; cut -d' ' -f1 /proc/uptime"
)


@dataclass(frozen=True)
class Told:
    """What a program said of where it runs."""

    nonce: str
    boot: str
    version: str
    machine: str
    random: str
    hostname: str
    date: str
    uptime: str


@pytest.fixture(scope="module")
def box(image_tar: Path) -> Iterator[Box]:
    with proa(image_tar, "vm") as box:
        first = box.run(IMAGE, "true", timeout=120)
        if first.code and "setup" in first.error:
            pytest.skip(first.error)
        first.ok()
        yield box


def tell(box: Box, nonce: str) -> tuple[str, Told]:
    """One run: the container's id, and what it said."""
    name = f"line{nonce}"
    done = box.cli("run", "--name", name, *box.flags, IMAGE, "sh", "-c", TELL.format(nonce=nonce)).ok()
    return box.inspect(name, "{{.Id}}"), Told(*done.lines)


def template(box: Box) -> Path:
    """The directory of the only template there is."""
    assert box.root
    (found,) = [path for path in (box.root / "state" / "templates").iterdir() if path.is_dir()]
    return found


def read(path: str) -> str:
    return Path(path).read_text().strip()


def started(pid: int) -> float:
    """When a process began, seconds since the epoch: proc(5), stat field 22, and the boot's time."""
    ticks = int(read(f"/proc/{pid}/stat").rpartition(")")[2].split()[19])
    booted = next(int(line.split()[1]) for line in read("/proc/stat").splitlines() if line.startswith("btime"))
    return booted + ticks / os.sysconf("SC_CLK_TCK")


def test_another_kernel(box: Box) -> None:
    nonce = secrets.token_hex(8)
    _, told = tell(box, nonce)
    assert told.nonce == nonce
    assert told.boot != read("/proc/sys/kernel/random/boot_id")
    assert told.version != read("/proc/version")
    release = told.version.split()[2]
    assert release != os.uname().release
    assert box.inspect(f"line{nonce}", "{{.Hull.Kind}} {{.Hull.Kernel}}") == f"vm {release}"
    assert box.run("--isolation", "process", IMAGE, "cat", "/proc/version").text == read("/proc/version")


def test_a_process_of_the_host_carries_it(box: Box) -> None:
    """The pid that inspect tells is a QEMU that began with this container, another one for each."""
    seen = {}
    for _ in range(2):
        before = time.time()
        id = box.detached(IMAGE, "sleep", "600")
        pid = int(box.inspect(id, "{{.State.Pid}}"))
        assert "qemu-system" in os.readlink(f"/proc/{pid}/exe")
        assert before - 1.1 <= started(pid) <= time.time() + 1.1  # btime has whole seconds
        seen[pid] = id
    assert len(seen) == 2
    inside = box.cli("exec", next(iter(seen.values())), "ps", "-o", "args").ok().text
    assert "qemu" not in inside and "sleep 600" in inside
    box.cli("rm", "-f", *seen.values()).ok()
    box.until(lambda: not any(os.path.exists(f"/proc/{pid}/exe") for pid in seen), 2)


def test_ten_runs_are_one_boot(box: Box) -> None:
    """One boot, told by the guest's console and by boot_id; what must differ between machines does."""
    runs = [tell(box, secrets.token_hex(8)) for _ in range(RUNS)]
    console = (template(box) / "console.log").read_text()
    boots = re.findall(r"booted ([0-9a-f-]{36})", console)
    assert len(boots) == 1, console
    told = [one for _, one in runs]
    assert {one.boot for one in told} == set(boots)
    assert len({one.version for one in told}) == 1
    assert len({one.machine for one in told}) == RUNS and all(re.fullmatch("[0-9a-f]{32}", one.machine) for one in told)
    assert len({one.random for one in told}) == RUNS
    assert [one.hostname for one in told] == [id[:12] for id, _ in runs]
    now = time.time()
    assert all(now - 600 < int(one.date) <= now + 1 for one in told)
    assert sorted(int(one.date) for one in told) == [int(one.date) for one in told]


def test_randomness_differs_at_once(box: Box) -> None:
    """The very first bytes that a program draws, by getrandom(2) and from the two devices, and ASLR's choice."""
    parts = ["head -c 8 /dev/random | od -An -tx1", "grep stack /proc/self/maps | cut -d- -f1"]
    program = "; ".join([*parts, "cat /proc/sys/kernel/random/uuid"])
    seen = [box.run(IMAGE, "sh", "-c", program).ok().lines for _ in range(3)]
    for column in zip(*seen, strict=True):
        assert len(set(column)) == 3, seen
