"""The programs that run beside a container's own, from an exec's message until the last client of each is served.

One that has ended stays open for what it left in the background, then takes leave of its clients (farewell.py). The
last ones that ended stay known: an engine that was told may have died before it took note.
"""

import os

from . import carrier
from .client_stream import Wants
from .farewell import Farewell
from .stdio import Streams

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .carrier import Done, Failure
    from .loop import Loop
    from .messages import Message

BACKGROUND = 2.0  # seconds that an exec's stream stays open for what it left in the background; dockerd's number
ENDED_KEPT = 64  # execs that have ended, whose exit codes the next engine is told


class Exec:
    """One program. ``streams`` is None once its clients are served."""

    __slots__ = ("pid", "running", "status", "streams")

    def __init__(self, streams: Streams) -> None:
        self.streams: "Streams | None" = streams
        self.running = True
        self.pid = 0
        self.status = 0

    def state(self) -> "dict[str, object]":
        """ExecState (hull/messages)."""
        return {"running": self.running, "pid": self.pid, "status": self.status}


class Execs:
    """See the module's docstring. ``tell`` reaches the engines; ``served`` is called when the clients of one are."""

    def __init__(self, loop: "Loop", tell: "Callable[[Message], None]", served: "Callable[[], None]") -> None:
        self.known: "dict[str, Exec]" = {}
        self._loop = loop
        self._tell = tell
        self._served = served
        self._over = False

    def add(self, message: "Message", fds: "list[int]", answer: "Done") -> "tuple[Streams, Done]":
        """One more: its streams, and the ``done`` that its start is to call. The client's socket is taken from ``fds``;
        after a failure it is as it was. Raises Refusal, ValueError."""
        name = message["exec"]
        if name in self.known:
            raise carrier.Refusal("invalid", f"exec {name} exists")
        wants = Wants.of(message)
        early = message.get("early", "").encode("latin-1")
        streams = Streams(
            self._loop,
            terminal=bool(message.get("terminal")),
            stdin=wants.stdin,
            stdin_once=True,
            detached=lambda: self._tell({"op": "detached", "target": name}),
        )
        client = fds.pop(0) if fds else -1
        one = self.known[name] = Exec(streams)

        def done(failure: "Failure | None", pid: int) -> None:
            if failure is not None:
                if client >= 0:
                    os.close(client)  # not shut down: the engine still has words for it
                answer(failure, 0)
                self.exited(name, carrier.STATUS.get(failure["kind"], 126))
                return
            one.pid = pid
            answer(None, pid)
            if client >= 0:
                streams.attach(client, wants, early)
            elif wants.stdin:
                streams.input.end()

        return streams, done

    def streams(self, name: str) -> "Streams | None":
        """The streams of one that runs."""
        one = self.known.get(name)
        return one.streams if one is not None and one.running else None

    def states(self) -> "dict[str, object]":
        """ExecState by name."""
        return {name: one.state() for name, one in self.known.items()}

    @property
    def clients(self) -> bool:
        """Whether anybody is still served."""
        return any(one.streams for one in self.known.values())

    def exited(self, name: str, status: int) -> None:
        """One has ended. A second end, or a stranger's, is none."""
        one = self.known.get(name)
        if one is None or not one.running or one.streams is None:
            return
        one.running, one.status = False, status

        def announce() -> None:
            self._tell({"op": "exec-exited", "exec": name, "status": status})

        def done() -> None:
            one.streams = None
            self._forget()
            self._served()

        streams = one.streams
        farewell = Farewell(self._loop, streams, announce, done)
        if self._over or streams.settle(farewell.begin):
            farewell.begin()
        else:
            self._loop.after(BACKGROUND, farewell.begin)

    def end(self) -> None:
        """The container has ended, and with it all that ran beside it."""
        self._over = True
        for name in list(self.known):
            self.exited(name, 137)

    def _forget(self) -> None:
        for name in [name for name, one in self.known.items() if one.streams is None][:-ENDED_KEPT]:
            del self.known[name]
