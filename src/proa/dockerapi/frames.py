"""Docker's stream framing: an 8-byte head ``[kind, 0, 0, 0, length big-endian u32]`` before each piece of output.

Used by attach, exec and logs where there is no terminal. Only struct is imported: the light client and the shim read
this too.
"""

import struct

STDIN = 0
STDOUT = 1
STDERR = 2
SYSTEM_ERROR = 3

HEAD = struct.Struct(">BxxxL")
PAYLOAD_MAX = 0xFFFF_FFFF
LENGTH_MAX = 64 << 20  # what a reader accepts: no engine writes more in one frame
STAMPED = "application/vnd.proa.stamped-stream"
"""Content-Type of our own answer to ``logs``: each record of the log is one frame, "TIME DATA"."""


class BrokenFrame(ValueError):
    """The bytes are not a frame of this protocol."""


def head(kind: int, length: int) -> bytes:
    """The 8 bytes before ``length`` bytes of stream ``kind``."""
    return HEAD.pack(kind, length)


def pack(kind: int, payload: bytes) -> bytes:
    """One whole frame."""
    return HEAD.pack(kind, len(payload)) + payload


class Demultiplexer:
    """Splits a framed stream, fed in any pieces, into (kind, bytes) pairs without waiting for whole frames."""

    __slots__ = ("_head", "_kind", "_left")

    def __init__(self) -> None:
        self._head = b""
        self._kind = 0
        self._left = 0

    @property
    def whole(self) -> bool:
        """Whether the stream may end here: no frame is half read."""
        return not self._head and not self._left

    def feed(self, data: "bytes | memoryview") -> "list[tuple[int, bytes]]":
        """The pieces that ``data`` completes or continues. Raises BrokenFrame."""
        pieces: list[tuple[int, bytes]] = []
        view = memoryview(data)
        while view:
            if not self._left:
                view = self._feed_head(view)
                continue
            piece = bytes(view[: self._left])
            view = view[len(piece) :]
            self._left -= len(piece)
            pieces.append((self._kind, piece))
        return pieces

    def _feed_head(self, view: memoryview) -> memoryview:
        need = HEAD.size - len(self._head)
        self._head += bytes(view[:need])
        if len(self._head) == HEAD.size:
            kind, length = HEAD.unpack(self._head)
            if kind > SYSTEM_ERROR or length > LENGTH_MAX or self._head[1:4] != b"\0\0\0":
                raise BrokenFrame(f"not a stream frame: {self._head.hex()}")
            self._head, self._kind, self._left = b"", kind, length
        return view[need:]
