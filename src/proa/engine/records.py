"""What the engine keeps of its containers, execs and images: immutable values, stored as JSON rows.

Times are ns since the epoch, 0 for never.
"""

from typing import Any, Literal

from msgspec import Struct

from ..dockerapi.containers import Config, HostConfig
from .transitions import Status

HullKind = Literal["container", "vm"]


class Record(Struct, frozen=True):
    """A container as it was created; ``config`` is already merged with the image's. ``request``: what its client called
    the request for it, "" if nothing."""

    id: str
    created: int
    hull: HullKind
    image: str
    image_id: str
    config: Config
    host: HostConfig
    networking: dict[str, Any] = {}
    image_env: list[str] = []
    request: str = ""


class State(Struct, frozen=True, omit_defaults=True):
    """What became of it. ``exit_code``, ``oom`` and ``hull`` (what inspect shows of the hull) are the last run's."""

    status: Status = "created"
    pid: int = 0
    started: int = 0
    finished: int = 0
    exit_code: int = 0
    oom: bool = False
    error: str = ""
    restarts: int = 0
    hull: dict[str, Any] = {}


class Exec(Struct, frozen=True, omit_defaults=True):
    """One more program beside a container's own. ``status`` is None until it ended."""

    id: str
    container: str
    args: list[str]
    env: list[str] = []
    user: str = ""
    cwd: str = ""
    tty: bool = False
    privileged: bool = False
    stdin: bool = False
    stdout: bool = False
    stderr: bool = False
    detach_keys: str = ""
    running: bool = False
    started: bool = False
    pid: int = 0
    status: int | None = None
