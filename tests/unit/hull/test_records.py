"""The files in RUN, and naming a process for good."""

import os
import subprocess
import time
from pathlib import Path

import pytest

from proa.hull import leftovers, records


def test_written_and_read(tmp_path: Path) -> None:
    records.write(str(tmp_path), "exit", {"status": 3})
    records.write(str(tmp_path), "exit", {"status": 4, "error": "é"})
    assert records.read(str(tmp_path), "exit") == {"status": 4, "error": "é"}
    assert os.listdir(tmp_path) == ["exit"]
    assert (tmp_path / "exit").stat().st_mode & 0o777 == 0o600


def test_what_is_not_there_or_not_ours(tmp_path: Path) -> None:
    assert records.read(str(tmp_path), "exit") is None
    for content in (b"", b"[]", b"{", b"\xff"):
        (tmp_path / "exit").write_bytes(content)
        assert records.read(str(tmp_path), "exit") is None
    (tmp_path / "link").symlink_to(tmp_path / "exit")
    assert records.read(str(tmp_path), "link") is None


def test_a_process_and_its_start() -> None:
    with subprocess.Popen(["sleep", "100"]) as child:
        began = records.started(child.pid)
        assert began > records.started(1) > 0
        leftovers.kill(child.pid, began + 1)
        leftovers.kill(child.pid, 0)
        time.sleep(0.05)
        assert child.poll() is None
        leftovers.kill(child.pid, began)
        assert child.wait() == -9
    assert records.started(child.pid) == 0
    leftovers.kill(child.pid, began)


def test_one_that_waits_to_be_reaped_has_ended() -> None:
    with subprocess.Popen(["true"]) as child:
        os.waitid(os.P_PID, child.pid, os.WEXITED | os.WNOWAIT)
        assert records.started(child.pid) == 0


def test_a_name_with_brackets(tmp_path: Path) -> None:
    program = tmp_path / "a) R (b"
    program.symlink_to("/bin/sleep")
    with subprocess.Popen([program, "100"]) as child:
        assert records.started(child.pid) > 0
        child.kill()


def test_boot() -> None:
    assert len(records.boot()) == 36


def test_a_file_cut_short_by_a_full_disk_is_never_put_in_place(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(records.os, "write", lambda fd, data: len(data) - 1)
    with pytest.raises(OSError, match="No space left"):
        records.write(str(tmp_path), records.EXIT, {"status": 0})
    assert records.read(str(tmp_path), records.EXIT) is None
