"""The engine as its clients see it: calls that return JSON, bodies that stream, connections that become a stream.

    engine = Engine(choose())
    engine.call("POST", target("/containers/x/start"))     raises the ProaError that the engine's answer names
    stream = engine.hijack(target("/containers/x/attach", stream=1, stdout=1))

An engine that is not there is started (``starter``), unless the host was named by the user.
"""

import time

from .. import jsontext
from ..errors import Conflict, EngineGone, HostCannot, Internal, InvalidRequest, NotFound, ProaError
from .wire import Connection, Response

TYPE_CHECKING = False
if TYPE_CHECKING:
    import _socket
    from typing import Any

    from .host import Host

_BY_STATUS: "dict[int, type[ProaError]]" = {
    kind.status: kind for kind in (NotFound, Conflict, InvalidRequest, HostCannot, EngineGone)
}

_RETRIES = 2  # a question may be asked again: of an engine that dies first the idle connection breaks, then a new one


class Stream:
    """A hijacked connection: ``sock`` and the bytes that came right behind the answer's head.

    multiplexed: Docker's frames (dockerapi.frames) rather than a terminal's raw bytes.
    """

    __slots__ = ("early", "multiplexed", "sock")

    def __init__(self, sock: "_socket.socket", early: bytes, multiplexed: bool) -> None:
        self.sock = sock
        self.early = early
        self.multiplexed = multiplexed


class Engine:
    """One engine. Connections are opened as needed; one that is idle is used again."""

    __slots__ = ("_idle", "host")

    def __init__(self, host: "Host") -> None:
        self.host = host
        self._idle: Connection | None = None

    def connect(self, start: bool = True) -> Connection:
        """A new connection; ``start`` an engine where none answers. Raises EngineGone."""
        path = self.host.socket
        try:
            return Connection(path)
        except (FileNotFoundError, ConnectionRefusedError) as problem:
            if start and self.host.startable:
                from .starter import start as start_engine

                return start_engine(self.host)
            raise EngineGone(
                f"no engine answers at {path}", code="no-engine", input=path, next_step="proa engine run"
            ) from problem
        except OSError as problem:
            from .starter import refused

            raise refused(path, problem) from problem

    def open(self, method: str, target: str, body: "Any" = None, start: bool = True) -> Response:
        """Send a request on a connection of its own; the answer's body is still to be read. Raises ProaError."""
        for _ in range(_RETRIES if method == "GET" else 0):
            try:
                return checked(self.connect(start).request(method, target, body))
            except EngineGone as gone:
                _ask_the_next(gone)
        return checked(self.connect(start).request(method, target, body))

    def call(self, method: str, target: str, body: "Any" = None, start: bool = True) -> "Any":
        """One request, its answer's JSON (None where there is none). Raises ProaError."""
        return answer(self._exchange(method, target, body, start)[1])

    def modified(self, method: str, target: str) -> bool:
        """As ``call`` for a request without an answer; False: nothing had to be done (304)."""
        return self._exchange(method, target, None, True)[0] != 304

    def begin(self, container: str) -> None:
        """Start the container at ``container`` (its path in the API). An engine that dies over it is followed by the
        next, which knows whether the start went through. Raises ProaError."""
        since = _stamp(time.time_ns())
        for _ in range(_RETRIES):
            try:
                self.modified("POST", container + "/start")
                return
            except EngineGone as gone:
                _ask_the_next(gone)
                if self._began(container) >= since:
                    return
        self.modified("POST", container + "/start")

    def _began(self, container: str) -> str:
        """When a container was last started; one that is gone ran, and was removed at its end."""
        try:
            return _padded(self.call("GET", container + "/json")["State"]["StartedAt"])
        except NotFound:
            return _stamp(time.time_ns())

    def aside(self, method: str, target: str) -> None:
        """A request on a connection of its own, for signal handlers; no engine is started for it. Raises ProaError."""
        self.open(method, target, start=False).read()

    def _exchange(self, method: str, target: str, body: "Any", start: bool) -> tuple[int, bytes]:
        for _ in range(_RETRIES if method == "GET" else 0):
            try:
                return self._over(self._connection(start), method, target, body)
            except EngineGone as gone:
                _ask_the_next(gone)
        return self._over(self._connection(start), method, target, body)

    def _connection(self, start: bool) -> Connection:
        idle, self._idle = self._idle, None
        return idle or self.connect(start)

    def _over(self, connection: Connection, method: str, target: str, body: "Any") -> tuple[int, bytes]:
        try:
            response = connection.request(method, target, body)
            data = response.read()
        except BaseException:
            connection.close()
            raise
        if response.keeps:
            self._idle = connection
        else:
            connection.close()
        if response.status >= 400:
            raise failure(response.status, data)
        return response.status, data

    def hijack(self, target: str, body: "Any" = None, start: bool = True) -> Stream:
        """A connection that becomes a stream (attach, exec start). Raises ProaError."""
        connection = self.connect(start)
        headers = {"Connection": "Upgrade", "Upgrade": "tcp"}
        connection.send("POST", target, body, headers)
        response = checked(connection.response("POST"))
        early = connection.receive() if connection.buffered else b""
        return Stream(connection.sock, early, "multiplexed" in response.headers.get("content-type", ""))


def _stamp(ns: int) -> str:
    """A moment as inspect writes it, with nine digits: such texts compare as the moments do."""
    seconds, rest = divmod(ns, 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S.", time.gmtime(seconds)) + f"{rest:09d}"


def _padded(text: str) -> str:
    whole, _, fraction = text.removesuffix("Z").partition(".")
    return f"{whole}.{fraction:0<9}"


def _ask_the_next(gone: EngineGone) -> None:
    if gone.code != "engine-closed":
        raise gone


def checked(response: Response) -> Response:
    """``response``, unless it is an error: then that is raised."""
    if response.status >= 400:
        raise failure(response.status, response.read())
    return response


def answer(data: bytes) -> "Any":
    """The JSON of a body; None for an empty one. Raises Internal."""
    if not data.strip():
        return None
    try:
        return jsontext.loads(data)
    except ValueError as problem:
        raise Internal("the engine's answer is not JSON", code="bad-answer") from problem


def failure(status: int, data: bytes) -> ProaError:
    """The error that an answer's status and body (``ProaError.to_json``) name."""
    try:
        body = jsontext.loads(data)
    except ValueError:
        body = None
    if not isinstance(body, dict):
        body = {"message": data.decode("utf-8", "replace").strip()}
    kind = _BY_STATUS.get(status, Internal)
    return kind(
        str(body.get("message") or f"the engine answered with status {status}"),
        code=str(body.get("code") or ""),
        input=str(body.get("input") or ""),
        next_step=str(body.get("next") or ""),
    )
