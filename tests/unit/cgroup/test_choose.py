"""Reading what is mounted."""

from pathlib import Path
from typing import Any

import pytest

from proa.cgroup import choose

V1 = """\
32 31 0:29 / {base}/cpu,cpuacct rw,relatime - cgroup cgroup rw,cpu,cpuacct
35 31 0:32 / {base}/memory rw shared:5 - cgroup cgroup rw,memory
36 31 0:32 / {base}/pids rw - cgroup cgroup rw,pids
40 31 0:37 / {base}/systemd rw - cgroup cgroup rw,xattr,name=systemd
41 31 0:38 / {base}/unified rw - cgroup2 cgroup2 rw
"""
V2 = "41 31 0:38 / {base}/two\\040words rw - cgroup2 cgroup2 rw,nsdelegate\n"


def mountinfo(tmp_path: Path, text: str) -> str:
    path = tmp_path / "mountinfo"
    path.write_text(text.replace("{base}", str(tmp_path)))
    return str(path)


def test_version_one_with_hierarchies_together(tmp_path: Path) -> None:
    for name in ("cpu,cpuacct", "memory", "unified"):
        (tmp_path / name).mkdir()
    found = choose.detect("proa-1", mountinfo(tmp_path, V1), "/nonexistent")
    base = str(tmp_path)
    assert found == {
        "version": 1,
        "parent": "proa-1",
        "mounts": {
            "cpu": base + "/cpu,cpuacct",
            "cpuacct": base + "/cpu,cpuacct",
            "memory": base + "/memory",
            "unified": base + "/unified",
        },
    }
    assert list(choose.open(found, "x").hierarchies) == ["cpu,cpuacct", "memory"]


def test_version_two_and_a_delegated_subtree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    own = tmp_path / "two words/user.slice/me"
    own.mkdir(parents=True)
    (tmp_path / "two words/cgroup.controllers").write_text("cpu memory pids\n")
    (own / "cgroup.controllers").write_text("memory pids\n")
    (tmp_path / "own").write_text("0::/user.slice/me\n")
    info = mountinfo(tmp_path, V2)
    found = choose.detect("proa-1", info, str(tmp_path / "own"))
    assert found == {"version": 2, "parent": "proa-1", "mounts": {"": str(tmp_path / "two words")}}
    monkeypatch.setattr(choose, "_may_make", lambda base, parent: base == str(own))
    found = choose.detect("proa-1", info, str(tmp_path / "own"))
    assert found["mounts"] == {"": str(own)}


def test_a_delegated_group_comes_before_the_top(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """And an engine that has made room there already finds the same place again, not its own leaf."""
    own = tmp_path / "two words/proa.slice/proa-1.scope"
    own.mkdir(parents=True)
    for place in (tmp_path / "two words", own):
        (place / "cgroup.controllers").write_text("cpu memory pids\n")
    monkeypatch.setattr(choose, "_delegated", lambda path: path == str(own))
    for line in ("0::/proa.slice/proa-1.scope\n", "0::/proa.slice/proa-1.scope/proa-1.engine\n"):
        (tmp_path / "own").write_text(line)
        found = choose.detect("proa-1", mountinfo(tmp_path, V2), str(tmp_path / "own"))
        assert found == {"version": 2, "parent": "proa-1", "mounts": {"": str(own)}}


def test_nothing(tmp_path: Path) -> None:
    assert choose.detect("proa-1", mountinfo(tmp_path, ""), "/nonexistent")["version"] == 0
    value: Any = choose.detect("proa-1", mountinfo(tmp_path, V1), "/nonexistent")  # mounted, but not for us to write in
    assert value["version"] == 0 and choose.leftovers(value) == []
