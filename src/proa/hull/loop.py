"""A shim's event loop: epoll(7) and timers, no threads. Lives for months, so it makes no cycles and keeps no history.

Level-triggered: a handler that leaves something unread is called again. A handler gets the event mask. A descriptor
that a handler removes (or closes) gets no event that was already fetched in the same round, nor does a new one that
got its number.
"""

import select
import time

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    Handler = Callable[[int], None]

IN = select.EPOLLIN
OUT = select.EPOLLOUT
HUP = select.EPOLLHUP
ERR = select.EPOLLERR


class Timer:
    """A call to come. ``cancel`` may be called at any time, also after it has run."""

    __slots__ = ("handler", "when")

    def __init__(self, when: float, handler: "Callable[[], None]") -> None:
        self.when = when
        self.handler: "Callable[[], None] | None" = handler

    def cancel(self) -> None:
        """Never call it (any more)."""
        self.handler = None


class Loop:
    """One epoll instance; ``run`` returns after ``stop``."""

    def __init__(self) -> None:
        self._epoll = select.epoll()
        self._handlers: "dict[int, Handler]" = {}
        self._masks: "dict[int, int]" = {}
        self._timers: "list[Timer]" = []
        self._removed: "set[int]" = set()
        self._stopped = False

    def add(self, fd: int, handler: "Handler", mask: int = IN) -> None:
        """Call ``handler(events)`` whenever ``fd`` is ready. Raises PermissionError for a regular file."""
        self._epoll.register(fd, mask)
        self._handlers[fd] = handler
        self._masks[fd] = mask

    def change(self, fd: int, mask: int) -> None:
        """Wait for other events; 0 leaves only HUP and ERR, which cannot be masked."""
        if self._masks[fd] != mask:
            self._epoll.modify(fd, mask)
            self._masks[fd] = mask

    def remove(self, fd: int) -> None:
        """Forget ``fd``, which must still be open; unknown ones are ignored."""
        if self._handlers.pop(fd, None) is not None:
            del self._masks[fd]
            self._removed.add(fd)
            self._epoll.unregister(fd)

    def after(self, seconds: float, handler: "Callable[[], None]") -> Timer:
        """Call ``handler`` once, ``seconds`` from now (CLOCK_MONOTONIC)."""
        timer = Timer(time.monotonic() + seconds, handler)
        self._timers.append(timer)
        return timer

    def stop(self) -> None:
        """Let ``run`` return after the present round."""
        self._stopped = True

    def run(self) -> None:
        """Serve until ``stop``."""
        while not self._stopped:
            self.turn(self.patience())

    def turn(self, patience: float) -> None:
        """One round: wait at most ``patience`` seconds (-1: as long as it takes), then call what is due."""
        self._removed.clear()
        for fd, events in self._epoll.poll(patience):
            handler = self._handlers.get(fd)
            if handler is not None and fd not in self._removed:
                handler(events)
        if self._timers:
            self._call_timers()

    def close(self) -> None:
        """Close the epoll descriptor. The descriptors in it are their owners'."""
        self._epoll.close()

    def patience(self) -> float:
        """Seconds until the next timer is due; -1: there is none."""
        if not self._timers:
            return -1
        return max(0.0, min(timer.when for timer in self._timers) - time.monotonic())

    def _call_timers(self) -> None:
        now = time.monotonic()
        due = [timer for timer in self._timers if timer.when <= now]
        self._timers = [timer for timer in self._timers if timer.when > now and timer.handler is not None]
        for timer in due:
            if timer.handler is not None:
                timer.handler()
