"""The order's way through process 1 to init: as the host wrote it, unless only the machine knows what it must say."""

import _socket
import struct

from .... import jsontext
from ....linux import scm
from .. import standard
from . import nodes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ....runtime.parent import Init


def amended(text: str, *, plain: bool) -> str:
    """The order with the machine's own devices, where the program may use every device; ``plain``: and without the
    ready file systems."""
    order = jsontext.loads(text)
    spec = standard.undo(order["spec"]) if plain else order["spec"]
    return jsontext.dumps({**order, "spec": nodes.add(spec)}).decode()


def give(init: "Init", text: str, stdio: "Sequence[int]") -> None:
    """Send init its order, as runtime.messages has it; ``parent.configure`` then goes on. Raises OSError, scm.Gone."""
    data = text.encode("utf-8", "surrogatepass")
    assert init.channel is not None
    fds = [*stdio]
    extra = -1
    if len(data) > scm.INLINE_MAX:
        extra = scm.seal(data)
        fds, data = [*fds, extra], b"@"
    try:
        _send(init.channel, data, fds)
    finally:
        if extra >= 0:
            scm.close_all([extra])
    init.ordered = True


def _send(channel: "_socket.socket", data: bytes, fds: "list[int]") -> None:
    control: "list[Any]" = []
    if fds:
        control = [(_socket.SOL_SOCKET, _socket.SCM_RIGHTS, struct.pack(f"{len(fds)}i", *fds))]
    try:
        channel.sendmsg([data], control, _socket.MSG_NOSIGNAL)
    except (BrokenPipeError, ConnectionResetError) as problem:
        raise scm.Gone from problem
