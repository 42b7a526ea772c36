"""``proa exec``: one more program in a container that runs."""

from ...client.engine import Engine
from ...client.wire import quote, target
from ...errors import Internal, ProaError
from .. import terminal
from ..keys import sequence, told
from ..options import Command
from ..streams import Pump

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from typing import Any

    from ...client.host import Host
    from ..options import Values
else:
    import _signal

_ATTEMPTS = 3


def run(host: "Host", values: "Values", arguments: "list[str]") -> int:
    """Run the program; its exit code, 126 or 127 where it could not be run."""
    engine = Engine(host)
    detached, tty = values.on("detach"), values.on("tty")
    stdin = values.on("interactive") and not detached
    keys = sequence(values.text("detach-keys"))
    if tty and stdin:
        from ..creation import need_terminal

        need_terminal()
    made = engine.call("POST", target(f"/containers/{quote(arguments[0])}/exec"), _body(values, arguments[1:]))
    path = f"/exec/{made['Id']}"
    if detached:
        engine.call("POST", target(path + "/start"), {"Detach": True, "Tty": tty})
        return 0
    return _attached(engine, path, stdin, tty, keys)


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


def _attached(engine: Engine, path: str, stdin: bool, tty: bool, keys: bytes) -> int:
    ours = terminal.Terminal()
    body: dict[str, Any] = {"Detach": False, "Tty": tty}
    if tty:
        body["ConsoleSize"] = list(terminal.size() or (0, 0))
    if tty and stdin:
        from ..signals import restore_at_death

        restore_at_death(ours)
    try:
        if tty and stdin:
            ours.raw()
        pump = Pump(engine.hijack(target(path + "/start"), body), stdin, keys if tty else b"")
        if tty:
            _follow_size(engine, path)
        pump.run()
    finally:
        ours.restore()
    return told() if pump.detached else _exit(engine, path)


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


def _exit(engine: Engine, path: str) -> int:
    found = engine.call("GET", target(path + "/json"))
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
