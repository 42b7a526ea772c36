"""Shim: the process that carries one container, from spawn until the last client is served.

One thread, one epoll loop. It holds the program's streams, log and exit status, works the engines' messages off in
order, and outlives them all: an engine may die, another may connect. What is asked of the kind of hull goes to a
``carrier``. Its end: log complete → exit file → clients served → ``exited`` → clients closed → cgroup removed → gone.
"""

import _socket
import os
import time

from . import carrier, carriers, connection, detach, messages, records
from .client_stream import Wants
from .connection import Connection
from .farewell import Farewell
from .log import JsonLog
from .loop import Loop
from .stdio import Streams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .bundle import Bundle
    from .carrier import Failure
    from .messages import Message

BACKGROUND = 2.0  # seconds that an exec's stream stays open for what it left in the background; dockerd's number
ENDED_KEPT = 64  # execs that have ended, whose exit codes the next engine is told
_STATUS = {"not-found": 127, "not-executable": 126, "denied": 126}
_MAY_WAIT = ("exec", "signal", "freeze", "start")  # worked off once a start under way is through


class Exec:
    """One more program beside the container's."""

    __slots__ = ("pid", "running", "status", "streams")

    def __init__(self, streams: Streams) -> None:
        self.streams: "Streams | None" = streams
        self.running = True
        self.pid = 0
        self.status = 0

    def state(self) -> "dict[str, object]":
        """ExecState (hull/messages)."""
        return {"running": self.running, "pid": self.pid, "status": self.status}


class Shim:
    """The state of one container's shim; also the ``Host`` of its carrier."""

    def __init__(self, bundle: "Bundle", fds: "dict[str, int]", control: _socket.socket) -> None:
        stdio = bundle["stdio"]
        self.loop = Loop()
        self._bundle = bundle
        self._status = "created"
        self._pid = 0
        self._started = 0
        self._facts: "dict[str, Any]" = {}
        self._oom = False
        self._exit: "dict[str, object] | None" = None
        self._execs: "dict[str, Exec]" = {}
        self._starting = False
        self._waiting: "list[tuple[Connection, Message, list[int]]]" = []
        self._connections: "list[Connection]" = []
        self._over = False
        self._streams = Streams(
            self.loop,
            terminal=stdio["terminal"],
            stdin=stdio["stdin"],
            stdin_once=stdio["stdin_once"],
            log=JsonLog(stdio["log"]) if stdio["log"] else None,
            detached=lambda: self._tell({"op": "detached", "target": ""}),
        )
        self._carrier = carriers.make(bundle, fds, self)
        self._listener = connection.listen(bundle["socket"])
        self._socket_id = connection.identity(bundle["socket"])
        self.loop.add(self._listener.fileno(), self._accept)
        self._connect(control)

    def run(self) -> None:
        """Serve until there is nobody left to serve."""
        self.loop.run()

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
        me = os.getpid()
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
            self._exec_exited(target, status)
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

    def _connect(self, sock: _socket.socket) -> None:
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
                "execs": {name: one.state() for name, one in self._execs.items()},
                "hull": self._facts,
            }
        )

    def _disconnected(self, link: Connection) -> None:
        self._connections.remove(link)
        if not self._connections and self._status == "created" and not self._starting and self._exit is None:
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
        if self._starting and message.get("op") in _MAY_WAIT:
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
        self._starting = True

        def done(failure: "Failure | None", pid: int) -> None:
            self._starting = False
            if failure is not None:
                self._refuse(link, message, failure)
                self._end(_STATUS.get(failure["kind"], 128), failure["text"])
            elif self._exit is None:
                self._pid, self._started, self._status = pid, time.time_ns(), "running"
                self._reply(link, message, pid=pid, started=self._started, hull=self._facts)
            waiting, self._waiting = self._waiting, []
            for held in waiting:
                self._on_message(*held)

        try:
            self._carrier.start(self._streams, done)
        except carrier.Refusal as refusal:
            done({"kind": refusal.kind, "text": refusal.text}, 0)
        except OSError as problem:
            done({"kind": "internal", "text": str(problem)}, 0)

    def _attach(self, link: Connection, message: "Message", fds: "list[int]") -> None:
        streams = self._target(message["target"])
        wants = _wants(message)
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
        name = message["exec"]
        if name in self._execs:
            raise carrier.Refusal("invalid", f"exec {name} exists")
        wants = _wants(message)
        streams = Streams(
            self.loop,
            terminal=bool(message.get("terminal")),
            stdin=wants.stdin,
            stdin_once=True,
            detached=lambda: self._tell({"op": "detached", "target": name}),
        )
        client = fds.pop(0) if fds else -1
        early = message.get("early", "").encode("latin-1")
        one = self._execs[name] = Exec(streams)

        def done(failure: "Failure | None", pid: int) -> None:
            if failure is not None:
                if client >= 0:
                    os.close(client)  # not shut down: the engine still has words for it
                self._refuse(link, message, failure)
                self._exec_exited(name, _STATUS.get(failure["kind"], 126))
                return
            one.pid = pid
            self._reply(link, message, pid=pid)
            if client >= 0:
                streams.attach(client, wants, early)
            elif wants.stdin:
                streams.input.end()

        try:
            self._carrier.exec(name, message["process"], streams, done)
        except carrier.Refusal as refusal:
            done({"kind": refusal.kind, "text": refusal.text}, 0)
        except OSError as problem:
            done({"kind": "internal", "text": str(problem)}, 0)

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
        self._carrier.freeze(frozen)
        self._status = "paused" if frozen else "running"
        self._reply(link, message)

    def _end_all(self, link: Connection, message: "Message", fds: "list[int]") -> None:
        if message.get("created") and self._status in ("running", "paused"):
            self._reply(link, message, pid=self._pid, started=self._started, hull=self._facts)
            return
        self._reply(link, message)
        if self._status == "created" and not self._starting:
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
        one = self._execs.get(name) if name else None
        if one is None or not one.running or one.streams is None:
            raise carrier.Refusal("not-running", f"{name or 'container'} is not running")
        return one.streams

    # ends

    def _exec_exited(self, name: str, status: int) -> None:
        one = self._execs.get(name)
        if one is None or not one.running or one.streams is None:
            return
        one.running, one.status = False, status

        def announce() -> None:
            self._tell({"op": "exec-exited", "exec": name, "status": status})

        def done() -> None:
            one.streams = None
            self._forget_execs()
            self._check_over()

        streams = one.streams
        farewell = Farewell(self.loop, streams, announce, done)
        if self._exit is not None or streams.settle(farewell.begin):
            farewell.begin()
        else:
            self.loop.after(BACKGROUND, farewell.begin)

    def _forget_execs(self) -> None:
        """The last ones that ended stay known: an engine that was told may have died before it took note."""
        for name in [name for name, one in self._execs.items() if one.streams is None][:-ENDED_KEPT]:
            del self._execs[name]

    def _end(self, status: int, error: str) -> None:
        ended = {"status": status, "oom": self._oom, "started": self._started, "finished": time.time_ns()}
        self._exit = {**ended, "error": error}
        for name in list(self._execs):
            self._exec_exited(name, 137)
        self._exit["execs"] = {name: one.state() for name, one in self._execs.items()}
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
        try:
            self._carrier.cleanup()
        except OSError:
            pass  # something would not go: delete, or the next engine, looks again
        self.loop.remove(self._listener.fileno())
        self._listener.close()
        unlink(self._bundle["socket"])
        for link in self._connections[:]:
            link.close()
        self._over = True
        self._check_over()

    def _check_over(self) -> None:
        if self._over and not self._streams.clients and not any(one.streams for one in self._execs.values()):
            self.loop.stop()


_OPERATIONS = {
    "start": Shim._start,
    "attach": Shim._attach,
    "exec": Shim._exec,
    "resize": Shim._resize,
    "signal": Shim._signal,
    "freeze": Shim._freeze,
    "end": Shim._end_all,
}


def _wants(message: "Message") -> Wants:
    return Wants(
        stdin=bool(message.get("stdin")),
        stdout=bool(message.get("stdout")),
        stderr=bool(message.get("stderr")),
        logs=bool(message.get("logs")),
        stream=bool(message.get("stream", True)),
        mux=bool(message.get("mux")),
        keys=detach.parse(message.get("detach_keys") or ""),
    )


def unlink(path: str) -> None:
    """Remove a file that may be gone."""
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
