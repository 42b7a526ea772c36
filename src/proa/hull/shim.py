"""Shim: the process that carries one container, from spawn until the last client is served.

One thread, one epoll loop. It holds the program's streams, log and exit status, works the engines' messages off in
order, and outlives them all: an engine may die, another may connect. What is asked of the kind of hull goes to a
``carrier``. Its end: log complete → exit file → clients served → ``exited`` → clients closed → cgroup removed → gone.
"""

import _socket
import os
import time

from . import carrier, carriers, connection, messages, records
from .client_stream import Wants
from .connection import Connection
from .execs import Execs
from .farewell import Farewell
from .log import JsonLog
from .loop import Loop
from .stdio import Streams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from .bundle import Bundle
    from .carrier import Failure
    from .messages import Message

_MAY_WAIT = ("exec", "signal", "freeze", "start")  # worked off once a start, or a freeze, under way is through


class Shim:
    """The state of one container's shim; also the ``Host`` of its carrier."""

    def __init__(
        self, bundle: "Bundle", fds: "dict[str, int]", control: _socket.socket, *, again: bool = False
    ) -> None:
        """``again``: offer this process to the engine when all is done; the next control socket is ``offered`` then."""
        stdio = bundle["stdio"]
        self.loop = Loop()
        self._bundle = bundle
        self._me = os.getpid()  # record may be called by a child that shares our memory, but not our pid namespace
        self._status = "created"
        self._pid = 0
        self._started = 0
        self._facts: "dict[str, Any]" = {}
        self._oom = False
        self._exit: "dict[str, object] | None" = None
        self._execs = Execs(self.loop, self._tell, self._check_over)
        self._busy = False
        self._waiting: "list[tuple[Connection, Message, list[int]]]" = []
        self._connections: "list[Connection]" = []
        self._over = False
        self._again = again
        self.offered = -1
        self._streams = Streams(
            self.loop,
            terminal=stdio["terminal"],
            stdin=stdio["stdin"],
            stdin_once=stdio["stdin_once"],
            log=JsonLog(stdio["log"]) if stdio["log"] else None,
            detached=lambda: self._tell({"op": "detached", "target": ""}),
        )
        self._fds = fds
        self._carrier = carriers.make(bundle, fds, self)
        self._listener = connection.listen(bundle["socket"])
        self._socket_id = connection.identity(bundle["socket"])
        self.loop.add(self._listener.fileno(), self._accept)
        self._maker = self._connect(control)

    def run(self) -> None:
        """Serve until there is nobody left to serve."""
        self.loop.run()

    def close(self) -> None:
        """Let go of all that is still open, once ``run`` has returned."""
        self.loop.close()
        self._streams.close()

    def abandon(self) -> None:
        """End everything at once, after a failure of ours."""
        self._carrier.end()
        self._carrier.cleanup()

    @property
    def started(self) -> int:
        """When the program began, in ns since the epoch; 0: never."""
        return self._started

    # what the carrier calls

    def record(self, pid: int, facts: "dict[str, Any] | None" = None) -> None:
        """Write state.json. See ``carrier.Host``."""
        self._pid = pid
        self._facts = (facts or {}).get("hull", {})
        me = self._me
        state = {
            "protocol": messages.PROTOCOL,
            "id": self._bundle["id"],
            "kind": self._bundle["kind"],
            "pid": pid,
            "pid_start": records.started(pid),
            "shim": me,
            "shim_start": records.started(me),
            "boot": records.boot(),
            "socket": self._bundle["socket"],
            "cgroup": self._bundle["cgroup"],
        }
        records.write(self._bundle["run"], records.STATE, {**state, **(facts or {})})

    def exited(self, target: str, status: int, error: str = "") -> None:
        """A program has ended. See ``carrier.Host``."""
        if target:
            self._execs.exited(target, status)
        elif self._exit is None:
            self._end(status, error)

    def oom(self) -> None:
        """The kernel killed for want of memory."""
        if not self._oom:
            self._oom = True
            self._tell({"op": "oom"})

    # engines

    def _accept(self, _events: int) -> None:
        sock = connection.accept(self._listener)
        if sock is not None:
            self._connect(sock)

    def _connect(self, sock: _socket.socket) -> Connection:
        link = Connection(self.loop, sock, self._on_message, self._disconnected)
        self._connections.append(link)
        link.send(
            {
                "op": "hello",
                "protocol": messages.PROTOCOL,
                "status": self._status,
                "pid": self._pid,
                "started": self._started,
                "exit": self._exit,
                "execs": self._execs.states(),
                "hull": self._facts,
            }
        )
        return link

    def _disconnected(self, link: Connection) -> None:
        self._connections.remove(link)
        if not self._connections and self._status == "created" and not self._busy and self._exit is None:
            self._give_up()

    def _give_up(self) -> None:
        """The engine died before it had anything started. The next one takes that for never begun, and may be making
        another shim for this container already: no record, and nobody else's socket is touched."""
        self._carrier.cleanup()
        if connection.identity(self._bundle["socket"]) == self._socket_id:
            unlink(self._bundle["socket"])
        self.loop.stop()

    def _tell(self, message: "Message") -> None:
        for link in self._connections[:]:
            link.send(message)

    def _on_message(self, link: Connection, message: "Message", fds: "list[int]") -> None:
        if self._busy and message.get("op") in _MAY_WAIT:
            self._waiting.append((link, message, fds))
            return
        operation = _OPERATIONS.get(str(message.get("op")))
        try:
            if operation is None:
                raise carrier.Refusal("invalid", f"unknown operation {message.get('op')!r}")
            operation(self, link, message, fds)
        except carrier.Refusal as refusal:
            self._refuse(link, message, {"kind": refusal.kind, "text": refusal.text})
        except (KeyError, TypeError, ValueError) as problem:
            self._refuse(link, message, {"kind": "invalid", "text": f"{type(problem).__name__}: {problem}"})
        except OSError as problem:
            self._refuse(link, message, {"kind": "internal", "text": str(problem)})
        finally:
            for fd in fds:
                os.close(fd)

    def _reply(self, link: Connection, message: "Message", **more: object) -> None:
        link.send({"op": "reply", "n": message.get("n"), **more})

    def _refuse(self, link: Connection, message: "Message", failure: "Failure") -> None:
        self._reply(link, message, error=failure)

    # operations

    def _start(self, link: Connection, message: "Message", fds: "list[int]") -> None:
        if self._status != "created":
            raise carrier.Refusal("invalid", f"container is {self._status}")
        again = "machine" in message
        if again:
            self._bundle["machine"], self._fds["template"] = message["machine"], fds.pop(0)
        self._busy = True

        def done(failure: "Failure | None", pid: int) -> None:
            self._busy = False
            if failure is not None:
                self._refuse(link, message, failure)
                if failure["kind"] == "spoiled" and not again:
                    return
                self._end(carrier.STATUS.get(failure["kind"], 128), failure["text"])
            elif self._exit is None:
                self._pid, self._started, self._status = pid, time.time_ns(), "running"
                self._reply(link, message, pid=pid, started=self._started, hull=self._facts)
            self._go_on()

        _attempt(lambda: self._carrier.start(self._streams, done), lambda failure: done(failure, 0))

    def _go_on(self) -> None:
        """What had to wait is worked off, until something has to be waited for again."""
        waiting, self._waiting = self._waiting, []
        for held in waiting:
            self._on_message(*held)

    def _attach(self, link: Connection, message: "Message", fds: "list[int]") -> None:
        streams = self._target(message["target"])
        wants = Wants.of(message)
        if not fds:
            raise carrier.Refusal("invalid", "no socket came along")
        streams.attach(fds.pop(0), wants, message.get("early", "").encode("latin-1"))
        self._reply(link, message)

    def _exec(self, link: Connection, message: "Message", fds: "list[int]") -> None:
        self._alive()
        if self._status == "paused":
            raise carrier.Refusal(
                "invalid", f"Container {self._bundle['id']} is paused, unpause the container before exec"
            )
        process = message["process"]

        def answer(failure: "Failure | None", pid: int) -> None:
            if failure is not None:
                self._refuse(link, message, failure)
            else:
                self._reply(link, message, pid=pid)

        streams, done = self._execs.add(message, fds, answer)
        _attempt(lambda: self._carrier.exec(message["exec"], process, streams, done), lambda failure: done(failure, 0))

    def _resize(self, link: Connection, message: "Message", fds: "list[int]") -> None:
        self._target(message["target"])
        self._carrier.resize(message["target"], message["height"], message["width"])
        self._reply(link, message)

    def _signal(self, link: Connection, message: "Message", fds: "list[int]") -> None:
        self._alive()
        self._target(message["target"])
        self._carrier.signal(message["target"], message["signal"])
        self._reply(link, message)

    def _freeze(self, link: Connection, message: "Message", fds: "list[int]") -> None:
        self._alive()
        frozen = bool(message["frozen"])
        self._busy = True

        def done(failure: "Failure | None") -> None:
            self._busy = False
            if failure is not None:
                self._refuse(link, message, failure)
            else:
                self._status = "paused" if frozen else "running"
                self._reply(link, message)
            self._go_on()

        _attempt(lambda: self._carrier.freeze(frozen, done), done)

    def _end_all(self, link: Connection, message: "Message", fds: "list[int]") -> None:
        if message.get("created") and self._status in ("running", "paused"):
            self._reply(link, message, pid=self._pid, started=self._started, hull=self._facts)
            return
        self._reply(link, message)
        if self._status == "created" and not self._busy:
            self._end(137, "never started")
        elif self._exit is None:
            self._carrier.end()

    def _alive(self) -> None:
        if self._status not in ("running", "paused"):
            raise carrier.Refusal("not-running", f"container is {self._status}")

    def _target(self, name: str) -> Streams:
        """The streams of "" or of an exec that runs."""
        if not name and self._exit is None:
            return self._streams
        streams = self._execs.streams(name) if name else None
        if streams is None:
            raise carrier.Refusal("not-running", f"{name or 'container'} is not running")
        return streams

    # ends

    def _end(self, status: int, error: str) -> None:
        ended = {"status": status, "oom": self._oom, "started": self._started, "finished": time.time_ns()}
        self._exit = {**ended, "error": error}
        self._execs.end()
        self._exit["execs"] = self._execs.states()
        Farewell(self.loop, self._streams, self._announce, self._check_over, self._drained).begin()

    def _drained(self) -> None:
        """The log is complete: how it ended may be known."""
        self._status = "exited"
        assert self._exit is not None
        try:
            records.write(self._bundle["run"], records.EXIT, self._exit)
        except OSError:
            pass  # RUN was taken away, or is full: the message still says it

    def _announce(self) -> None:
        self._tell({"op": "exited", "exit": self._exit})
        self.loop.after(0, self._clean)

    def _clean(self) -> None:
        """Clients that were served are closed by now; those that were not may take their time."""
        whole = self._started > 0
        try:
            self._carrier.cleanup()
        except OSError:
            whole = False  # something would not go: delete, or the next engine, looks again
        self.loop.remove(self._listener.fileno())
        self._listener.close()
        unlink(self._bundle["socket"])
        if whole and self._again and not self._serving():
            self._offer()
        for link in self._connections[:]:
            link.close()
        self._over = True
        self._check_over()

    def _check_over(self) -> None:
        if self._over and not self._serving():
            self.loop.stop()

    def _serving(self) -> bool:
        return bool(self._streams.clients or self._execs.clients)

    def _offer(self) -> None:
        """Be a spare shim from now on, if the engine that had this one made is still there, and wants it."""
        if self._maker in self._connections:
            ours, theirs = messages.pair()
            if self._maker.give({"op": "spare"}, [theirs.fileno()]):
                self.offered = ours.detach()
            ours.close()
            theirs.close()


_OPERATIONS = {
    "start": Shim._start,
    "attach": Shim._attach,
    "exec": Shim._exec,
    "resize": Shim._resize,
    "signal": Shim._signal,
    "freeze": Shim._freeze,
    "end": Shim._end_all,
}


def _attempt(work: "Callable[[], None]", failed: "Callable[[Failure], None]") -> None:
    """Have a carrier do something that it answers for itself, unless it raises."""
    try:
        work()
    except carrier.Refusal as refusal:
        failed({"kind": refusal.kind, "text": refusal.text})
    except OSError as problem:
        failed({"kind": "internal", "text": str(problem)})


def unlink(path: str) -> None:
    """Remove a file that may be gone."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
