"""Where an engine keeps things: STATE (what should be) and RUN (what is).  DESIGN: "Data on disk".

PROA_ROOT=D, or ``--root D``, gives D/state and D/run, so that several engines live side by side. Root's are
/var/lib/proa and /run/proa; an ordinary user's $XDG_DATA_HOME/proa and $XDG_RUNTIME_DIR/proa, or, where that is
unset (the floor), STATE/run. Only posix-level modules: this is on every command's path.
"""

import posix

from . import NAME
from .errors import InvalidRequest

SOCKET_PATH_MAX = 107  # unix(7): sun_path has 108 bytes, one of them the NUL


class Places:
    """The directories of one engine. ``state`` and ``run`` are absolute; nothing is created by asking."""

    __slots__ = ("run", "state")

    def __init__(self, state: str, run: str) -> None:
        self.state = state
        self.run = run

    @property
    def socket(self) -> str:
        """Path of the engine's API socket."""
        return self.run + "/engine.sock"

    @property
    def lock(self) -> str:
        """The file whose flock decides who is the engine."""
        return self.run + "/engine.lock"

    def shim_socket(self, short: str) -> str:
        """Path of a shim's socket; ``short`` is 16 hex digits, so that the path stays within unix(7)'s limit."""
        return f"{self.run}/s/{short}"

    def container(self, id: str) -> str:
        """Directory of a container's writable layer, log and files."""
        return f"{self.state}/containers/{id}"

    def container_run(self, id: str) -> str:
        """Directory of a container's state.json and exit file."""
        return f"{self.run}/containers/{id}"

    def check(self) -> None:
        """Raises InvalidRequest (``socket-path-too-long``) if the sockets' paths would not fit."""
        longest = max(len(self.socket.encode()), len(self.run.encode()) + 19)
        if longest > SOCKET_PATH_MAX:
            raise InvalidRequest(
                f"socket path too long: {self.socket} ({longest} bytes, the limit is {SOCKET_PATH_MAX})",
                code="socket-path-too-long",
                input=self.socket,
                next_step=f"export {NAME.upper()}_ROOT=/tmp/{NAME}-{posix.getuid()}",
            )


def find(root: str = "", environ: "dict[bytes, bytes] | None" = None) -> Places:
    """The places that ``root`` (else PROA_ROOT, else the user's defaults) name."""
    env = posix.environ if environ is None else environ

    def get(name: str) -> str:
        return env.get(name.encode(), b"").decode("utf-8", "surrogateescape")

    root = root or get(f"{NAME.upper()}_ROOT")
    if root:
        if not root.startswith("/"):
            root = posix.getcwd() + "/" + root
        root = root.rstrip("/")
        return Places(root + "/state", root + "/run")
    if posix.getuid() == 0:
        return Places(f"/var/lib/{NAME}", f"/run/{NAME}")
    data = get("XDG_DATA_HOME") or _home(get("HOME")) + "/.local/share"
    state = f"{data}/{NAME}"
    runtime = get("XDG_RUNTIME_DIR")
    return Places(state, f"{runtime}/{NAME}" if runtime else f"{state}/run")


def _home(home: str) -> str:
    if home:
        return home
    import pwd

    try:
        return pwd.getpwuid(posix.getuid()).pw_dir
    except KeyError:
        return f"/tmp/{NAME}-{posix.getuid()}"
