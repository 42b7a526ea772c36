"""Making room in a delegated subtree: against a tree that plays the kernel's rule, since few hosts have one to give."""

import errno
import os
from pathlib import Path
from typing import Any

import pytest

from proa.cgroup import delegated, tree

CONTROLLERS = "cpu memory pids"


class Kernel:
    """Processes and controllers of directories; a group with processes hands nothing down."""

    def __init__(self, place: Path, processes: list[str]) -> None:
        self.place = str(place)
        self.processes = {self.place: processes}
        self.handed: set[str] = set()
        self.stubborn = False

    def read(self, path: str) -> str:
        group, name = os.path.split(path)
        if name == "cgroup.procs":
            return "\n".join(self.processes.get(group, []))
        return CONTROLLERS if name == "cgroup.controllers" else " ".join(sorted(self.handed))

    def write(self, path: str, text: str) -> None:
        group, name = os.path.split(path)
        if name == "cgroup.procs":
            self._move(text, group)
        else:
            self._control(group, text.split())

    def _move(self, pid: str, group: str) -> None:
        if self.stubborn:
            raise OSError(errno.EACCES, "not yours")
        if group == self.place and self.handed:
            raise OSError(errno.EBUSY, "hands down controllers")
        for pids in self.processes.values():
            if pid in pids:
                pids.remove(pid)
        self.processes.setdefault(group, []).append(pid)

    def _control(self, group: str, words: list[str]) -> None:
        if any(word[0] == "+" for word in words) and self.processes[group]:
            raise OSError(errno.EBUSY, "has processes")
        for word in words:
            (self.handed.add if word[0] == "+" else self.handed.discard)(word[1:])


@pytest.fixture
def kernel(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Kernel:
    (tmp_path / "cgroup.type").write_text("domain\n")
    made = Kernel(tmp_path, ["10", "11"])
    monkeypatch.setattr(delegated, "read", made.read)
    monkeypatch.setattr(delegated, "write", made.write)
    monkeypatch.setattr(tree, "remove", os.rmdir)
    return made


def value(kernel: Kernel) -> Any:
    return {"version": 2, "parent": "proa-1", "mounts": {"": kernel.place}}


def test_processes_move_into_a_leaf_and_back(kernel: Kernel) -> None:
    delegated.make_room(value(kernel))
    leaf = kernel.place + "/proa-1.engine"
    assert kernel.processes == {kernel.place: [], leaf: ["10", "11"]}
    assert kernel.handed == set(CONTROLLERS.split())
    delegated.make_room(value(kernel))
    delegated.give_back(value(kernel))
    assert kernel.processes == {kernel.place: ["10", "11"], leaf: []} and not kernel.handed
    assert not os.path.exists(leaf)


def test_nothing_is_given_back_while_a_container_runs(kernel: Kernel) -> None:
    delegated.make_room(value(kernel))
    os.mkdir(kernel.place + "/proa-1")
    delegated.give_back(value(kernel))
    assert kernel.handed and kernel.processes[kernel.place] == []


def test_an_empty_place_needs_no_leaf(kernel: Kernel) -> None:
    kernel.processes[kernel.place] = []
    delegated.make_room(value(kernel))
    assert kernel.handed and not os.path.exists(kernel.place + "/proa-1.engine")


def test_the_root_of_the_tree_is_left_alone(kernel: Kernel) -> None:
    os.unlink(kernel.place + "/cgroup.type")
    delegated.make_room(value(kernel))
    assert not kernel.handed and kernel.processes[kernel.place] == ["10", "11"]


def test_processes_that_may_not_be_moved(kernel: Kernel) -> None:
    kernel.stubborn = True
    delegated.make_room(value(kernel))
    assert not kernel.handed and not os.path.exists(kernel.place + "/proa-1.engine")


@pytest.mark.parametrize("version", [0, 1])
def test_other_versions(version: int) -> None:
    other: Any = {"version": version, "parent": "proa-1", "mounts": {}}
    delegated.make_room(other)
    delegated.give_back(other)
