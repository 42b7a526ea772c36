"""How a shim comes to be, once it is forked, and what it leaves when something of ours fails.

A shim that was asked for carries its bundle at once; a spare one waits for it, with what it will need already touched.
"""

import _socket
import os
import select
import time

from .. import jsontext
from ..linux import namespaces
from . import messages, records
from .loop import Loop
from .shim import Shim, unlink
from .stdio import Streams

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from typing import NoReturn

    from .bundle import Bundle
else:
    import _signal


def wait(control: int) -> "NoReturn":
    """A spare shim's whole life: wait for a bundle, then carry it. Ends with its engine. Never returns."""
    _detach()
    _touch()
    network = _new_network()
    try:
        message, fds = messages.receive(_socket.socket(fileno=os.dup(control)))
    except (messages.Gone, OSError, ValueError):
        os._exit(0)
    if message.get("op") != "carry" or not fds:
        os._exit(0)
    _carry(control, fds[0], fds[1:], network)


def run(control: int, bundle: int, fds: "list[int]") -> "NoReturn":
    """A forked shim's whole life. ``bundle``: a sealed memfd; ``fds``: what bundle["fds"] names. Never returns."""
    _detach()
    _carry(control, bundle, fds)


def _detach() -> None:
    os.setsid()
    _signal.signal(_signal.SIGCHLD, _signal.SIG_DFL)
    _signal.signal(_signal.SIGPIPE, _signal.SIG_IGN)


def _touch() -> None:
    """Use what a start will use: the pages are this process's own before somebody waits for it."""
    loop = Loop()
    Streams(loop, terminal=False, stdin=False, stdin_once=True)
    jsontext.loads(jsontext.dumps({"op": "", "n": [1, True, None]}))
    loop.turn(0)
    loop.close()


def _new_network() -> int:
    """A network namespace for the container to come, which takes the kernel 0.7 ms; -1 where there may be none."""
    try:
        return namespaces.new_network()
    except OSError:
        return -1


def _carry(control: int, bundle: int, fds: "list[int]", network: int = -1) -> "NoReturn":
    value: "Bundle | None" = None
    shim: "Shim | None" = None
    if _hung_up(control):
        os._exit(0)
    try:
        value = jsontext.loads(messages.unseal(bundle))
        held = dict(zip(value["fds"], fds, strict=True))
        if value["kind"] == "container":
            held["network"] = network
        elif network >= 0:
            os.close(network)
        shim = Shim(value, held, _socket.socket(fileno=control))
        shim.run()
        os._exit(0)
    except BaseException as problem:  # whatever it is: the container must end, and the record must say why
        _crash(value, shim, f"shim failed: {type(problem).__name__}: {problem}")
    finally:
        os._exit(1)


def _hung_up(control: int) -> bool:
    """Whether the engine has died meanwhile: the next one may be making another shim for this container already."""
    poll = select.poll()
    poll.register(control, 0)
    return any(events & select.POLLHUP for _, events in poll.poll(0))


def _crash(bundle: "Bundle | None", shim: "Shim | None", text: str) -> None:
    """Leave an exit file, then nothing. What still ran dies with its shim."""
    if bundle is None:
        return
    exit = records.read(bundle["run"], records.EXIT)
    if exit is None:
        started = shim.started if shim is not None else 0
        exit = {"status": 137, "oom": False, "started": started, "finished": time.time_ns(), "error": text}
        records.write(bundle["run"], records.EXIT, exit)
    unlink(bundle["socket"])
    if shim is not None:
        shim.abandon()
