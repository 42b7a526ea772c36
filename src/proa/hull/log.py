"""The log of a program's output: Docker's json-file format, rotated, and written so that nothing is lost.

One line is one JSON object ``{"log","stream","time"}``; a line of output longer than ``PARTIAL`` bytes is cut, and only
the last piece ends in a newline, as dockerd does. Output need not be UTF-8: such bytes are written as the escapes of
lone surrogates (``\\udc80``…``\\udcff``), which other readers show as U+FFFD, as they do with dockerd's logs, and which
``merge`` turns back into the very bytes. One read of output becomes one write(2): all its lines carry one time.

Files are ``path`` (being written), ``path.1`` (older) … A ``Segment`` keeps its file open for whoever still reads it,
so that rotation takes nothing from a slow client.
"""

import _json
import os
import time

from .. import jsontext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .bundle import Log

PARTIAL = 16 * 1024
NAMES = {1: "stdout", 2: "stderr"}
_NUMBERS = {"stdout": 1, "stderr": 2}
_MARK = "\ud800"  # never in decoded output: surrogateescape makes only low surrogates


class Segment:
    """One file of the log and the one written after it. Closed when nobody holds it any more."""

    __slots__ = ("fd", "next", "size")

    def __init__(self, fd: int) -> None:
        self.fd = fd
        self.size = os.fstat(fd).st_size
        self.next: "Segment | None" = None

    def __del__(self) -> None:
        os.close(self.fd)


class JsonLog:
    """Writes a log and says where it ends. Positions are (segment, offset)."""

    def __init__(self, settings: "Log") -> None:
        self._path = settings["path"]
        self._max_size = settings["max_size"]
        self._max_file = max(1, settings["max_file"])
        self._pending = {1: b"", 2: b""}
        self._second = -1
        self._stamp = ""
        self.lost = 0
        self.segment = Segment(_open(self._path))
        if self.segment.size and os.pread(self.segment.fd, 1, self.segment.size - 1) != b"\n":
            self._append(b"\n")  # whoever wrote before was cut off in a line

    def write(self, stream: int, data: bytes) -> None:
        """Log what stream 1 or 2 said. A full disk loses it (counted in ``lost``), and stops nothing."""
        pending = self._pending[stream]
        if pending:
            data = pending + data
        pieces, self._pending[stream] = cut(data)
        if pieces:
            self._append(b"".join([encode(piece, stream, self._now()) for piece in pieces]))

    def flush(self) -> None:
        """Write what has no newline yet: the output has ended."""
        for stream, pending in self._pending.items():
            if pending:
                self._pending[stream] = b""
                self._append(encode(pending, stream, self._now()))

    def pending(self, stream: int) -> bytes:
        """Output of ``stream`` that no file holds yet: the beginning of a line."""
        return self._pending[stream]

    def oldest(self) -> Segment:
        """The first of all files there are, linked to the present one."""
        newer = self.segment
        for number in range(1, self._max_file):
            try:
                fd = os.open(f"{self._path}.{number}", os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
            except OSError:
                break
            older = Segment(fd)
            older.next = newer
            newer = older
        return newer

    def _append(self, data: bytes) -> None:
        segment = self.segment
        if 0 < self._max_size <= segment.size:
            segment = self._rotate()
        try:
            if os.write(segment.fd, data) != len(data):
                os.ftruncate(segment.fd, segment.size)
                self.lost += 1
                return
        except OSError:
            self.lost += 1
            return
        segment.size += len(data)

    def _rotate(self) -> Segment:
        """path → path.1 → path.2 …; the oldest goes. Where that fails, the present file just grows."""
        try:
            for number in range(self._max_file - 1, 1, -1):
                _rename(f"{self._path}.{number - 1}", f"{self._path}.{number}")
            if self._max_file > 1:
                _rename(self._path, self._path + ".1")
            else:
                os.unlink(self._path)
            fresh = Segment(_open(self._path))
        except OSError:
            return self.segment
        self.segment.next = fresh
        self.segment = fresh
        return fresh

    def _now(self) -> str:
        second, rest = divmod(time.time_ns(), 1_000_000_000)
        if second != self._second:
            self._second = second
            self._stamp = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(second))
        return f"{self._stamp}.{rest:09}Z"


def cut(data: bytes) -> "tuple[list[bytes], bytes]":
    """(pieces to log, what waits for its newline). A piece is whole lines, or ``PARTIAL`` bytes without any newline."""
    pieces: "list[bytes]" = []
    start, end = 0, data.rfind(b"\n") + 1
    while end - start > PARTIAL:
        line = data.rfind(b"\n", start, start + PARTIAL) + 1
        pieces.append(data[start : line or start + PARTIAL])
        start = line or start + PARTIAL
    if start < end:
        pieces.append(data[start:end])
    while len(data) - end >= PARTIAL:
        pieces.append(data[end : end + PARTIAL])
        end += PARTIAL
    return pieces, data[end:]


def encode(piece: bytes, stream: int, stamp: str) -> bytes:
    """The log's lines for one piece (see ``cut``)."""
    tail = f'","stream":"{NAMES[stream]}","time":"{stamp}"}}\n'
    try:
        text = piece.decode()
    except UnicodeDecodeError:
        return b"".join([_escape(line, tail) for line in _lines(piece)])
    text, last = (text[:-1], "\\n") if text.endswith("\n") else (text, "")
    if "\n" not in text:
        body = _json.encode_basestring(text)[1:-1]
    elif "\\" not in text:
        # every two characters \n in the encoded text are a newline's escape: none can be a backslash and an n
        body = _json.encode_basestring(text)[1:-1].replace("\\n", "\\n" + tail + '{"log":"')
    else:
        marked = _json.encode_basestring(text.replace("\n", "\n" + _MARK))[1:-1]
        body = marked.replace(_MARK, tail + '{"log":"')
    return f'{{"log":"{body}{last}{tail}'.encode()


def merge(records: "list[dict[str, str]]") -> "list[tuple[int, bytes]]":
    """Parsed lines as (stream, the very bytes), neighbours of one stream as one piece. Raises KeyError, ValueError."""
    pieces: "list[tuple[int, bytes]]" = []
    texts: "list[str]" = []
    name = ""
    for record in records:
        if record["stream"] != name:
            if texts:
                pieces.append((_NUMBERS[name], "".join(texts).encode("utf-8", "surrogateescape")))
            texts, name = [], record["stream"]
        texts.append(record["log"])
    if texts:
        pieces.append((_NUMBERS[name], "".join(texts).encode("utf-8", "surrogateescape")))
    return pieces


def parse(lines: bytes) -> "list[dict[str, str]]":
    """Whole lines of a log as objects, all in one call of the scanner. Raises ValueError."""
    # a raw newline occurs between objects only: inside strings it is escaped
    records: "list[dict[str, str]]" = jsontext.loads(b"[" + lines.rstrip(b"\n").replace(b"}\n{", b"},{") + b"]")
    return records


def _lines(piece: bytes) -> "list[bytes]":
    lines = piece.split(b"\n")
    last = lines.pop()
    return [line + b"\n" for line in lines] + ([last] if last else [])


def _escape(line: bytes, tail: str) -> bytes:
    text = _json.encode_basestring_ascii(line.decode("utf-8", "surrogateescape"))
    return f'{{"log":{text[:-1]}{tail}'.encode()


def _open(path: str) -> int:
    flags = os.O_RDWR | os.O_APPEND | os.O_CREAT | os.O_CLOEXEC | os.O_NOFOLLOW
    return os.open(path, flags, 0o640)


def _rename(old: str, new: str) -> None:
    try:
        os.rename(old, new)
    except FileNotFoundError:
        pass
