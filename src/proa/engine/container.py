"""One container as the engine holds it in memory: its record and state, and who waits for what."""

from __future__ import annotations

import asyncio
import os
import select
from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..hull.contract import Attachment, Handle
from .transitions import Action, Status, check

if TYPE_CHECKING:
    from .records import Record, State


@dataclass(frozen=True, slots=True)
class Pending:
    """A client that attached while nothing runs: its socket waits for the next start."""

    attachment: Attachment
    fd: int

    @property
    def gone(self) -> bool:
        """Whether the client has closed its end (shutting down its writing is not that)."""
        poll = select.poll()
        poll.register(self.fd, 0)
        return any(event & (select.POLLHUP | select.POLLERR) for _, event in poll.poll(0))


class Container:
    """``record`` never changes, ``state`` is replaced at each transition, ``lock`` is taken in ``lifecycle`` only.

    handle: the hull's, while a shim is there. kept: AutoRemove does not act for now.
    """

    __slots__ = (
        "_ended",
        "_removed",
        "attributes",
        "gone",
        "handle",
        "kept",
        "lock",
        "name",
        "pending",
        "record",
        "removing",
        "state",
        "stopped",
        "watch",
    )

    def __init__(self, name: str, record: Record, state: State) -> None:
        self.name = name
        self.record = record
        self.state = state
        self.lock = asyncio.Lock()
        self.handle: Handle | None = None
        self.watch: asyncio.Task[None] | None = None
        self.pending: list[Pending] = []
        self.removing = False
        self.kept = False
        self.stopped = False
        self.gone = False
        self._ended: list[asyncio.Future[int]] = []
        self._removed: list[asyncio.Future[int]] = []
        self.attributes: dict[str, str] = {}
        self.renamed(name)

    @property
    def id(self) -> str:
        """64 hex digits."""
        return self.record.id

    @property
    def status(self) -> Status:
        """What the transitions' table knows it as."""
        return "removing" if self.removing else self.state.status

    @property
    def alive(self) -> bool:
        """Whether its program runs, be it frozen."""
        return self.state.status in ("running", "paused")

    def renamed(self, name: str) -> None:
        """Take a new name; events carry it from now on."""
        self.name = name
        self.attributes = {"image": self.record.image, "name": name, **self.record.config.labels}

    def may(self, action: Action) -> None:
        """Raises NotModified or Conflict unless ``action`` may be done now."""
        check(action, self.status, id=self.id, name=self.name)

    def next_exit(self) -> asyncio.Future[int]:
        """Resolved with the exit code when the program ends, or could not be started."""
        return self._add(self._ended)

    def next_removal(self) -> asyncio.Future[int]:
        """Resolved with the last exit code when the container is removed."""
        return self._add(self._removed)

    @staticmethod
    def _add(futures: list[asyncio.Future[int]]) -> asyncio.Future[int]:
        future: asyncio.Future[int] = asyncio.get_running_loop().create_future()
        futures[:] = [other for other in futures if not other.done()]
        futures.append(future)
        return future

    def tell_end(self, code: int) -> None:
        """Wake who waits for the end."""
        _resolve(self._ended, code)

    def tell_removal(self) -> None:
        """Wake who waits for the removal, and who waits for an end that will not come."""
        _resolve(self._ended, self.state.exit_code)
        _resolve(self._removed, self.state.exit_code)

    def drop_pending(self, gone_only: bool = False) -> None:
        """Close the sockets of clients that wait for a start; ``gone_only``: those whose client has left."""
        keep = []
        for pending in self.pending:
            if gone_only and not pending.gone:
                keep.append(pending)
            else:
                os.close(pending.fd)
        self.pending = keep


def _resolve(futures: list[asyncio.Future[int]], code: int) -> None:
    for future in futures:
        if not future.done():
            future.set_result(code)
    futures.clear()
