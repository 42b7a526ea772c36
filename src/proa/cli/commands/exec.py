"""``proa exec``: one more program in a container that runs."""

import time

from ...client.engine import Engine
from ...client.wire import closed, quote, target
from ...errors import EngineGone, Internal, NotFound, ProaError
from .. import terminal
from ..keys import sequence, told
from ..options import Command
from ..streams import Pump

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from typing import Any

    from ...client.engine import Stream
    from ...client.host import Host
    from ..options import Values
else:
    import _signal

_ATTEMPTS = 3
_SETTLES = 2.0  # s from the end of a program's stream to its exit code


def run(host: "Host", values: "Values", arguments: "list[str]") -> int:
    """Run the program; its exit code, 126 or 127 where it could not be run."""
    engine = Engine(host)
    detached, tty = values.on("detach"), values.on("tty")
    stdin = values.on("interactive") and not detached
    keys = sequence(values.text("detach-keys"))
    if tty and stdin:
        from ..creation import need_terminal

        need_terminal()
    create = target(f"/containers/{quote(arguments[0])}/exec")
    body = _body(values, arguments[1:])
    if detached:
        made = engine.call("POST", create, body)
        engine.call("POST", target(f"/exec/{made['Id']}/start"), {"Detach": True, "Tty": tty})
        return 0
    return _attached(engine, create, body, stdin, keys)


def _body(values: "Values", command: "list[str]") -> "dict[str, Any]":
    attached = not values.on("detach")
    body: dict[str, Any] = {
        "AttachStdin": attached and values.on("interactive"),
        "AttachStdout": attached,
        "AttachStderr": attached,
        "Tty": values.on("tty"),
        "Privileged": values.on("privileged"),
        "Cmd": command,
    }
    if "env" in values or "env-file" in values:
        body["Env"] = _env(values)
    for name, field in (("user", "User"), ("workdir", "WorkingDir"), ("detach-keys", "DetachKeys")):
        if values.get(name):
            body[field] = values.text(name)
    if values.on("tty"):
        body["ConsoleSize"] = list(terminal.size() or (0, 0))
    return body


def _env(values: "Values") -> "list[str]":
    from .. import envfile

    env = [entry for path in values.list("env-file") for entry in envfile.lines(path, own=True)]
    return env + envfile.resolve(values.list("env"))


def _attached(engine: Engine, create: str, body: "dict[str, Any]", stdin: bool, keys: bytes) -> int:
    ours = terminal.Terminal()
    tty = bool(body["Tty"])
    if tty and stdin:
        from ..signals import restore_at_death

        restore_at_death(ours)
    try:
        if tty and stdin:
            ours.raw()
        for _ in range(_ATTEMPTS):
            path, stream = _start(engine, create, body)
            pump = Pump(stream, stdin, keys if tty else b"")
            if tty:
                _follow_size(engine, path)
            pump.run()
            if pump.detached:
                ours.restore()
                return told()
            found = _ended(engine, path)
            if stdin or pump.received or _has_run(found):
                return _exit(found)
        raise closed()  # engine after engine died between its answer and the program's start
    finally:
        ours.restore()


def _start(engine: Engine, create: str, body: "dict[str, Any]") -> "tuple[str, Stream]":
    """The path of a program that runs, and its stream. What an engine's death has not let start is started again."""
    start = {"Detach": False, "Tty": body["Tty"]}
    if body["Tty"]:
        start["ConsoleSize"] = body["ConsoleSize"]
    path = ""
    for _ in range(_ATTEMPTS):
        try:
            path = ""
            path = f"/exec/{engine.call('POST', create, body)['Id']}"
            return path, engine.hijack(target(path + "/start"), start)
        except EngineGone as gone:
            if gone.code != "engine-closed" or (path and _has_run(_found(engine, path))):
                raise
    raise closed()


def _found(engine: Engine, path: str) -> "dict[str, Any]":
    """What is known of the program; nothing where no engine ever handed it on."""
    try:
        return dict(engine.call("GET", target(path + "/json")))
    except NotFound:
        return {}


def _ended(engine: Engine, path: str) -> "dict[str, Any]":
    """As ``_found``, once it has ended: its stream has, so that is a matter of moments."""
    end = time.monotonic() + _SETTLES
    found = _found(engine, path)
    while found.get("Running") and time.monotonic() < end:
        time.sleep(0.01)
        found = _found(engine, path)
    return found


def _has_run(found: "dict[str, Any]") -> bool:
    """Whether the program runs or ran: then it is not started a second time."""
    return bool(found.get("Running")) or found.get("ExitCode") is not None


def _follow_size(engine: Engine, path: str) -> None:
    def resize(number: int = 0, frame: object = None) -> None:
        size = terminal.size()
        if size:
            try:
                engine.aside("POST", target(path + "/resize", h=size[0], w=size[1]))
            except ProaError:
                return  # it has ended, or there is no engine now: the next change of size tries again

    resize()
    _signal.signal(_signal.SIGWINCH, resize)


def _exit(found: "dict[str, Any]") -> int:
    if found.get("Running") or found.get("ExitCode") is None:
        raise Internal("the program's exit code is not known: its streams were closed early", code="exec-running")
    return int(found["ExitCode"])


COMMAND = Command(
    "exec",
    "[OPTIONS] CONTAINER COMMAND [ARG...]",
    "Execute a command in a running container",
    (
        ("-d, --detach", "", "Detached mode: run command in the background"),
        ("--detach-keys", "string", "Override the key sequence for detaching a container"),
        ("-e, --env", "list", "Set environment variables"),
        ("--env-file", "list", "Read in a file of environment variables"),
        ("-i, --interactive", "", "Keep STDIN open even if not attached"),
        ("--privileged", "", "Give extended privileges to the command"),
        ("-t, --tty", "", "Allocate a pseudo-TTY"),
        ("-u, --user", "string", 'Username or UID (format: "<name|uid>[:<group|gid>]")'),
        ("-w, --workdir", "string", "Working directory inside the container"),
    ),
    run,
    arguments=(2, -1),
    interspersed=False,
)
