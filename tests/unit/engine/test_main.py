"""The engine as a program: how it starts, how it refuses to, that one is enough."""

from __future__ import annotations

import os
import signal
import socket
import sqlite3
import subprocess
import sys
import time
from collections.abc import Iterator
from pathlib import Path

import msgspec
import pytest

from proa import program

DEPENDENCIES = os.path.dirname(os.path.dirname(msgspec.__file__))
PATIENCE = 30.0


def argv(*args: str) -> list[str]:
    code = f"import sys; sys.path += [{program.SITE!r}, {DEPENDENCIES!r}]; from proa.engine.main import main; main()"
    return [sys.executable, *program.FLAGS, "-c", code, *args]


def run(*args: str) -> subprocess.CompletedProcess[str]:
    """Start one; it returns once there is an engine, or with the reason why not."""
    environment = {"PATH": os.environ["PATH"]}
    return subprocess.run(argv(*args), env=environment, capture_output=True, text=True, timeout=PATIENCE, check=False)


@pytest.fixture
def root(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """A root; the engine that it has at the end is ended, by the pid in its own lock."""
    found = tmp_path_factory.mktemp("e")
    yield found
    lock = found / "run/engine.lock"
    if (found / "run/engine.sock").exists():
        end(int(lock.read_text()))


def end(pid: int) -> None:
    """Ask one engine to end, and see that it does."""
    fd = os.pidfd_open(pid)
    try:
        signal.pidfd_send_signal(fd, signal.SIGTERM)
        deadline = time.monotonic() + PATIENCE
        while os.path.exists(f"/proc/{pid}") and time.monotonic() < deadline:
            time.sleep(0.02)
        assert not os.path.exists(f"/proc/{pid}")
    finally:
        os.close(fd)


def ping(root: Path) -> bytes:
    with socket.socket(socket.AF_UNIX) as client:
        client.connect(str(root / "run/engine.sock"))
        client.sendall(b"GET /_ping HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n")
        return client.recv(4096)


def test_an_engine_answers_when_its_starter_returns_and_leaves_nothing(root: Path) -> None:
    done = run("--root", str(root))
    assert (done.returncode, done.stdout, done.stderr) == (0, "", "")
    assert ping(root).startswith(b"HTTP/1.1 200 OK")
    assert (root / "run/engine.sock").stat().st_mode & 0o777 == 0o600
    pid = int((root / "run/engine.lock").read_text())
    assert os.readlink(f"/proc/{pid}/cwd") == "/"
    assert os.getsid(pid) != os.getsid(0)
    end(pid)
    assert not (root / "run/engine.sock").exists()
    assert sorted(path.name for path in (root / "state").iterdir()) == ["containers", "engine.log", "state.db"]
    assert (root / "state/engine.log").read_text() == ""


def test_twenty_at_once_make_one(root: Path) -> None:
    children = [subprocess.Popen(argv("--root", str(root)), env={"PATH": os.environ["PATH"]}) for _ in range(20)]
    assert [child.wait(PATIENCE) for child in children] == [0] * 20
    deadline = time.monotonic() + PATIENCE
    while not (root / "run/engine.sock").exists() and time.monotonic() < deadline:
        time.sleep(0.02)
    assert ping(root).startswith(b"HTTP/1.1 200 OK")


@pytest.mark.parametrize("args", [["--root"], ["--root", ""], ["--root="], ["--root", "--foreground"], ["--zebra"]])
def test_bad_arguments_never_mean_the_default_places(args: list[str]) -> None:
    done = run(*args)
    assert done.returncode == 125
    assert "[usage]" in done.stderr


def test_a_newer_state_is_told_to_who_starts(root: Path) -> None:
    (root / "state").mkdir()
    db = sqlite3.connect(root / "state/state.db")
    db.execute("PRAGMA user_version=99")
    db.close()
    done = run("--root", str(root))
    assert done.returncode == 125
    assert "written by a newer version" in done.stderr
    assert "[state-newer]" in done.stderr
    assert "Traceback" not in done.stderr


def test_a_socket_path_that_is_too_long(root: Path) -> None:
    done = run("--root", str(root / ("x" * 120)))
    assert done.returncode != 0
    assert "[socket-path-too-long]" in done.stderr
    assert not list(root.iterdir())


def test_a_place_that_cannot_be_made(root: Path) -> None:
    done = run("--root", "/proc/nope")
    assert done.returncode == 125
    assert "[state-not-writable]" in done.stderr
