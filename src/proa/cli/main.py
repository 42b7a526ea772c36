"""``proa``: reads the options before the command, imports that command's module alone, and runs it.

Whatever way the command ends, it ends here: an error is told once (``report``) and becomes an exit code.
"""

import posix
import sys

from .. import NAME, __version__
from ..client.host import choose
from ..errors import ProaError
from . import catalog
from .options import UsageError, parse

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Sequence
    from typing import NoReturn

    from .options import Command
else:
    import _signal


class Globals:
    """The options before the command."""

    __slots__ = ("debug", "help", "host", "json", "root", "version")

    def __init__(self) -> None:
        self.debug = self.help = self.json = self.version = False
        self.host = self.root = ""


def main() -> "NoReturn":
    """The program. Never returns: interpreter shutdown would wait for nothing and take its time."""
    _descriptors()
    _signal.signal(_signal.SIGINT, _signal.SIG_DFL)
    _signal.signal(_signal.SIGPIPE, _signal.SIG_DFL)
    _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)  # ignored by our parent, no child of ours could be waited for
    code = run(sys.argv[1:])
    if "coverage" in sys.modules:
        sys.exit(code)
    posix._exit(code)


def run(argv: "Sequence[str]") -> int:
    """Run one command line; the exit code."""
    if b"_PROA_COMPLETE" in posix.environ:
        return _complete()
    given = Globals()
    try:
        rest = _globals(given, list(argv))
        return _dispatch(given, rest)
    except ProaError as problem:
        return _tell(problem, given)
    except Exception as problem:  # a bug of ours: one line for people, the whole story with --debug
        from ..errors import Internal

        what = f"internal error: {type(problem).__name__}: {problem}"
        bug = Internal(what, next_step=f"{NAME} --debug … and report what it prints")
        bug.__cause__ = problem
        return _tell(bug, given)


def _dispatch(given: Globals, rest: "list[str]") -> int:
    from .output import line, text

    if given.version:
        line(f"{NAME} version {__version__}")
        return 0
    if given.help or not rest:
        text(catalog.overview())
        return 0
    if rest[0] == "help":
        rest = [*rest[1:2], "--help"]
        if len(rest) == 1:
            text(catalog.overview())
            return 0
    command = catalog.load(rest[0])
    if command is None:
        raise _unknown(rest[0])
    return _command(command, given, rest[1:])


def _command(command: "Command", given: Globals, argv: "list[str]") -> int:
    try:
        values, arguments = parse(command, argv)
    except UsageError as problem:
        given.json = problem.as_json
        raise
    given.json = values.on("json")
    if values.on("help"):
        from .usage import show

        return show(command)
    return command.run(choose(given.host, given.root), values, arguments)


def _globals(given: Globals, argv: "list[str]") -> "list[str]":
    while argv and argv[0].startswith("-"):
        word = argv.pop(0)
        name, equals, value = word.partition("=")
        if name in ("--debug", "-D"):
            given.debug = True
        elif name in ("--version", "-v"):
            given.version = True
        elif name in ("--help", "-h"):
            given.help = True
        elif name in ("--root", "--host", "-H"):
            if not equals and not argv:
                raise UsageError(f"flag needs an argument: {name}", None, code="flag-argument", input=name)
            value = value if equals else argv.pop(0)
            setattr(given, "root" if name == "--root" else "host", value)
        else:
            raise UsageError(f"unknown flag: {name}", None, code="unknown-flag", input=name)
    return argv


def _unknown(name: str) -> UsageError:
    import difflib

    close = difflib.get_close_matches(name, [known for known, _, _ in catalog.COMMANDS], 1)
    error = UsageError(f"unknown command: {NAME} {name}", None, code="unknown-command", exit=1, input=name)
    if close:
        error.what += f"; did you mean {NAME} {close[0]}?"
    return error


def _complete() -> int:
    from .usage import VARIABLE, complete

    return complete(posix.environ[VARIABLE.encode()].decode("ascii", "replace"))


def _descriptors() -> None:
    """0, 1 and 2 are open whatever our parent did, so that no socket of ours becomes one of them."""
    for fd in (0, 1, 2):
        try:
            posix.fstat(fd)
        except OSError:
            posix.open("/dev/null", posix.O_RDWR)  # the lowest free one: this
            posix.set_inheritable(fd, True)


def _tell(problem: ProaError, given: Globals) -> int:
    from .report import report

    if given.debug:
        import traceback

        traceback.print_exception(problem)
    report(problem, given.json)
    return problem.exit
