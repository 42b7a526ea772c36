"""When a group thrashes, and who is killed then."""

from __future__ import annotations

import select
from collections.abc import Callable
from pathlib import Path

import pytest

from proa.hull.vm.guest import stall

M = 1 << 20


class Loop:
    def __init__(self) -> None:
        self.handler: Callable[[int], None] = lambda _events: None

    def add(self, _fd: int, handler: Callable[[int], None], mask: int) -> None:
        assert mask == select.EPOLLPRI
        self.handler = handler


def test_what_is_left_to_take() -> None:
    assert stall.left("anon 30000000\nfile 20000000\nshmem 19900000\nslab_reclaimable 50000\n") == 150_000
    assert stall.left("") == 0


def _process(proc: Path, pid: int, score: int, pages: int) -> str:
    (proc / str(pid)).mkdir()
    (proc / str(pid) / "oom_score").write_text(f"{score}\n")
    (proc / str(pid) / "statm").write_text(f"9999 {pages} 1 1 0 1 0\n")
    return str(pid)


def test_who_is_killed(tmp_path: Path) -> None:
    pids = [_process(tmp_path, *one) for one in ((5, 666, 10), (6, 667, 5), (7, 667, 90), (8, 0, 9000))]
    assert stall.worst([*pids, "4242"], str(tmp_path)) == 7
    assert stall.worst(["8", "4242"], str(tmp_path)) == 0


def test_a_burst_is_none_and_streaming_is_none(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "memory.pressure").write_text("")
    (tmp_path / "memory.max").write_text(f"{32 * M}\n")
    (tmp_path / "cgroup.procs").write_text("41\n42\n")
    now, killed, told = [100.0], list[int](), list[bool]()
    monkeypatch.setattr(stall.time, "monotonic", lambda: now[0])
    monkeypatch.setattr(stall, "worst", lambda pids: int(pids[-1]))
    monkeypatch.setattr(stall.os, "kill", lambda pid, _number: killed.append(pid))
    loop = Loop()
    stall.Stall(loop, str(tmp_path), lambda: told.append(True))  # type: ignore[arg-type]
    assert (tmp_path / "memory.pressure").read_bytes() == stall.TRIGGER

    def stalled(at: float, refaults: int, file: int = 1 << 16) -> int:
        (tmp_path / "memory.stat").write_text(f"file {file}\nshmem 0\nworkingset_refault_file {refaults}\n")
        now[0] = at
        loop.handler(select.EPOLLPRI)
        return len(killed)

    assert stalled(100, 1000) == 0
    assert stalled(110, 2000) == 0  # too long ago
    assert stalled(112, 2100) == 0  # it gets on
    assert stalled(114, 99000, file=20 * M) == 0  # streaming
    assert stalled(116, 99500) == 1
    assert stalled(118, 99900) == 2
    assert (killed, told) == ([42, 42], [True, True])


def test_a_kernel_without_goes_on(tmp_path: Path) -> None:
    loop = Loop()
    stall.Stall(loop, str(tmp_path), lambda: None)  # type: ignore[arg-type]
    loop.handler(select.EPOLLPRI)
