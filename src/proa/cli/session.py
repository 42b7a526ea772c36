"""One attached container: attach, wait, start, copy, exit code. What ``run``, ``start -a`` and ``attach`` share.

The order is docker's: the stream and the waiter stand before the program starts, so that nothing of a short life is
missed. The shim holds the stream: an engine that dies meanwhile takes neither output nor the program along, and the
exit code is asked of the next engine, which is started if need be.
"""

import time

from ..client.engine import Engine, Stream
from ..client.wire import Response, closed, target
from ..errors import EngineGone, NotFound, ProaError
from . import terminal as terminals
from .signals import Proxy, restore_at_death
from .streams import Log, Pump

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from typing import Any
else:
    import _signal

NEVER = "0001-01-01T00:00:00Z"
_ATTEMPTS = 3
_QUIET = 1.0  # s without a byte from a stream that has ended, or waits for a start that nobody asked for


class Ended(Exception):
    """The program could not be started: ``error`` says why."""

    def __init__(self, error: ProaError) -> None:
        super().__init__(str(error))
        self.error = error


class Session:
    """What is attached and how. ``keys``: the detach sequence; ``removed``: the container goes when it ends (--rm);
    ``began``: its StartedAt so far, by which a start that nobody answered for is known to have gone through."""

    def __init__(
        self, engine: Engine, id: str, *, tty: bool, stdin: bool, stdout: bool, stderr: bool,
        keys: bytes, keys_text: str, proxy: bool, removed: bool, began: str = NEVER,
    ) -> None:  # fmt: skip
        self.engine = engine
        self.id = id
        self.tty = tty
        self.stdin, self.stdout, self.stderr = stdin, stdout, stderr
        self.keys, self.keys_text = keys, keys_text
        self.removed = removed
        self.began = began
        self.terminal = terminals.Terminal()
        self.detached = False
        self._proxied = proxy
        self._proxy = Proxy(self._kill, self.terminal)
        self._since = time.time()

    @property
    def path(self) -> str:
        """The container's path in the API."""
        return f"/containers/{self.id}"

    def take_signals(self) -> None:
        """From now on signals are the program's."""
        if self._proxied:
            self._proxy.install(resized=self.tty)
        elif self.tty and self.stdin:
            restore_at_death(self.terminal)

    def run(self, start: bool = True) -> int:
        """Attach, start the program (unless it runs), copy until it ends; its exit code, 0 after the detach keys."""
        self.take_signals()
        try:
            if self.tty and self.stdin:
                self.terminal.raw()
            waiter, pump = self._begin(start)
            self._proxy.started()
            self._follow_size()
            pump.run(self.stdout or self.stderr)
        finally:
            self.terminal.restore()
        self.detached = pump.detached
        if pump.detached or not (self.stdout or self.stderr):
            return 0
        return self._exit(waiter, pump, start)

    def attach(self, logs: bool = False, live: bool = True) -> Pump:
        """The container's stream; ``logs``: with what it wrote before, not ``live``: only that. Raises ProaError."""
        query = target(
            self.path + "/attach", stream=live, stdin=self.stdin and live, stdout=self.stdout, stderr=self.stderr,
            logs=logs, detachKeys=self.keys_text or None,
        )  # fmt: skip
        stream: Stream = self.engine.hijack(query)
        return Pump(stream, self.stdin and live, self.keys if self.tty else b"")

    def wait(self, condition: str = "") -> Response:
        """The answer that comes when the container has ended, its head already here. Raises ProaError."""
        condition = condition or ("removed" if self.removed else "next-exit")
        return self.engine.open("POST", target(self.path + "/wait", condition=condition))

    def _begin(self, start: bool) -> "tuple[Response | None, Pump | Log]":
        for _ in range(_ATTEMPTS):
            try:
                pump = self.attach()
                waiter = self.wait("" if start else "not-running")
                if start:
                    self._start(waiter)
                elif not self._state().get("Running"):
                    pump.stream.sock.settimeout(_QUIET)
                return waiter, pump
            except EngineGone:
                if start and self._ran():
                    return None, self._behind()
                if not start and not self._state().get("Running"):
                    return None, self.attach(live=False)
        raise closed()

    def _start(self, waiter: Response) -> None:
        try:
            self.engine.modified("POST", target(self.path + "/start"))
        except EngineGone:
            if not self._ran():
                raise
        except ProaError as problem:
            if self.removed:
                self._settle(waiter)
            raise Ended(problem) from problem

    def _settle(self, waiter: Response) -> None:
        try:
            waiter.read()
        except ProaError:
            return  # it is gone either way; the start's own error is the one to tell

    def _state(self) -> "dict[str, Any]":
        """As inspect has it, {} once it is removed. Asked of the next engine where one has died."""
        try:
            state: "dict[str, Any]" = self.engine.call("GET", target(self.path + "/json"))["State"]
            return state
        except NotFound:
            return {}

    def _ran(self) -> bool:
        """Whether the start went through that no engine answered for. One that did not is called off by the next."""
        return self._state().get("StartedAt") != self.began

    def _behind(self) -> "Pump | Log":
        """A stream for a program that ran without us: what it wrote, and, if it still runs, what it writes."""
        state = self._state()
        if self.began == NEVER:
            return self.attach(logs=True, live=bool(state.get("Running")))
        query = target(
            self.path + "/logs", stdout=self.stdout, stderr=self.stderr, follow=True, since=state.get("StartedAt")
        )  # fmt: skip
        return Log(self.engine.open("GET", query))

    def _follow_size(self) -> None:
        if not self.tty or not self._resize():
            return
        _signal.signal(_signal.SIGWINCH, lambda number, frame: self._resize() and None)

    def _resize(self) -> bool:
        """Give the program's terminal our size; False where we have none."""
        size = terminals.size()
        if not size:
            return False
        try:
            self.engine.aside("POST", target(self.path + "/resize", h=size[0], w=size[1]))
        except ProaError:
            pass  # it has ended meanwhile, or there is no engine now: the next change of size tries again
        return True

    def _kill(self, signal: str) -> None:
        self.engine.open("POST", target(self.path + "/kill", signal=signal)).read()

    def _exit(self, waiter: Response | None, pump: "Pump | Log", start: bool) -> int:
        try:
            if waiter:
                return status(waiter)
        except EngineGone:
            if not pump.received:
                self._replay(start)
        return self._ask_exit()

    def _replay(self, start: bool) -> None:
        """The engine died before it gave our stream to the shim: what the program wrote is in the log. Who only
        attached wants what comes, not what was."""
        try:
            if start:
                self._behind().run()
            elif self._state().get("Running"):
                self.attach().run()
        except ProaError:
            return  # it is removed, and its log with it

    def _ask_exit(self) -> int:
        for attempt in range(_ATTEMPTS):
            try:
                state = self.engine.call("GET", target(self.path + "/json"))["State"]
                if state["Running"]:
                    return status(self.wait("not-running"))
                return int(state["ExitCode"])
            except NotFound:
                return died(self.engine, self.id, self._since)
            except EngineGone:
                if attempt + 1 == _ATTEMPTS:
                    raise
        raise AssertionError("unreachable")


def status(waiter: Response) -> int:
    """The exit code in a wait's answer. Raises EngineGone when it breaks off, ProaError when the wait failed."""
    from ..client.engine import answer

    body: Any = answer(waiter.read())
    if body is None:
        raise closed()
    problem = body.get("Error")
    if problem and problem.get("Message"):
        raise ProaError(f"waiting for the container failed: {problem['Message']}", code="wait-failed", exit=125)
    return int(body["StatusCode"])


def died(engine: Engine, id: str, since: float) -> int:
    """The exit code in the ``die`` event of a container that is already removed. Raises NotFound."""
    from .. import jsontext

    filters = jsontext.dumps({"container": {id: True}, "event": {"die": True}}).decode()
    query = target("/events", since=f"{since - 1:.9f}", until=f"{time.time():.9f}", filters=filters)
    last = None
    for line in engine.open("GET", query).lines():
        last = jsontext.loads(line)
    if last is None:
        raise NotFound(f"No such container: {id}", code="no-such-container", input=id, exit=125)
    return int(last["Actor"]["Attributes"]["exitCode"])
