"""``proa run``: create, attach, wait, start, copy, exit code."""

import sys

from ... import NAME
from ...client.engine import Engine
from ...client.wire import target
from ...errors import HostCannot, InvalidRequest, ProaError
from .. import keys
from ..creation import cidfile, create
from ..options import Command
from ..output import document, line, shell_quote
from ..request import OPTIONS, Streams, body
from ..session import Ended, Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...client.host import Host
    from ..options import Values

_NOT_FOUND = ("executable file not found", "no such file or directory", "system cannot find the file specified")
_NOT_EXECUTABLE = ("permission denied", "is a directory")


def run(host: "Host", values: "Values", arguments: "list[str]") -> int:
    """Run a container; the program's exit code, or docker's 125, 126, 127."""
    engine = Engine(host)
    streams = Streams(values, values.on("detach"))
    _check(values, streams)
    sequence = keys.sequence(values.text("detach-keys"))
    wanted = body(values, arguments, streams)
    with cidfile(values.text("cidfile")) as note:
        try:
            created = create(engine, values, wanted)
        except ProaError as problem:
            raise start_error(problem) from problem
        note(created["Id"])
    if values.on("detach"):
        return _detached(engine, values, created)
    session = Session(
        engine, created["Id"], tty=streams.tty, stdin=streams.stdin, stdout=streams.stdout, stderr=streams.stderr,
        keys=sequence, keys_text=values.text("detach-keys"), proxy=values.on("sig-proxy", True),
        removed=values.on("rm"),
    )  # fmt: skip
    if not streams.stdout and not streams.stderr:
        line(created["Id"])
    try:
        return session.run()
    except Ended as ended:
        raise start_error(ended.error) from ended


def _check(values: "Values", streams: Streams) -> None:
    if values.on("detach") and values.list("attach"):
        raise InvalidRequest("Conflicting options: -a and -d", code="conflicting-options", exit=125)
    if streams.stdin and streams.tty:
        from ..creation import need_terminal

        need_terminal()


def _detached(engine: Engine, values: "Values", created: "dict[str, object]") -> int:
    try:
        engine.begin(target(f"/containers/{created['Id']}"))
    except ProaError as problem:
        raise start_error(problem) from problem
    if values.on("json"):
        document(created)
    else:
        line(str(created["Id"]))
    return 0


def start_error(error: ProaError) -> ProaError:
    """``error`` with docker's exit code for it, and the way out where this host has no such hull."""
    if any(text in error.what for text in _NOT_FOUND):
        error.exit = 127
    elif any(text in error.what for text in _NOT_EXECUTABLE):
        error.exit = 126
    else:
        error.exit = 125
    if isinstance(error, HostCannot):
        error.next_step = _instead(error) or error.next_step or f"{NAME} doctor"
    return error


def _instead(error: ProaError) -> str:
    """The same command line as a virtual machine, where that is what this host can do; "" where it is not."""
    words = sys.argv[1:]
    if error.code != "no-container-hull" or "run" not in words:
        return ""
    if any(word.startswith("--isolation") for word in words):
        return ""
    words.insert(words.index("run") + 1, "--isolation=vm")
    return " ".join([NAME, *map(shell_quote, words)])


COMMAND = Command(
    "run",
    "[OPTIONS] IMAGE [COMMAND] [ARG...]",
    "Create and run a new container from an image",
    (
        *OPTIONS,
        ("-d, --detach", "", "Run container in background and print container ID"),
        ("--detach-keys", "string", "Override the key sequence for detaching a container"),
        ("--sig-proxy", "switch-on", "Proxy received signals to the process"),
    ),
    run,
    arguments=(1, -1),
    interspersed=False,
    examples=(
        f"{NAME} run --rm debian cat /etc/os-release",
        f"{NAME} run -it --isolation vm debian bash",
        f"{NAME} run -d --name web -m 256m --cpus 0.5 debian sleep inf",
    ),
)
