"""A program's streams between port and shim: output is pushed as frames arrive, input taken as credit allows."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..carrier import Done
    from ..stdio import Streams
    from .port import Port


class Source:
    """One program's output. Held, it grants no more credit: what is under way is still taken."""

    __slots__ = ("_flush", "_held", "_owed", "_port", "_streams", "numbers")

    def __init__(
        self, port: "Port", flush: "Callable[[], None]", streams: "Streams", numbers: "dict[int, int]"
    ) -> None:
        """``numbers``: {port stream: 1 or 2}."""
        self._flush = flush
        self._port = port
        self._streams = streams
        self._held = False
        self._owed: "dict[int, int]" = {}
        self.numbers = numbers
        for stream in numbers:
            port.expect(stream)

    def push(self, stream: int, data: bytes) -> None:
        """A frame has arrived; an empty one ends its stream."""
        if not data:
            self._streams.output_end(self.numbers[stream])
            self._port.forget(stream)
            return
        self._streams.output(self.numbers[stream], data)
        if self._held:
            self._owed[stream] = self._owed.get(stream, 0) + len(data)
        else:
            self._port.consumed(stream, len(data))

    def hold(self, wanted: bool) -> None:
        """See ``carrier``: stop for now, or go on."""
        self._held = wanted
        if not wanted:
            owed, self._owed = self._owed, {}
            for stream, count in owed.items():
                self._port.consumed(stream, count)
            self._flush()


class Sink:
    """One program's input: takes as much as the guest has room for."""

    __slots__ = ("_closed", "_flush", "_port", "_waiting", "stream", "streams")

    def __init__(self, port: "Port", flush: "Callable[[], None]", streams: "Streams", stream: int) -> None:
        self._flush = flush
        self._port = port
        self._waiting = False
        self._closed = False
        self.stream = stream
        self.streams = streams

    def write(self, data: bytes) -> int:
        """See ``carrier``: how many bytes were taken."""
        count = max(0, min(len(data), self._port.room(self.stream)))
        if count:
            self._port.data(self.stream, data[:count])
            self._flush()
        self._waiting = count < len(data)
        return count

    def close(self) -> None:
        """End of input."""
        if not self._closed:
            self._closed = True
            self._port.data(self.stream, b"")
            self._flush()

    def granted(self) -> None:
        """The guest has room again."""
        if self._waiting and not self._closed:
            self._waiting = False
            self.streams.input_ready()


class Program:
    """One program of the guest, as the shim sees it. ``done`` is None once its start was answered."""

    __slots__ = ("done", "sink", "source")

    def __init__(self, source: Source, sink: "Sink | None", done: "Done") -> None:
        self.source = source
        self.sink = sink
        self.done: "Done | None" = done

    @property
    def numbers(self) -> "dict[str, int]":
        """Its streams on the port, as an order names them."""
        out, err = self.source.numbers
        return {"stdin": self.sink.stream if self.sink else 0, "stdout": out, "stderr": err}
