"""``logs -f`` that outlives engines: records with their times, each once, whatever dies in between.

The engine is asked for stamped records (dockerapi.frames.STAMPED). After it has died the next one is asked for all
since the last time that was seen, and as many of that very time as were seen are left out: the log is a file that only
grows, so they come first and in the same order.
"""

import time

from .. import NAME
from ..client.wire import closed, target
from ..dockerapi.frames import HEAD, LENGTH_MAX, STAMPED, BrokenFrame
from ..errors import EngineGone, NotFound
from . import again

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from ..client.engine import Engine
    from ..client.wire import Response

    Record = tuple[int, bytes, bytes]
    """(stream, time, data)"""


class Following:
    """``query``: the parameters of ``path``'s logs, ``follow`` among them."""

    def __init__(self, engine: "Engine", path: str, query: "dict[str, Any]") -> None:
        self._engine = engine
        self._path = path
        self._query = query
        self._began = time.time_ns()
        self._last = b""
        self._same = 0
        self.response = engine.open("GET", target(path, **query, **{f"{NAME}-stamped": 1}))

    @property
    def stamped(self) -> bool:
        """Whether the engine can do it: another one gives its plain answer, in ``response``."""
        return self.response.headers.get("content-type", "") == STAMPED

    def records(self) -> "Iterator[list[Record]]":
        """Records as they come, until the container ends. Raises ProaError."""
        response: "Response | None" = self.response
        while response is not None:
            try:
                yield from self._read(response)
                return
            except EngineGone:
                response = self._next()

    def _next(self) -> "Response | None":
        """The next engine's answer; None if the container was removed meanwhile, and its log with it."""
        query = {**self._query, f"{NAME}-stamped": 1}
        if self._last:
            query.update(since=self._last.decode("ascii"), tail=None)
        elif query.get("tail"):
            query.update(since=again.moment(self._began), tail=None)  # there was nothing then
        try:
            answer = again.ask(self._engine, target(self._path, **query), query.get("until") or "")
        except NotFound:
            return None
        if answer is not None:
            self.response = answer
            if not self.stamped:
                raise closed()
        return answer

    def _read(self, response: "Response") -> "Iterator[list[Record]]":
        rest, skip = b"", self._same
        for piece in response.pieces():
            rest += piece
            found, at = [], 0
            while len(rest) - at >= HEAD.size:
                kind, length = HEAD.unpack_from(rest, at)
                if length > LENGTH_MAX:
                    raise BrokenFrame("not a stream frame")
                end = at + HEAD.size + length
                if end > len(rest):
                    break
                stamp, _, data = rest[at + HEAD.size : end].partition(b" ")
                at = end
                if skip and stamp == self._last:
                    skip -= 1
                    continue
                skip = 0
                self._same = self._same + 1 if stamp == self._last else 1
                self._last = stamp
                found.append((kind, stamp, data))
            rest = rest[at:]
            yield found
