"""Containers in their cgroups: what is counted there, what they see of it, what they may open."""

import secrets
from collections.abc import Iterator
from typing import Any

import pytest

from proa.cgroup import choose
from proa.runtime import defaults
from proa.runtime.messages import StartFailure


@pytest.fixture
def group() -> Iterator[Any]:
    """A group with Docker's device rules and few processes; skipped where none can be made."""
    value = choose.detect("proa-" + secrets.token_hex(4))
    if not value["version"]:
        pytest.skip("no cgroup can be made on this host")
    made = choose.open(value, "one")
    made.create({"devices": defaults.DEVICE_RULES, "pids": {"limit": 12}, "memory": {"limit": 32 << 20}})
    yield made
    made.kill()
    made.close()
    made.remove()
    choose.forget(value)


def shown(spec: Any) -> None:
    spec["mounts"] = defaults.mounts(1)


def test_a_container_is_born_in_its_group_and_sees_nothing_above(box: Any, group: Any) -> None:
    script = "cat /proc/self/cgroup; ls /sys/fs/cgroup; mkdir /sys/fs/cgroup/memory/x; cat /sys/fs/cgroup/*/pids.max"
    _, text = box.run(script, group=group, change=shown)
    if group.version == 1:
        lines = text.splitlines()
        assert all(line.endswith(":/") for line in lines if line[:1].isdigit() and ":" in line)
        for name in ("cpu", "devices", "memory", "pids"):
            assert name in lines
    assert "Read-only file system" in text and text.splitlines()[-1] == "12"


def test_without_a_cgroup_namespace_no_hierarchy_is_shown(box: Any, group: Any) -> None:
    def change(spec: Any) -> None:
        shown(spec)
        spec["linux"]["namespaces"] = [one for one in spec["linux"]["namespaces"] if one["type"] != "cgroup"]

    assert box.run(["ls", "/sys/fs/cgroup"], group=group, change=change) == (0, "")


def test_programs_beside_it_are_in_the_group_too(box: Any, group: Any) -> None:
    spec, root = box.spec(["sleep", "100"])
    beside = box.start(spec, root, group=group)
    other = box.exec(beside, ["sleep", "100"], joins=group.joins())
    assert sorted(group.pids()) == sorted([beside.init.pid, other.init.pid])
    assert group.usage()["pids"] == 2
    group.freeze(True)
    group.freeze(False)
    assert group.kill()
    assert (other.finish()[0], beside.finish()[0]) == (137, 137)


def test_devices_that_may_be_made_but_not_opened(box: Any, group: Any) -> None:
    script = "mknod /tmp/disk b 8 0 && cat /tmp/disk; echo fine > /dev/null; head -c 2 /dev/zero | wc -c"
    for name in ("mknod", "head", "wc"):
        (box.image / "bin" / name).symlink_to("busybox")
    _, text = box.run(script, group=group)
    assert text == "cat: can't open '/tmp/disk': Operation not permitted\n2\n"


def test_a_fork_bomb_stops_at_the_limit(box: Any, group: Any) -> None:
    _, text = box.run("for i in 1 2 3 4 5 6 7 8 9 a b c d e; do sleep 1 & done; true", group=group)
    assert "can't fork" in text


def test_memory_for_the_program_alone(box: Any, group: Any) -> None:
    (box.image / "bin/dd").symlink_to("busybox")
    fill = ["dd", "if=/dev/zero", "of=/dev/shm/x", "bs=1M", "count=60"]
    assert box.run(fill, group=group) == (137, "") and group.oom_kills() == 1


def test_a_limit_too_small_to_start_says_so(box: Any) -> None:
    value = choose.detect("proa-" + secrets.token_hex(4))
    if not value["version"]:
        pytest.skip("no cgroup can be made on this host")
    group = choose.open(value, "tiny")
    resources = {"memory": {"limit": 256 << 10}}
    group.create(resources)

    def change(spec: Any) -> None:
        spec["linux"]["resources"] = resources

    try:
        with pytest.raises(StartFailure, match="memory limit too low"):
            box.run(["true"], group=group, change=change)
    finally:
        group.close()
        group.remove()
        choose.forget(value)
