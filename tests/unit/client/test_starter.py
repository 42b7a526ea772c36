"""Starting an engine: a stand-in program in its place says what engines say."""

from __future__ import annotations

import os
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from proa.client import starter
from proa.client.host import choose
from proa.errors import EngineGone


def stand_in(monkeypatch: pytest.MonkeyPatch, code: str) -> None:
    monkeypatch.setattr(starter.program, "argv", lambda module, *args: [sys.executable, "-I", "-c", code, *args])


@pytest.fixture
def root(tmp_path: Path) -> Iterator[str]:
    short = f"/tmp/proa-{os.getpid()}-{os.urandom(3).hex()}"
    (tmp_path / "state").mkdir()
    (tmp_path / "run").mkdir()
    os.symlink(tmp_path, short)
    yield short
    os.unlink(short)


def test_it_comes(monkeypatch: pytest.MonkeyPatch, root: str) -> None:
    stand_in(
        monkeypatch,
        "import os, sys, socket, time\n"
        "root = sys.argv[2]\n"
        "if os.fork(): os._exit(0)\n"
        "os.dup2(os.open('/dev/null', os.O_RDWR), 2)\n"
        "lock = os.open(root + '/run/engine.lock', os.O_CREAT | os.O_RDWR)\n"
        "import fcntl; fcntl.flock(lock, fcntl.LOCK_EX)\n"
        "time.sleep(1)\n"
        "s = socket.socket(socket.AF_UNIX); s.bind(root + '/run/engine.sock'); s.listen()\n"
        "s.accept()\n",
    )
    starter.start(choose(root=root, environ={})).close()


def test_it_says_why_not(monkeypatch: pytest.MonkeyPatch, root: str) -> None:
    stand_in(
        monkeypatch,
        "import sys\n"
        "sys.stderr.write('cannot use /x: no [state-not-writable]\\nchoose another with --root\\n')\n"
        "sys.exit(125)\n",
    )
    with pytest.raises(EngineGone) as raised:
        starter.start(choose(root=root, environ={}))
    problem = raised.value
    assert (problem.what, problem.code) == ("cannot use /x: no", "state-not-writable")
    assert problem.next_step == "choose another with --root"


def test_it_breaks_with_a_traceback(monkeypatch: pytest.MonkeyPatch, root: str) -> None:
    stand_in(monkeypatch, "raise RuntimeError('oh')")
    with pytest.raises(EngineGone, match="cannot start the engine: RuntimeError: oh"):
        starter.start(choose(root=root, environ={}))


def test_it_dies_after_it_detached(monkeypatch: pytest.MonkeyPatch, root: str) -> None:
    """Nobody holds the lock and the log has the reason: no wait for the deadline."""
    stand_in(
        monkeypatch,
        "import os, sys\n"
        "if os.fork(): os._exit(0)\n"
        "os.dup2(os.open(sys.argv[2] + '/state/engine.log', os.O_CREAT | os.O_APPEND | os.O_WRONLY), 2)\n"
        "os.write(2, b'state.db is from a newer version [state-newer]\\ninstall that version\\n')\n",
    )
    Path(root, "state", "engine.log").write_text("an old line [old]\n")
    with pytest.raises(EngineGone) as raised:
        starter.start(choose(root=root, environ={}))
    assert (raised.value.code, raised.value.next_step) == ("state-newer", "install that version")


def test_no_interpreter(monkeypatch: pytest.MonkeyPatch, root: str) -> None:
    monkeypatch.setattr(starter.program, "argv", lambda module, *args: ["/nonexistent/python"])
    with pytest.raises(EngineGone, match="/nonexistent/python: No such file"):
        starter.start(choose(root=root, environ={}))


def test_no_descriptor_is_left(monkeypatch: pytest.MonkeyPatch, root: str) -> None:
    stand_in(monkeypatch, "raise SystemExit(3)")
    before = len(os.listdir("/proc/self/fd"))
    for _ in range(3):
        with pytest.raises(EngineGone, match="no answer"):
            starter.start(choose(root=root, environ={}))
    assert len(os.listdir("/proc/self/fd")) == before
    assert threading.active_count() == 1


@contextmanager
def hostile_signals() -> Iterator[None]:
    """As under nohup, or below a parent that wants to hear of no child: some are ignored, some blocked."""
    ignored = (signal.SIGCHLD, signal.SIGHUP, signal.SIGUSR1, signal.SIGRTMAX)
    before = {number: signal.signal(number, signal.SIG_IGN) for number in ignored}
    mask = signal.pthread_sigmask(signal.SIG_BLOCK, (signal.SIGUSR2, signal.SIGTERM, signal.SIGCHLD))
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, mask)
        for number, disposition in before.items():
            signal.signal(number, disposition)


def mask(status: str, name: str) -> int:
    """A set of signals in the text of /proc/PID/status."""
    return int(status.partition(f"{name}:\t")[2].split()[0], 16)


def test_what_it_is_given(monkeypatch: pytest.MonkeyPatch, root: str) -> None:
    """No secrets of the caller's, no signal blocked, none ignored but those of the C library that were before."""
    stand_in(
        monkeypatch,
        "import sys\n"
        "seen = open('/proc/self/environ').read() + open('/proc/self/status').read()\n"
        "open(sys.argv[2] + '/state/seen', 'w').write(seen)\n",
    )
    monkeypatch.setitem(os.environ, "SECRET_OF_MINE", "1")
    monkeypatch.setitem(starter.posix.environ, b"SECRET_OF_MINE", b"1")
    monkeypatch.setitem(starter.posix.environ, b"PROA_ROOT", b"/x")
    with hostile_signals(), pytest.raises(EngineGone):
        starter.start(choose(root=root, environ={}))
    seen = Path(root, "state", "seen").read_text()
    assert "SECRET_OF_MINE" not in seen
    assert "PROA_ROOT=/x" in seen
    assert mask(seen, "SigBlk") == 0
    internal = 3 << 31 & mask(Path("/proc/self/status").read_text(), "SigIgn")  # handed on: the engine resets them
    python = 1 << signal.SIGPIPE - 1 | 1 << signal.SIGXFSZ - 1
    assert mask(seen, "SigIgn") & ~python == internal


def test_it_comes_where_no_child_can_be_waited_for(monkeypatch: pytest.MonkeyPatch, root: str) -> None:
    """SIGCHLD is ignored: the kernel reaps the program that was started before we can ask how it ended."""
    stand_in(
        monkeypatch,
        "import os, sys, socket, time\n"
        "if os.fork(): os._exit(0)\n"
        "time.sleep(0.1)\n"
        "s = socket.socket(socket.AF_UNIX); s.bind(sys.argv[2] + '/run/engine.sock'); s.listen()\n"
        "s.accept()\n",
    )
    with hostile_signals():
        starter.start(choose(root=root, environ={})).close()


def test_it_says_why_not_where_no_child_can_be_waited_for(monkeypatch: pytest.MonkeyPatch, root: str) -> None:
    stand_in(monkeypatch, "raise SystemExit('cannot use /x: no [state-not-writable]')")
    with hostile_signals(), pytest.raises(EngineGone, match="cannot use /x: no"):
        starter.start(choose(root=root, environ={}))
