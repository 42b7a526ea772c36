"""The engine as a program: ``proa.engine.main [--root D] [--foreground]``.

Who holds the lock on RUN/engine.lock is the engine; whoever comes second ends with 0, since there is one. The socket is
bound under another name and renamed when requests can be answered. TERM ends the engine, containers go on.
"""

from __future__ import annotations

import errno
import os
import sys
from typing import NoReturn

from .. import places as locations
from ..errors import HostCannot, ProaError
from . import daemon

USAGE = "usage: engine [--root D] [--foreground]\n"


def main() -> None:
    """The program."""
    root, foreground = _arguments(sys.argv[1:])
    report = daemon.Report(-1)
    try:
        places = locations.find(root)
        _prepare(places)
        if not foreground:
            report = daemon.detach()
        code = _run(places, report, foreground=foreground)
    except (ProaError, OSError) as problem:
        text, code = _explain(problem)
        sys.stderr.write(text)
        report.failed(text, code)
    sys.stderr.flush()
    sys.exit(code)


def _explain(problem: ProaError | OSError) -> tuple[str, int]:
    """One line for people with the code in brackets, the next step on a second; the exit code."""
    if isinstance(problem, ProaError):
        more = f"{problem.next_step}\n" if problem.next_step else ""
        return f"{problem.what} [{problem.code}]\n{more}", problem.exit
    return f"cannot start the engine: {problem} [engine-start]\n", 125


def _arguments(words: list[str]) -> tuple[str, bool]:
    """(root, foreground). A ``--root`` without a directory is an error: never the default places by mistake."""
    root, foreground = "", False
    rest = iter(words)
    for word in rest:
        name, equals, value = word.partition("=")
        if name == "--root":
            root = value if equals else next(rest, "")
            if not root or root.startswith("-"):
                _usage("--root needs a directory")
        elif word == "--foreground":
            foreground = True
        else:
            _usage(f"unknown argument: {word}")
    return root, foreground


def _usage(what: str) -> NoReturn:
    sys.stderr.write(f"{what} [usage]\n{USAGE}")
    sys.exit(125)


def _prepare(places: locations.Places) -> None:
    places.check()
    for path in (places.state, places.run):
        _make(path)


def _run(places: locations.Places, report: daemon.Report, *, foreground: bool) -> int:
    """Serve until told to end; the exit code. Raises ProaError, OSError before there is an engine."""
    nofile = daemon.plain() if foreground else daemon.settle(places.state + "/engine.log", report.fd)
    lock = daemon.lock(places.lock)
    if lock is None:
        report.ready()
        return 0
    from . import service  # asyncio and all the rest: only who is the engine pays for it

    return service.serve(places, nofile, report.ready, foreground=foreground)


def _make(path: str) -> None:
    try:
        os.makedirs(path, 0o711 if path.endswith("/state") else 0o700, exist_ok=True)
        if os.statvfs(path).f_flag & os.ST_RDONLY:
            raise OSError(errno.EROFS, os.strerror(errno.EROFS))
        if not os.access(path, os.W_OK):
            raise PermissionError(errno.EACCES, os.strerror(errno.EACCES))
    except OSError as problem:
        raise HostCannot(
            f"cannot use {path}: {problem.strerror}",
            code="state-not-writable",
            input=path,
            missing="a writable directory",
            next_step="choose another with --root",
        ) from problem
