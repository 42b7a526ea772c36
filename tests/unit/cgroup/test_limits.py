"""Which file gets which number, on plain files: what this host's kernel does not have is tested too."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from proa.cgroup import v1
from proa.cgroup.v1 import V1
from proa.cgroup.v2 import V2

MiB = 1 << 20


def files(directory: Path, *names: str) -> Path:
    directory.mkdir(parents=True)
    for name in names:
        (directory / name).touch()
    return directory


def content(directory: Path) -> dict[str, str]:
    return {path.name: path.read_text() for path in directory.iterdir() if path.read_text()}


@pytest.mark.parametrize(
    ("resources", "written"),
    [
        ({"memory": {"limit": 64 * MiB}}, {"memory.max": str(64 * MiB), "memory.swap.max": str(64 * MiB)}),
        ({"memory": {"limit": MiB, "swap": MiB}}, {"memory.max": str(MiB), "memory.swap.max": "0"}),
        ({"memory": {"limit": MiB, "swap": 3 * MiB}}, {"memory.max": str(MiB), "memory.swap.max": str(2 * MiB)}),
        ({"memory": {"limit": MiB, "swap": -1}}, {"memory.max": str(MiB), "memory.swap.max": "max"}),
        ({"memory": {"limit": -1}}, {"memory.max": "max", "memory.swap.max": "max"}),
        ({"memory": {"reservation": 5}}, {"memory.low": "5"}),
        ({"cpu": {"quota": 50_000, "period": 100_000}}, {"cpu.max": "50000 100000"}),
        ({"cpu": {"quota": 50_000}}, {"cpu.max": "50000 100000"}),
        ({"cpu": {"quota": -1, "period": 50_000}}, {"cpu.max": "max 50000"}),
        ({"cpu": {"shares": 1024}}, {"cpu.weight": "39"}),
        ({"pids": {"limit": 7}}, {"pids.max": "7"}),
        ({"pids": {"limit": 0}}, {"pids.max": "max"}),
        ({}, {}),
    ],
)
def test_version_two(tmp_path: Path, resources: Any, written: dict[str, str]) -> None:
    names = ("memory.max", "memory.swap.max", "memory.low", "cpu.max", "cpu.weight", "pids.max")
    directory = files(tmp_path / "proa-1/x", *names)
    V2(str(tmp_path), "proa-1", "x").update(resources)
    assert content(directory) == written


@pytest.mark.parametrize(
    ("resources", "written"),
    [
        (
            {"memory": {"limit": MiB}},
            {"memory.limit_in_bytes": str(MiB), "memory.memsw.limit_in_bytes": str(2 * MiB)},
        ),
        (
            {"memory": {"limit": MiB, "swap": -1}},
            {"memory.limit_in_bytes": str(MiB), "memory.memsw.limit_in_bytes": "-1"},
        ),
        ({"memory": {"limit": -1}}, {"memory.limit_in_bytes": "-1", "memory.memsw.limit_in_bytes": "-1"}),
        ({"memory": {"reservation": 5}}, {"memory.soft_limit_in_bytes": "5"}),
        ({"cpu": {"quota": -1, "period": 50_000}}, {"cpu.cfs_quota_us": "-1", "cpu.cfs_period_us": "50000"}),
        ({"cpu": {"shares": 0, "quota": 0}}, {}),
        ({"cpu": {"shares": 512}}, {"cpu.shares": "512"}),
        ({"pids": {"limit": -1}}, {"pids.max": "max"}),
    ],
)
def test_version_one(tmp_path: Path, resources: Any, written: dict[str, str]) -> None:
    names = ("memory.limit_in_bytes", "memory.memsw.limit_in_bytes", "memory.soft_limit_in_bytes")
    names += ("cpu.cfs_quota_us", "cpu.cfs_period_us", "cpu.shares", "pids.max")
    directory = files(tmp_path / "proa-1/x", *names)
    V1(dict.fromkeys(("memory", "cpu", "pids"), str(tmp_path)), "proa-1", "x").update(resources)
    assert content(directory) == written


def test_raising_both_limits_starts_with_the_outer_one(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    directory = files(tmp_path / "p/x", "memory.limit_in_bytes", "memory.memsw.limit_in_bytes")
    kept = {"memory.limit_in_bytes": 100, "memory.memsw.limit_in_bytes": 200}
    order: list[str] = []

    def write(path: str, text: str) -> None:
        """As the kernel: memory may never exceed memory and swap."""
        name, value = os.path.basename(path), int(text)
        changed = kept | {name: value}
        if changed["memory.limit_in_bytes"] > changed["memory.memsw.limit_in_bytes"]:
            raise OSError(errno.EINVAL, "invalid", path)
        kept.update(changed)
        order.append(name)

    monkeypatch.setattr(v1, "write", write)
    group = V1({"memory": str(tmp_path)}, "p", "x")
    group.update({"memory": {"limit": 300, "swap": 600}})
    assert kept == {"memory.limit_in_bytes": 300, "memory.memsw.limit_in_bytes": 600}
    group.update({"memory": {"limit": 50, "swap": 60}})
    assert kept == {"memory.limit_in_bytes": 50, "memory.memsw.limit_in_bytes": 60}
    assert order == sorted(kept, reverse=True) + sorted(kept)
    assert directory.is_dir()


def test_a_controller_that_is_missing_is_named(tmp_path: Path) -> None:
    group = V1({"pids": str(tmp_path)}, "p", "x")
    for name in ("memory", "cpu"):
        resources: Any = {name: {"limit": 1, "quota": 1}}
        with pytest.raises(OSError, match=f"controller {name} is not there"):
            group.create(resources)
    assert list(tmp_path.iterdir()) == []
