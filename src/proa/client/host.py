"""Which engine a command talks to: ``-H``/PROA_HOST name a socket, else the places' own, started on demand."""

import posix

from .. import NAME
from ..errors import InvalidRequest
from ..places import Places, find

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Final

SCHEME: "Final" = "unix://"


class Host:
    """``socket``: path of the engine's API socket; ``places``: where an engine started for it keeps things."""

    __slots__ = ("named", "places", "root", "socket")

    def __init__(self, socket: str, places: Places, root: str = "", named: bool = False) -> None:
        self.socket = socket
        self.places = places
        self.root = root
        self.named = named

    @property
    def url(self) -> str:
        """The socket as DOCKER_HOST wants it."""
        return SCHEME + self.socket

    @property
    def startable(self) -> bool:
        """Whether an engine of ours may be started to answer here: never for a socket that somebody named."""
        return not self.named or self.socket == self.places.socket


def choose(host: str = "", root: str = "", environ: "dict[bytes, bytes] | None" = None) -> Host:
    """The host that ``host`` (a unix:// URL), else PROA_HOST unless ``root`` is given, else the places name.

    Raises InvalidRequest: another scheme, or a path that unix(7) cannot hold.
    """
    env = posix.environ if environ is None else environ
    variable = f"{NAME.upper()}_HOST"
    if not host and not root:
        host = env.get(variable.encode(), b"").decode("utf-8", "surrogateescape")
    places = find(root, environ)
    if host:
        return Host(_path(host), places, root, named=True)
    places.check()
    return Host(places.socket, places, root)


def _path(host: str) -> str:
    path = host[len(SCHEME) :] if host.startswith(SCHEME) else ""
    if not path.startswith("/"):
        raise InvalidRequest(
            f"invalid host: {host!r} is not unix:///PATH",
            code="invalid-host",
            input=host,
            next_step=f"{NAME} -H unix:///run/{NAME}/engine.sock version",
        )
    return path
