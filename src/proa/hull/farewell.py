"""The end of one program's clients: first they get everything, then the engine is told, then they are closed.

In this order because a client that sees its stream end asks for the exit code at once. One that does not read holds the
news up for ``PATIENCE`` only; it is served further, for as long as it takes something every ``STUCK`` seconds.
"""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .loop import Loop, Timer
    from .stdio import Streams

PATIENCE = 2.0
STUCK = 600.0


class Farewell:
    """Calls ``announce`` once everybody is served (or was given time), and ``done`` once the last client has gone."""

    __slots__ = ("_announce", "_begun", "_done", "_drained", "_loop", "_sent", "_streams", "_timer")

    def __init__(
        self,
        loop: "Loop",
        streams: "Streams",
        announce: "Callable[[], None]",
        done: "Callable[[], None]",
        drained: "Callable[[], None] | None" = None,
    ) -> None:
        """``drained`` is called first of all, once everything that the program said is in the log."""
        self._loop = loop
        self._streams: "Streams | None" = streams
        self._announce: "Callable[[], None] | None" = announce
        self._done = done
        self._drained = drained
        self._begun = False
        self._sent = 0
        self._timer: "Timer | None" = None

    def begin(self) -> None:
        """The program has ended: drain what it said. A second call does nothing."""
        streams = self._streams
        if streams is None or self._begun:
            return
        self._begun = True
        streams.finish(self._changed)
        if self._drained is not None:
            self._drained()
        if streams.served:
            self._tell()
        else:
            self._timer = self._loop.after(PATIENCE, self._tell)

    def _changed(self) -> None:
        if self._streams is None:
            return
        if self._announce is not None:
            if self._streams.served:
                self._tell()
        elif not self._streams.clients:
            self._end()

    def _tell(self) -> None:
        announce, self._announce = self._announce, None
        if announce is None or self._streams is None:
            return
        self._cancel()
        announce()
        self._timer = self._loop.after(STUCK, self._watch)
        self._streams.release()
        self._changed()

    def _watch(self) -> None:
        if self._streams is None:
            return
        if self._streams.sent == self._sent:
            self._streams.drop()
        else:
            self._sent = self._streams.sent
            self._timer = self._loop.after(STUCK, self._watch)

    def _end(self) -> None:
        streams, self._streams = self._streams, None
        if streams is not None:
            self._cancel()
            streams.forget()
            self._done()

    def _cancel(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
