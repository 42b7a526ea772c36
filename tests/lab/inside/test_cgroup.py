"""Cgroup version 2 for real: limits, the view from inside, freezing, killing, memory that runs out, devices."""

from __future__ import annotations

import json
import os
import signal
from pathlib import Path

import pytest

from support.box import IMAGE, Box

TREE = Path("/sys/fs/cgroup")


def read_inside(box: Box, name: str, *files: str) -> list[str]:
    """Control files as the container sees them."""
    return box.cli("exec", name, "sh", "-c", "cd /sys/fs/cgroup; cat " + " ".join(files)).ok().lines


def group(box: Box, name: str) -> Path:
    """The container's group as the host sees it."""
    pid = box.inspect(name, "{{.State.Pid}}")
    return TREE / Path(f"/proc/{pid}/cgroup").read_text().strip().removeprefix("0::/")


def test_limits_are_in_the_files(box: Box) -> None:
    flags = ["-m", "64m", "--memory-swap", "96m", "--cpus", "0.5", "--pids-limit", "33", "--cpu-shares", "2048"]
    box.detached("--name", "c1", *flags, IMAGE, "sleep", "600")
    files = ["memory.max", "memory.swap.max", "cpu.max", "pids.max", "cpu.weight"]
    assert read_inside(box, "c1", *files) == [str(64 << 20), str(32 << 20), "50000 100000", "33", "79"]


def test_no_limits(box: Box) -> None:
    box.detached("--name", "c1", IMAGE, "sleep", "600")
    assert read_inside(box, "c1", "memory.max", "cpu.max", "pids.max") == ["max", "max 100000", "max"]


def test_a_container_sees_its_own_group_alone(box: Box) -> None:
    box.detached("--name", "c1", IMAGE, "sleep", "600")
    assert box.cli("exec", "c1", "cat", "/proc/self/cgroup", "/proc/1/cgroup").lines == ["0::/", "0::/"]
    assert read_inside(box, "c1", "cgroup.procs")[0] == "1"
    (line,) = [line for line in box.cli("exec", "c1", "cat", "/proc/mounts").lines if " /sys/fs/cgroup " in line]
    kind, options = line.split()[2:4]
    assert kind == "cgroup2"
    assert {"ro", "nosuid", "nodev", "noexec", "relatime"} <= set(options.split(","))
    made = box.cli("exec", "c1", "mkdir", "/sys/fs/cgroup/mine")
    assert made.code == 1 and "Read-only file system" in made.error


def test_the_hosts_view_where_asked_for(box: Box) -> None:
    id = box.detached("--name", "c1", "--cgroupns", "host", IMAGE, "sleep", "600")
    (line,) = box.cli("exec", "c1", "cat", "/proc/self/cgroup").lines
    assert line.startswith("0::/proa.slice/proa-") and line.endswith(id)


def test_a_privileged_one_may_make_groups(box: Box) -> None:
    script = "mkdir /sys/fs/cgroup/mine && sh -c 'echo 0 >/sys/fs/cgroup/mine/cgroup.procs; cat /proc/self/cgroup'"
    assert box.run("--privileged", IMAGE, "sh", "-c", script).ok().text == "0::/mine"


def test_programs_are_born_in_the_group(box: Box) -> None:
    box.detached("--name", "c1", IMAGE, "sleep", "600")
    box.cli("exec", "-d", "c1", "sleep", "601").ok()
    box.until(lambda: len((group(box, "c1") / "cgroup.procs").read_text().split()) == 2)
    assert (group(box, "c1") / "cgroup.type").read_text() == "domain\n"


def test_freezing(box: Box) -> None:
    box.detached("--name", "c1", IMAGE, "sleep", "600")
    events = group(box, "c1") / "cgroup.events"
    box.cli("pause", "c1").ok()
    assert "frozen 1" in events.read_text()
    box.cli("unpause", "c1").ok()
    assert "frozen 0" in events.read_text()


def test_a_frozen_one_is_killed(box: Box) -> None:
    box.detached("--name", "c1", IMAGE, "sh", "-c", "sleep 601 & sleep 602 & wait")
    box.cli("pause", "c1").ok()
    there = group(box, "c1")
    box.cli("rm", "-f", "c1").ok()
    assert not there.exists()


def test_a_lost_shim_takes_its_group_along(box: Box) -> None:
    """Whoever notices kills by cgroup.kill: the program has ended before anything else is said."""
    box.detached("--name", "c1", IMAGE, "sh", "-c", "sleep 601 & sleep 602 & wait")
    there = group(box, "c1")
    program = int(box.inspect("c1", "{{.State.Pid}}"))
    shim = int(Path(f"/proc/{program}/stat").read_text().rpartition(")")[2].split()[1])
    os.kill(shim, signal.SIGKILL)
    box.until(lambda: box.inspect("c1", "{{.State.Status}}") == "exited", 20)
    assert box.inspect("c1", "{{.State.ExitCode}}") == "137"
    box.until(lambda: not there.exists())


def test_memory_that_runs_out_is_counted(box: Box) -> None:
    script = "dd if=/dev/zero of=/dev/null bs=48M count=1; grep '^oom_kill ' /sys/fs/cgroup/memory.events"
    result = box.run("--name", "c1", "-m", "32m", "--memory-swap", "32m", IMAGE, "sh", "-c", script)
    assert result.text == "oom_kill 1"


def test_devices_are_denied_by_the_group(box: Box) -> None:
    """Its root may make the node (CAP_MKNOD), and may not open it."""
    script = "mknod /tmp/vda b 254 0 && head -c 1 /tmp/vda; mknod /tmp/null c 1 3 && head -c 1 /tmp/null && echo fine"
    result = box.run(IMAGE, "sh", "-c", script)
    assert result.text == "fine"
    assert "Operation not permitted" in result.error


def test_usage(box: Box) -> None:
    box.detached("--name", "c1", IMAGE, "sleep", "600")
    there = group(box, "c1")
    assert int((there / "memory.current").read_text()) > 0
    assert int((there / "pids.current").read_text()) == 1


def test_info_names_the_version(box: Box) -> None:
    status, info = box.api("GET", "/info")
    assert status == 200
    assert (info["CgroupVersion"], info["MemoryLimit"], info["PidsLimit"], info["CpuCfsQuota"]) == (
        "2",
        True,
        True,
        True,
    )


def test_nothing_else_of_the_tree_is_touched(box: Box) -> None:
    before = {path: path.read_text() for path in TREE.glob("*.slice/*/cgroup.subtree_control")}
    box.run("-m", "64m", IMAGE, "true").ok()
    assert {path: path.read_text() for path in TREE.glob("*.slice/*/cgroup.subtree_control")} == before


@pytest.mark.parametrize("flag", ["--memory", "--cpus"])
def test_limits_are_told(box: Box, flag: str) -> None:
    box.create("--name", "c1", flag, {"--memory": "64m", "--cpus": "1.5"}[flag], IMAGE, "true")
    config = json.loads(box.inspect("c1", "{{json .HostConfig}}"))
    assert (config["Memory"], config["NanoCpus"]) == ((64 << 20, 0) if flag == "--memory" else (0, 1_500_000_000))
