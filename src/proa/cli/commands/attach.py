"""``proa attach``: our standard streams on a container that runs."""

from ...client.engine import Engine
from ...client.wire import quote, target
from ...errors import Conflict
from ..creation import need_terminal
from ..keys import sequence, told
from ..options import Command
from ..session import Session

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ...client.host import Host
    from ..options import Values


def run(host: "Host", values: "Values", arguments: "list[str]") -> int:
    """Attach until the program ends (its exit code) or the detach keys are typed (0)."""
    engine = Engine(host)
    keys = sequence(values.text("detach-keys"))
    found = engine.call("GET", target(f"/containers/{quote(arguments[0])}/json"))
    _check(found["State"])
    config = found["Config"]
    stdin = not values.on("no-stdin") and config["OpenStdin"]
    if config["Tty"] and stdin:
        need_terminal()
    session = Session(
        engine, found["Id"], tty=config["Tty"], stdin=stdin, stdout=True, stderr=True, keys=keys,
        keys_text=values.text("detach-keys"), proxy=values.on("sig-proxy", True) and not config["Tty"], removed=False,
    )  # fmt: skip
    code = session.run(start=False)
    return told() if session.detached else code


def _check(state: "dict[str, Any]") -> None:
    wrong = (
        "a stopped container, start it first" if not state["Running"] and not state.get("Restarting")
        else "a paused container, unpause it first" if state["Paused"]
        else "a restarting container, wait until it is running" if state.get("Restarting")
        else ""
    )  # fmt: skip
    if wrong:
        raise Conflict(f"cannot attach to {wrong}", code="cannot-attach")


COMMAND = Command(
    "attach",
    "[OPTIONS] CONTAINER",
    "Attach local standard input, output, and error streams to a running container",
    (
        ("--detach-keys", "string", "Override the key sequence for detaching a container"),
        ("--no-stdin", "", "Do not attach STDIN"),
        ("--sig-proxy", "switch-on", "Proxy all received signals to the process"),
    ),
    run,
    arguments=(1, 1),
)
