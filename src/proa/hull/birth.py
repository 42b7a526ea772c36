"""How a shim comes to be, once it is forked, and what it leaves when something of ours fails.

A shim that was asked for carries its bundle at once; a spare one waits for it, with what it will need already touched.
One whose container has ended, and who holds nothing more, offers itself to its engine as a spare: a process that has
done it before neither has to be forked nor to make its memory its own again.
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

LIVES = 100
"""Containers that one process carries at most, one after the other."""


def wait(control: int) -> "NoReturn":
    """A spare shim's whole life: wait for a bundle, then carry it. Ends with its engine. Never returns."""
    _detach()
    _touch()
    _wait(control, LIVES)


def run(control: int, bundle: int, fds: "list[int]") -> "NoReturn":
    """A forked shim's whole life. ``bundle``: a sealed memfd; ``fds``: what bundle["fds"] names. Never returns."""
    _detach()
    _wait(_carry(control, bundle, fds, -1, again=True), LIVES - 1)


def _wait(control: int, lives: int) -> "NoReturn":
    """Carry what the engine at ``control`` has; and again, with the next socket, ``lives`` times at most."""
    while control >= 0 and lives:
        network = _new_network()
        sock = _socket.socket(fileno=control)
        try:
            message, fds = messages.receive(sock)
        except (messages.Gone, OSError, ValueError):
            break
        finally:
            control = sock.detach()
        if message.get("op") != "carry" or not fds:
            break
        lives -= 1
        control = _carry(control, fds[0], fds[1:], network, again=lives > 0)
    os._exit(0)


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


def _carry(control: int, bundle: int, fds: "list[int]", network: int, *, again: bool) -> int:
    """Returns once nothing is left of the container: the next control socket (``again``: there may be one), or -1."""
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
        again = again and value["kind"] == "container"  # a virtual machine's has loaded much, and is rare
        shim = Shim(value, held, _socket.socket(fileno=control), again=again)
        shim.run()
        control = shim.offered
        shim.close()
        return control if control >= 0 and _as_new(control) else -1
    except BaseException as problem:  # whatever it is: the container must end, and the record must say why
        try:
            _crash(value, shim, f"shim failed: {type(problem).__name__}: {problem}")
        finally:
            os._exit(1)


def _as_new(control: int) -> bool:
    """Whether this process holds what a new one holds, and nothing of what it carried: no descriptor, no child."""
    try:
        os.waitid(os.P_ALL, 0, os.WEXITED | os.WNOHANG | os.WNOWAIT)
        return False
    except ChildProcessError:
        held = set(map(int, os.listdir("/proc/self/fd")))  # and the one that reads it
        return held >= {0, 1, 2, control} and len(held) == 5


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
