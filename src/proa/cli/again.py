"""What follows goes on: the answer of the engine that comes after one that has died.

One that crashed leaves its socket behind, and is replaced. One that was told to stop has taken it away: whoever stopped
it wants none now, so the next one is waited for.
"""

import posix
import time

from ..errors import EngineGone

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..client.engine import Engine
    from ..client.wire import Response

_PAUSE = 0.2
"""Seconds between two looks."""


def ask(engine: "Engine", target: str, until: str = "") -> "Response | None":
    """``GET target`` of the next engine; None once ``until`` (unix seconds) has passed. Raises ProaError."""
    while not until or time.time() < float(until):
        time.sleep(_PAUSE)
        try:
            return engine.open("GET", target, start=posix.access(engine.host.socket, posix.F_OK))
        except EngineGone as gone:
            if gone.code not in ("no-engine", "engine-closed"):
                raise
    return None


def moment(nanoseconds: int) -> str:
    """A time as the API takes it."""
    seconds, rest = divmod(nanoseconds, 1_000_000_000)
    return f"{seconds}.{rest:09d}"
