"""What ``run`` and ``create`` share: the create call, its warnings, --cidfile, --pull."""

import posix

from .. import NAME
from ..client.wire import closed, target
from ..errors import EngineGone, InvalidRequest, NotFound
from .output import complain, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..client.engine import Engine
    from .options import Values

_ATTEMPTS = 3


def create(engine: "Engine", values: "Values", body: "dict[str, Any]") -> "dict[str, Any]":
    """Create a container: the answer, its warnings told on standard error. Raises ProaError."""
    if values.text("pull", "missing") not in ("missing", "never"):
        what = f'invalid pull option: {values.text("pull")!r}: must be one of "missing" or "never"'
        raise InvalidRequest(what, code="invalid-pull", input=values.text("pull"), exit=125)
    try:
        created = _insist(engine, values.text("name"), body)
    except NotFound as problem:
        if not problem.next_step:
            problem.next_step = f"{NAME} import FILE.tar {body['Image']}"
        raise
    if not values.on("json"):
        for warning in created.get("Warnings") or ():
            complain(f"WARNING: {warning}")
    return created


def _insist(engine: "Engine", name: str, body: "dict[str, Any]") -> "dict[str, Any]":
    """Create once: an engine that dies over it is followed by the next, which knows the request again by its name."""
    asked = {f"{NAME}-request": posix.urandom(16).hex()}
    query = target("/containers/create", name=name or None, **asked)
    for _ in range(_ATTEMPTS):
        try:
            return dict(engine.call("POST", query, body))
        except EngineGone as gone:
            if gone.code != "engine-closed":
                raise
    raise closed()


def need_terminal() -> None:
    """A terminal was asked for and standard input is to feed it. Raises InvalidRequest where it is none."""
    if not posix.isatty(0):
        raise InvalidRequest("the input device is not a TTY", code="not-a-tty", next_step="leave out -t", exit=1)


class cidfile:
    """``--cidfile``: claimed before the container is made, removed again when none was."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1

    def __enter__(self) -> "Callable[[str], None]":
        if self._path:
            try:
                self._fd = posix.open(
                    self._path, posix.O_WRONLY | posix.O_CREAT | posix.O_EXCL | posix.O_CLOEXEC, 0o666
                )
            except FileExistsError as problem:
                what = f"container ID file found, make sure the other container isn't running or delete {self._path}"
                raise InvalidRequest(what, code="cidfile-exists", input=self._path, exit=125) from problem
            except OSError as problem:
                what = f"failed to create the container ID file: {self._path}: {problem.strerror}"
                raise InvalidRequest(what, code="cidfile", input=self._path, exit=125) from problem
        return self._note

    def _note(self, id: str) -> None:
        if self._fd >= 0:
            write(self._fd, id.encode())
            posix.close(self._fd)
            self._fd = -1

    def __exit__(self, *problem: object) -> None:
        if self._fd >= 0:
            posix.close(self._fd)
            posix.unlink(self._path)
