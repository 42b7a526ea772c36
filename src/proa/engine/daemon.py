"""Becoming a daemon: nothing of the caller's stays but the descriptors that are meant to."""

from __future__ import annotations

import errno
import fcntl
import os
import resource
import sys
from typing import NoReturn

KEPT = ("PATH", "LANG", "LC_ALL", "TZ", "TMPDIR", "HOME", "XDG_RUNTIME_DIR", "XDG_DATA_HOME", "PROA_COVERAGE")
NOFILE = 1 << 20
LOG_MAX = 4 << 20
NULL = "/dev/null"


class Report:
    """The way back to whoever started the engine: ready, or why not. Used once."""

    def __init__(self, fd: int) -> None:
        self.fd = fd

    def ready(self) -> None:
        """There is an engine."""
        self._say(b"\0")

    def failed(self, text: str, code: int) -> None:
        """There is none, and why."""
        self._say(bytes([code & 0xFF]) + text.encode("utf-8", "replace"))

    def _say(self, data: bytes) -> None:
        if self.fd < 0:
            return
        try:
            os.write(self.fd, data)
        except OSError:
            pass  # nobody waits for it any more
        os.close(self.fd)
        self.fd = -1


def detach() -> Report:
    """setsid and two forks, before any thread exists. The caller's process waits for the Report, and ends with it."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    if os.fork():
        os.close(writer)
        _wait(reader)
    os.close(reader)
    os.setsid()
    if os.fork():
        os._exit(0)
    return Report(writer)


def _wait(reader: int) -> NoReturn:
    data = b""
    while chunk := os.read(reader, 65536):
        data += chunk
    if not data:
        data = b"\x7dthe engine died while it started"
    if data[1:]:
        os.write(2, data[1:])
    os._exit(data[0])


def settle(log: str, keep: int) -> list[int]:
    """cwd /, umask 022, an allow-listed environment, stdio on ``log``, no descriptor but ``keep``.

    NOFILE is raised for this process; the [soft, hard] limit before is returned.
    """
    os.chdir("/")
    os.umask(0o022)
    for name in [name for name in os.environ if name not in KEPT and not name.startswith("PROA_")]:
        del os.environ[name]
    stdio(log)
    _close_others(keep)
    return raise_nofile()


def plain() -> list[int]:
    """In the foreground only what cannot be left: umask and the limit of open files."""
    os.umask(0o022)
    return raise_nofile()


def stdio(log: str) -> None:
    """/dev/null for stdin, ``log`` (appended to, begun anew over LOG_MAX) for the rest."""
    null = os.open(NULL, os.O_RDONLY)
    try:
        if os.path.exists(log) and os.path.getsize(log) > LOG_MAX:
            os.replace(log, log + ".1")
        out = os.open(log, os.O_WRONLY | os.O_CREAT | os.O_APPEND | os.O_NOFOLLOW, 0o600)
    except OSError:
        out = os.open(NULL, os.O_WRONLY)
    sys.stdout.flush()
    sys.stderr.flush()
    os.dup2(null, 0)
    os.dup2(out, 1)
    os.dup2(out, 2)


def _close_others(keep: int) -> None:
    for name in os.listdir("/proc/self/fd"):
        fd = int(name)
        if fd > 2 and fd != keep:
            try:
                os.close(fd)
            except OSError:
                continue  # the listing's own


def raise_nofile() -> list[int]:
    """Raise the limit of open files as far as this process may; the limit before."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    for wanted in (max(hard, NOFILE), hard):
        try:
            resource.setrlimit(resource.RLIMIT_NOFILE, (wanted, max(hard, wanted)))
            break
        except (OSError, ValueError):
            continue
    return [soft, hard]


def lock(path: str) -> int | None:
    """The engine's lock, held until the process ends; None if another process has it."""
    fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW, 0o600)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError as problem:
        os.close(fd)
        if problem.errno in (errno.EAGAIN, errno.EACCES):
            return None
        raise
    os.ftruncate(fd, 0)
    os.write(fd, b"%d\n" % os.getpid())
    return fd
