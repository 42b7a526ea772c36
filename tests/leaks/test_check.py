"""The leak check is itself tested: one leak of each kind is planted, and each is found; ended, it is gone again."""

from __future__ import annotations

import ctypes
import fcntl
import os
import signal
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from leaks import check, netfilter

MARK = f"proa-planted-{os.getpid()}"


@pytest.fixture
def before() -> check.Snapshot:
    return check.snapshot()


def _found(before: check.Snapshot, *marks: str) -> list[str]:
    return [leak.kind for leak in check.leaks(before, check.snapshot(), marks or (MARK,))]


@contextmanager
def _child(work: Callable[[], None], name: str = MARK) -> Iterator[int]:
    """A process that does ``work``, tells that it has, and stays until it is ended."""
    ready, tell = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.close(ready)
            work()
            os.write(tell, b"+")
            os.execv("/bin/sleep", [name, "600"])
        finally:
            os._exit(1)
    os.close(tell)
    try:
        if os.read(ready, 1) != b"+":
            pytest.skip("this host does not let the leak be planted")
        time.sleep(0.05)
        yield pid
    finally:
        os.close(ready)
        os.kill(pid, signal.SIGKILL)
        os.waitpid(pid, 0)


def _unshare(flags: int) -> None:
    if ctypes.CDLL(None, use_errno=True).unshare(flags) != 0:
        raise OSError(ctypes.get_errno(), "unshare")


NEWNS, NEWNET = 0x00020000, 0x40000000


def test_nothing_leaked_is_nothing_found(before: check.Snapshot) -> None:
    assert _found(before) == []


def test_process(before: check.Snapshot) -> None:
    with _child(lambda: None):
        assert _found(before) == ["process"]
    assert _found(before) == []


def test_process_of_an_unnamed_program_with_a_file_of_ours_open(before: check.Snapshot) -> None:
    def work() -> None:
        os.set_inheritable(os.open(path, os.O_RDWR | os.O_CREAT), True)

    with tempfile.TemporaryDirectory(prefix=f"{MARK}-") as folder:
        path = f"{folder}/file"
        with _child(work, "sleep"):
            assert sorted(_found(before)) == ["process", "temporary"]


def test_zombie(before: check.Snapshot) -> None:
    process = subprocess.Popen([sys.executable, "-c", "pass"])
    os.waitid(os.P_PID, process.pid, os.WEXITED | os.WNOWAIT)
    try:
        assert "process" in [
            leak.kind for leak in check.leaks(before, check.snapshot()) if str(process.pid) in leak.what
        ]
    finally:
        process.wait()


def test_mount_in_another_namespace(before: check.Snapshot) -> None:
    libc = ctypes.CDLL(None, use_errno=True)

    def work() -> None:
        _unshare(NEWNS)
        assert libc.mount(None, b"/", None, 0x44000, None) == 0  # MS_REC | MS_PRIVATE
        assert libc.mount(MARK.encode(), b"/mnt", b"tmpfs", 0, None) == 0

    with _child(work, "sleep"):
        assert "mount" in _found(before)
    assert _found(before) == []


def _cgroup_parents() -> list[Path]:
    return [p for p in (Path("/sys/fs/cgroup/pids"), Path("/sys/fs/cgroup")) if (p / "cgroup.procs").exists()]


def test_cgroup(before: check.Snapshot) -> None:
    for parent in _cgroup_parents():
        folder = parent / MARK
        try:
            folder.mkdir()
        except OSError:
            continue
        try:
            assert _found(before) == ["cgroup"]
        finally:
            folder.rmdir()
        return
    pytest.skip("no cgroup may be made on this host")


def test_link(before: check.Snapshot) -> None:
    with _child(lambda: _unshare(NEWNET)):
        assert "link" in _found(before)
    assert _found(before) == []


def test_nft_rule(before: check.Snapshot) -> None:
    with _child(lambda: _unshare(NEWNET), "sleep") as pid:
        try:
            netfilter.add_table(pid, MARK.replace("-", "_"))
        except OSError as problem:
            pytest.skip(f"nftables: {problem}")
        assert _found(before, MARK.replace("-", "_")) == ["nft rule"]


def test_unix_socket(before: check.Snapshot) -> None:
    with socket.socket(socket.AF_UNIX) as sock:
        sock.bind(f"\0{MARK}")
        assert _found(before) == ["unix socket"]
    assert _found(before) == []


def test_loop_device(before: check.Snapshot) -> None:
    with tempfile.NamedTemporaryFile(suffix=MARK) as file:
        file.truncate(1 << 20)
        try:
            control = os.open("/dev/loop-control", os.O_RDWR)
        except OSError as problem:
            pytest.skip(f"loop devices: {problem}")
        try:
            device = os.open(f"/dev/loop{fcntl.ioctl(control, 0x4C82)}", os.O_RDWR)  # LOOP_CTL_GET_FREE
        except OSError as problem:
            pytest.skip(f"loop devices: {problem}")
        finally:
            os.close(control)
        fcntl.ioctl(device, 0x4C00, file.fileno())  # LOOP_SET_FD
        try:
            assert _found(before) == ["loop device"]
        finally:
            fcntl.ioctl(device, 0x4C01)  # LOOP_CLR_FD
            os.close(device)


def test_shared_memory(before: check.Snapshot) -> None:
    path = Path("/dev/shm") / MARK
    try:
        path.write_bytes(b"")
    except OSError as problem:
        pytest.skip(f"/dev/shm: {problem}")
    try:
        assert _found(before) == ["shared memory"]
    finally:
        path.unlink()


def test_temporary_directory(before: check.Snapshot) -> None:
    with tempfile.TemporaryDirectory(prefix=f"{MARK}-"):
        assert _found(before) == ["temporary"]


def test_run(tmp_path: Path) -> None:
    (tmp_path / "engine.lock").touch()
    (tmp_path / "s").mkdir()
    assert check.left_in_run(tmp_path) == []
    (tmp_path / "s" / "0123456789abcdef").touch()
    assert [leak.what for leak in check.left_in_run(tmp_path)] == ["s", "s/0123456789abcdef"]


def test_descriptors_of_an_engine(tmp_path: Path) -> None:
    before = check.descriptors(os.getpid())
    with (tmp_path / "file").open("w"):
        leaks = check.grown(before, check.descriptors(os.getpid()))
        assert [leak.kind for leak in leaks] == ["descriptor"]
        assert "file" in leaks[0].what
    assert check.grown(before, check.descriptors(os.getpid())) == []


def test_what_bears_no_mark_is_not_ours(before: check.Snapshot) -> None:
    with _child(lambda: None, "sleep"):
        assert _found(before) == []
        assert "process" in [leak.kind for leak in check.leaks(before, check.snapshot())]
