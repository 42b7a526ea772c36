"""Start an engine on demand, and wait until it answers.

The engine itself decides, by its flock, whether it is the one (DESIGN: "Processes"): starting twenty at once is fine,
nineteen of them exit with 0 and everyone connects to the same socket. What it says before it detaches arrives through
a pipe, what it says later stands in its log: a failure is told with the engine's own words.
"""

import posix
import select
import time

from .. import NAME, program
from ..errors import EngineGone
from .wire import Connection

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from typing import NoReturn

    from .host import Host
else:
    import _signal

DEADLINE = 120.0  # s while somebody holds the lock: an emulated machine under load, compiling for the first time
_STEP = 3  # ms between two looks at the socket
_ABANDONED = 0.5  # s without anybody holding the lock: no engine is coming
_SAID_MAX = 1 << 14
_FIXED = (_signal.SIGKILL, _signal.SIGSTOP)
_KEPT = frozenset(b"PATH LANG LC_ALL TZ TMPDIR HOME XDG_RUNTIME_DIR XDG_DATA_HOME".split())


def start(host: "Host") -> Connection:
    """A connection to the engine of ``host``, started if need be. Raises EngineGone."""
    return _Start(host).wait()


class _Start:
    """One attempt: the program started, its words, its log since then."""

    def __init__(self, host: "Host") -> None:
        self.host = host
        self.log = host.places.state + "/engine.log"
        self.log_from = _size(self.log)
        self.child, self.pipe = _spawn(host)
        self.said = b""
        self.status: int | None = None
        self.detached = False
        self.held = time.monotonic()

    def wait(self) -> Connection:
        end = time.monotonic() + DEADLINE
        try:
            while time.monotonic() < end and not self._failed():
                connection = _connect(self.host.socket)
                if connection:
                    return connection
                self._hear()
        finally:
            posix.close(self.pipe)
        raise self._failure()

    def _hear(self) -> None:
        """Wait one step, listening."""
        if self.detached:
            time.sleep(_STEP / 1000)
            return
        poll = select.poll()
        poll.register(self.pipe, select.POLLIN)
        if poll.poll(_STEP):
            data = posix.read(self.pipe, 4096)
            self.said = (self.said + data)[-_SAID_MAX:]
            self.detached = not data

    def _failed(self) -> bool:
        if self.status is None:
            self.status = _ended(self.child)
        if self.status:
            return True
        if not self.detached or _held(self.host.places.lock):
            self.held = time.monotonic()
        return time.monotonic() - self.held > _ABANDONED

    def _failure(self) -> EngineGone:
        text = self.said.decode("utf-8", "replace").strip() or _tail(self.log, self.log_from)
        lines = [line.strip().removeprefix(f"{NAME}: ") for line in text.splitlines() if line.strip()]
        for index, line in enumerate(lines):
            what, mark, code = line.rpartition(" [")
            if mark and code.endswith("]"):
                next_step = lines[index + 1] if index + 1 < len(lines) else ""
                return EngineGone(what, code=code[:-1], input=self.host.socket, next_step=next_step)
        last = lines[-1] if lines else f"no answer at {self.host.socket}"
        return EngineGone(
            f"cannot start the engine: {last}",
            code="engine-start",
            input=self.host.socket,
            next_step=f"less {self.log}",
        )


def _spawn(host: "Host") -> tuple[int, int]:
    """Run the engine's program; returns its pid and the pipe that its first words come through.

    fork(2) rather than posix_spawn(3): glibc's lets the signals that it keeps to itself (32, 33) be ignored in the
    child, and every container would inherit that.
    """
    argv = program.argv("engine.main", *(["--root", host.root] if host.root else []))
    environment = _environment()
    reader, writer = posix.pipe()
    before = _signal.pthread_sigmask(_signal.SIG_BLOCK, _signal.valid_signals())
    try:
        child = posix.fork()
        if not child:
            _become(argv, environment, writer)
    finally:
        _signal.pthread_sigmask(_signal.SIG_SETMASK, before)
        posix.close(writer)
    return child, reader


def _become(argv: list[str], environment: dict[bytes, bytes], writer: int) -> "NoReturn":
    """In the child: no signal is handled, ignored or blocked because it is here; only descriptors 0 to 2 stay open.
    The C library's own two signals are the engine's to reset: that takes more than a light program has."""
    try:
        for number in _signal.valid_signals():
            if number not in _FIXED and _signal.getsignal(number) is not _signal.SIG_DFL:
                _signal.signal(number, _signal.SIG_DFL)
        null = posix.open("/dev/null", posix.O_RDWR | posix.O_CLOEXEC)
        for source, fd in ((null, 0), (null, 1), (writer, 2)):
            posix.dup2(source, fd)
        _signal.pthread_sigmask(_signal.SIG_SETMASK, ())
        posix.execve(argv[0], argv, environment)
    except OSError as problem:
        posix.write(2, f"{argv[0]}: {problem.strerror} [engine-start]\n".encode("utf-8", "surrogateescape"))
    finally:
        posix._exit(127)


def _environment() -> dict[bytes, bytes]:
    """What of ours the engine may see: whoever happens to start it lends it no secrets (/proc/PID/environ stays)."""
    ours = posix.environ
    return {name: ours[name] for name in ours if name in _KEPT or name.startswith(f"{NAME.upper()}_".encode())}


def _ended(child: int) -> "int | None":
    """Exit code of a child, None while it runs. One that is reaped elsewhere (SIGCHLD is ignored in the program that
    we are part of) counts as 0: its words and the lock tell the rest."""
    try:
        pid, code = posix.waitpid(child, posix.WNOHANG)
    except ChildProcessError:
        return 0
    return posix.waitstatus_to_exitcode(code) if pid else None


def _connect(path: str) -> Connection | None:
    try:
        return Connection(path)
    except (FileNotFoundError, ConnectionRefusedError, BlockingIOError):
        return None
    except OSError as problem:
        raise refused(path, problem) from problem


def refused(path: str, problem: OSError) -> EngineGone:
    """The socket is there and cannot be used."""
    return EngineGone(
        f"cannot connect to the engine at {path}: {problem.strerror or problem}",
        code="engine-refused",
        input=path,
        next_step=f"sudo {NAME} -H unix://{path} version" if isinstance(problem, PermissionError) else "",
    )


def _held(lock: str) -> bool:
    """Whether somebody holds the engine's lock; taking it to find out would turn a starting engine away."""
    try:
        inode = posix.stat(lock).st_ino
    except OSError:
        return False
    try:
        return f":{inode} " in _tail("/proc/locks", 0)
    except OSError:
        return True  # this host does not tell: wait for the deadline


def _size(path: str) -> int:
    try:
        return posix.stat(path).st_size
    except OSError:
        return 0


def _tail(path: str, start: int) -> str:
    """The text of a file from ``start``; "" where there is none."""
    data = b""
    try:
        fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
    except OSError:
        return ""
    try:
        posix.lseek(fd, start, 0)
        while more := posix.read(fd, 1 << 16):
            data = (data + more)[-(1 << 20) :]
    finally:
        posix.close(fd)
    return data.decode("utf-8", "replace").strip()
