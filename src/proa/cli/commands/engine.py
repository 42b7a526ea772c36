"""``proa engine``: run, stop and find the engine."""

from ... import NAME
from ...client.engine import Engine
from ...client.wire import own
from ...errors import Conflict, EngineGone
from ..options import Command, UsageError
from ..output import document, line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...client.host import Host
    from ..options import Values

_WORDS = ("run", "stop", "pid", "socket")
_STOPPED_WITHIN = 30.0  # s


def run(host: "Host", values: "Values", arguments: "list[str]") -> int:
    """Do what the first argument says."""
    word = arguments[0]
    if word not in _WORDS:
        what = f"unknown command: {NAME} engine {word}"
        raise UsageError(what, COMMAND, code="unknown-command", exit=1, input=word)
    if word == "run":
        return _run(host, values)
    if word == "stop":
        return _stop(host, values)
    if word == "pid":
        return _pid(host, values)
    if values.on("json"):
        document({"Socket": host.url})
    else:
        line(host.url)
    return 0


def _run(host: "Host", values: "Values") -> int:
    """In the foreground, in this process's place; with -d until it answers."""
    if values.on("detach"):
        Engine(host).connect().close()
        return 0
    try:
        found = Engine(host).call("GET", own("/engine"), start=False)
    except EngineGone:
        from ..handover import hand_over

        return hand_over(host, "engine.main", ["--foreground"])
    raise Conflict(
        f"an engine runs already: process {found['Pid']}",
        code="engine-runs",
        input=host.socket,
        next_step=f"{NAME} engine stop",
    )


def _stop(host: "Host", values: "Values") -> int:
    """Containers go on running, unless --all. No engine is no error: nothing runs then."""
    engine = Engine(host)
    every = values.on("all")
    try:
        pid = int(engine.call("GET", own("/engine"), start=every)["Pid"])
        engine.call("POST", own("/engine/stop") + ("?all=1" if every else ""), start=False)
    except EngineGone as gone:
        if gone.code not in ("no-engine", "engine-closed"):
            raise
        return 0
    _ended(pid)
    return 0


def _ended(pid: int) -> None:
    """Wait until the engine's process is gone, so that what follows finds none."""
    import os
    import select

    try:
        fd = os.pidfd_open(pid)
    except OSError:
        return  # gone already, or not ours to look at
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    poll.poll(_STOPPED_WITHIN * 1000)
    os.close(fd)


def _pid(host: "Host", values: "Values") -> int:
    found = Engine(host).call("GET", own("/engine"), start=False)
    if values.on("json"):
        document(found)
    else:
        line(str(found["Pid"]))
    return 0


COMMAND = Command(
    "engine",
    "run|stop|pid|socket",
    "Run, stop and find the engine",
    (
        ("--all", "", "stop: end all containers too"),
        ("-d, --detach", "", "run: in the background, until it answers"),
    ),
    run,
    arguments=(1, 1),
    examples=(f"{NAME} engine run -d", f"docker -H $({NAME} engine socket) ps", f"{NAME} engine stop --all"),
)
