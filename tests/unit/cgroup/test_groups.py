"""Groups against this kernel: limits, joining, freezing, killing, memory running out, removal."""

import os
import select
import signal
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proa.cgroup import choose, tree
from proa.cgroup.none import Nothing
from proa.cgroup.v1 import V1
from proa.cgroup.v2 import V2, weight
from proa.linux import clone, pidfd
from proa.runtime import defaults


def child(group: Any, work: Callable[[], None]) -> tuple[int, int]:
    """(pid, pidfd) of a process that was born in the group, or joins it by itself, and then works."""
    pid, fd = clone.clone(0, group.into())
    if pid == 0:
        try:
            for one in group.joins():
                os.write(one, b"0")
            work()
        finally:
            os._exit(0)
    return pid, fd


def wait_for(true: Callable[[], bool]) -> None:
    end = time.monotonic() + 5
    while not true():
        assert time.monotonic() < end
        time.sleep(0.005)


def sleep() -> None:
    time.sleep(100)


def test_a_life(value: Any) -> None:
    group = choose.open(value, "a")
    group.create({"devices": defaults.DEVICE_RULES, "pids": {"limit": 5}, "cpu": {"quota": 50_000, "period": 100_000}})
    pid, fd = child(group, sleep)
    again = choose.open(value, "a")
    wait_for(lambda: again.usage()["pids"] == 1)
    assert group.pids() == again.pids() == [pid]
    assert choose.leftovers(value) == ["a"]
    group.freeze(True)
    group.freeze(False)
    group.freeze(True)
    assert again.kill()
    assert pidfd.status(fd, block=True) == 137
    os.close(fd)
    group.close()
    group.remove()
    group.remove()
    assert choose.leftovers(value) == []


def test_joining_from_outside(value: Any) -> None:
    group = choose.open(value, "b")
    group.create({})
    pid, fd = clone.clone()
    if pid == 0:
        try:
            sleep()
        finally:
            os._exit(0)
    group.join(pid)
    assert group.pids() == [pid]
    group.kill()
    assert pidfd.status(fd, block=True) == 137
    os.close(fd)
    group.close()
    group.remove()


def test_too_many_processes(value: Any) -> None:
    group = choose.open(value, "c")
    group.create({"pids": {"limit": 1}})

    def work() -> None:
        try:
            os.fork()
        except BlockingIOError:
            os._exit(7)

    _, fd = child(group, work)
    assert pidfd.status(fd, block=True) == 7
    os.close(fd)
    group.close()
    group.remove()


def test_memory_runs_out_and_is_seen(value: Any) -> None:
    group = choose.open(value, "d")
    group.create({"memory": {"limit": 16 << 20}})
    woken, events = group.oom_fd()
    poll = select.poll()
    poll.register(woken, events)

    def work() -> None:
        bytearray(64 << 20).replace(b"\0", b"1")

    _, fd = child(group, work)
    assert pidfd.status(fd, block=True) == 128 + signal.SIGKILL
    os.close(fd)
    assert group.oom_kills() == 1
    assert poll.poll(2000)
    group.update({"memory": {"limit": 256 << 20}})
    _, fd = child(group, work)
    assert pidfd.status(fd, block=True) == 0
    os.close(fd)
    group.close()
    group.remove()


def test_removal_waits_for_the_last_process(value: Any) -> None:
    group = choose.open(value, "e")
    group.create({})
    _, fd = child(group, lambda: time.sleep(0.1))
    group.close()
    wait_for(lambda: group.pids() != [] or pidfd.status(fd) is not None)
    group.remove()
    pidfd.status(fd, block=True)
    os.close(fd)


def test_a_refused_limit_leaves_nothing(value: Any) -> None:
    group = choose.open(value, "f")
    with pytest.raises(OSError) as caught:
        group.create({"cpu": {"quota": 1, "period": 1}})
    assert caught.value.filename
    assert choose.leftovers(value) == []


def test_version_two_alone(unified: Path) -> None:
    """On a hybrid host its tree has no controllers: the same life without limits, and a clear no to limits."""
    group = V2(str(unified), "proa-00000000", "x")
    group.create({"devices": defaults.DEVICE_RULES})
    pid, fd = child(group, sleep)
    wait_for(lambda: group.pids() == [pid])
    group.freeze(True)
    assert group.kill()
    assert pidfd.status(fd, block=True) == 137
    os.close(fd)
    assert group.usage()["cpu"] > 0
    group.close()
    group.remove()
    if "memory" not in (unified / "cgroup.controllers").read_text():
        with pytest.raises(OSError, match="memory is not there"):
            group.create({"memory": {"limit": 1 << 26}})
    tree.remove(str(unified / "proa-00000000"))


def test_version_one_without_a_version_two_tree(value: Any) -> None:
    if value["version"] != 1:
        pytest.skip("version 1 is not mounted")
    mounts = {name: base for name, base in value["mounts"].items() if name != "unified"}
    base = mounts["pids"].rpartition("/")[0] + "/freezer"
    if os.path.isdir(base):
        mounts["freezer"] = base
    group = V1(mounts, value["parent"], "g")
    group.create({})
    pid, fd = child(group, sleep)
    wait_for(lambda: group.pids() == [pid])
    if "freezer" in mounts:
        group.freeze(True)
    assert group.kill()
    assert pidfd.status(fd, block=True) == 137
    os.close(fd)
    group.close()
    group.remove()
    if "freezer" in mounts:
        os.rmdir(f"{base}/{value['parent']}")


def test_nothing_limits_nothing() -> None:
    group = choose.open({"version": 0, "parent": "proa-0", "mounts": {}}, "x")
    assert isinstance(group, Nothing)
    group.create({"devices": defaults.DEVICE_RULES})
    assert (group.into(), list(group.joins()), group.kill(), group.oom_kills()) == (-1, [], False, 0)
    for call in (lambda: group.create({"pids": {"limit": 5}}), lambda: group.freeze(True)):
        with pytest.raises(OSError):
            call()
    group.remove()


def test_shares_as_weight() -> None:
    assert [weight(shares) for shares in (0, 2, 1024, 262_144, 10**9)] == [1, 1, 39, 10_000, 10_000]
