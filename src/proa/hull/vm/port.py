"""The protocol between host and guest: one virtio port, one closed list, with the arrows drawn.

A frame is {stream u32, length u32} (little endian) and ``length`` bytes, 64 KiB at most. Stream 0 carries control
messages: JSON objects, each ended by a newline; a long one spans frames. Every other stream carries one direction of
one program's input or output; its number is chosen by the host. An empty frame is the end of its stream.

Credit: a sender may have ``WINDOW`` unacknowledged bytes on a stream; the receiver grants more as it hands them on.
So a program whose reader has stopped stops alone, and never blocks a control message. Stream 0 needs no credit.

guest ──► host
    hello        {op, protocol, boot: boot id, kernel, disks: [serial]}   prepared, and one init waits
    running      {op, pid}                          the program runs
    failed       {op, error: Failure}               it could not be started; the guest stays up for the next order
    exited       {op, status, oom}                  behind all of its output, its disks unmounted; the host then
                                                    ends the machine
    exec-running {op, exec, pid}
    exec-failed  {op, exec, error: Failure}
    exec-exited  {op, exec, status}                 behind all of its output
    oom          {op}
    input-closed {op, stream}                       the program has closed its stdin: send no more
    credit       {op, stream, bytes}

host ──► guest, in this order, after a cold boot and after a restore alike
    clock        {op, ns}                           CLOCK_REALTIME, ns since the epoch
    entropy      {op, hex}                          64 bytes that only this guest sees
    mount        {op, machine_id, volatile, fresh, known}
                                                    disks by serial into an overlay, the program's root;
                                                    volatile: nobody reads the writable disk again; fresh: nobody
                                                    has written to it; known: it is a copy of the template's
    run          {op, order, terminal, devices, resources, files: [File], stdin, stdout, stderr}
                                                    order: runtime.messages.Order as text, for init; devices: the
                                                    program may use all that the machine has; files: of the
                                                    bundle, put in place here; streams: 0 is none; a terminal
                                                    uses stdin and stdout
then, in any order
    exec         {op, exec, process, stdin, stdout, stderr}
    resize       {op, target, height, width}        target "" is the program, else an exec id
    signal       {op, target, signal}
    end          {op}                               kill everything inside
    credit       {op, stream, bytes}
The guest switches itself off when the port hangs up. An unknown op is ignored by either side, unknown fields too.
"""

import os
import struct

from ... import jsontext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    Message = dict[str, Any]

PROTOCOL = 1
PAYLOAD_MAX = 1 << 16
WINDOW = 1 << 18
MESSAGE_MAX = 16 << 20
GUEST_MESSAGE_MAX = 1 << 18
"""What a guest says is short; parsed, text may take a hundred times its room."""
OUT_MAX = 64 << 20
"""Bytes that wait for the other end: one that speaks and never reads is broken, or means harm."""
NAME = "proa"
SERIALS = {"root": "proa-root", "upper": "proa-upper"}

_HEADER = struct.Struct("<II")
_READ = 1 << 17
PAGE = 1 << 12
"""What a read of a guest's port brings at most: asking for more costs it a mapping of memory each time."""


class Hangup(Exception):
    """The other end of the port is gone."""


class Malformed(Exception):
    """The other end does not speak this protocol: the host treats its guest as crashed."""


class Port:
    """One end of the port over a non-blocking descriptor; the caller polls it and calls ``receive`` and ``flush``."""

    __slots__ = ("_chunk", "_control", "_credit", "_due", "_in", "_message_max", "_open", "_out", "fd")

    def __init__(self, fd: int, chunk: int = _READ, message_max: int = MESSAGE_MAX) -> None:
        """``chunk``: bytes that one read may bring; ``message_max``: how long a control message may get."""
        self.fd = fd
        self._chunk = chunk
        self._message_max = message_max
        self._in = bytearray()
        self._out = bytearray()
        self._control = bytearray()
        self._credit: dict[int, int] = {}
        self._due: dict[int, int] = {}
        self._open: dict[int, int] = {}

    @property
    def pending(self) -> bool:
        """Something waits to be written: poll for POLLOUT too."""
        return bool(self._out)

    def send(self, message: "Message") -> None:
        """Queue one control message."""
        data = jsontext.dumps(message) + b"\n"
        for start in range(0, len(data), PAYLOAD_MAX):
            self._frame(0, data[start : start + PAYLOAD_MAX])

    def room(self, stream: int) -> int:
        """How many bytes ``stream`` may carry now."""
        return self._credit.get(stream, WINDOW)

    def data(self, stream: int, data: "bytes | memoryview") -> None:
        """Queue bytes of a stream; the caller keeps within ``room``. Empty: the end of the stream."""
        if not len(data):
            self._frame(stream, b"")
            self._credit.pop(stream, None)
            return
        self._credit[stream] = self._credit.get(stream, WINDOW) - len(data)
        for start in range(0, len(data), PAYLOAD_MAX):
            self._frame(stream, data[start : start + PAYLOAD_MAX])

    def expect(self, stream: int) -> None:
        """The other end may send on ``stream`` from now on, within its window."""
        self._open[stream] = self._due[stream] = 0

    def consumed(self, stream: int, count: int) -> None:
        """``count`` bytes of an expected stream were handed on: grant them again, in portions."""
        if stream not in self._open:
            return
        due = self._due[stream] + count
        if due >= WINDOW // 4:
            self.send({"op": "credit", "stream": stream, "bytes": due})
            self._open[stream] -= due
            due = 0
        self._due[stream] = due

    def forget(self, stream: int) -> None:
        """Nothing more comes or goes on ``stream``."""
        for table in (self._credit, self._due, self._open):
            table.pop(stream, None)

    def flush(self) -> None:
        """Write what the descriptor takes. Raises Hangup."""
        out = self._out
        while out:
            try:
                with memoryview(out) as view:
                    count = os.write(self.fd, view[: 1 << 18])
            except BlockingIOError:
                return
            except OSError as problem:
                raise Hangup from problem
            del out[:count]

    def receive(self) -> "list[tuple[int, Any]]":
        """What has arrived: (0, control message) and (stream, bytes) in order. Raises Hangup, Malformed.

        A credit message is booked first, then returned like any other, so that whoever waits for room looks again.
        What comes on a stream that is not expected (any more) is dropped.
        """
        if len(self._out) > OUT_MAX:
            raise Malformed("it does not read")
        arrived = 0
        try:
            while arrived < _READ:
                data = os.read(self.fd, self._chunk)
                if not data:
                    break
                self._in += data
                arrived += len(data)
        except BlockingIOError:
            return self._frames() if arrived else []
        except OSError as problem:
            if not arrived:
                raise Hangup from problem
        if not arrived:
            raise Hangup
        return self._frames()

    def _frame(self, stream: int, payload: "bytes | memoryview") -> None:
        self._out += _HEADER.pack(stream, len(payload))
        self._out += payload

    def _frames(self) -> "list[tuple[int, Any]]":
        found: list[tuple[int, Any]] = []
        buffer = self._in
        at = 0
        while len(buffer) - at >= 8:
            stream, length = _HEADER.unpack_from(buffer, at)
            if length > PAYLOAD_MAX:
                raise Malformed(f"frame of {length} bytes")
            if len(buffer) - at < 8 + length:
                break
            payload = bytes(buffer[at + 8 : at + 8 + length])
            at += 8 + length
            if not stream:
                self._messages(payload, found)
            elif stream in self._open:
                self._open[stream] += length
                if self._open[stream] > WINDOW:
                    raise Malformed("more than was granted")
                found.append((stream, payload))
        if at:
            del buffer[:at]
        return found

    def _messages(self, payload: bytes, found: "list[tuple[int, Any]]") -> None:
        self._control += payload
        if len(self._control) > self._message_max + PAYLOAD_MAX:
            raise Malformed("control message too long")
        if b"\n" not in payload:
            return
        *lines, rest = self._control.split(b"\n")
        self._control = bytearray(rest)
        for line in lines:
            if len(line) > self._message_max:
                raise Malformed("control message too long")
            message = _message(bytes(line))
            if message["op"] == "credit":
                self._grant(message)
            found.append((0, message))

    def _grant(self, message: "Message") -> None:
        stream, count = message.get("stream"), message.get("bytes")
        if not isinstance(stream, int) or not isinstance(count, int) or count < 0:
            raise Malformed("credit")
        if stream in self._credit:
            self._credit[stream] = min(self._credit[stream] + count, WINDOW)


def _message(line: bytes) -> "Message":
    try:
        message = jsontext.loads(line)
    except ValueError as problem:
        raise Malformed("not JSON") from problem
    if not isinstance(message, dict) or not isinstance(message.get("op"), str):
        raise Malformed("message without op")
    return message
