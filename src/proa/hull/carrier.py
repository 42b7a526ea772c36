"""Carrier: what a shim's common loop asks of the kind of hull. Two: ``container_carrier``, ``vm.carrier``.

The shim (``shim.py``) owns the loop, the engine's connections, the log, attached clients, the exit file. A carrier owns
the processes and whatever they run in. Everything happens in one thread on one epoll loop; a carrier never blocks for
longer than a launch takes (a few ms), and takes its descriptors and timers from ``host.loop``.

A life, as the carrier sees it:

    carrier = Carrier(bundle, fds, host)       cheap; acquires nothing
    carrier.start(streams, done)               makes the sandbox, then, in this order:
        host.record(pid)                         everything is made, the program does not run yet: state.json is written
        streams.output_fd / input_fd / …         where its streams come from (see below)
        done(None, pid)                          it runs       or done(failure, 0): nothing is left of the attempt
    carrier.exec(exec_id, process, streams, done)   one more program; many at once; ``done`` as above
    host.exited(target, status)                "" is the program, else an exec id; each started one exactly once
    host.oom()                                 the kernel killed for want of memory (at once, before ``exited``)
    carrier.cleanup()                          after host.exited(""): nothing is left, cgroup included

A failure of kind "spoiled" says that ``start`` may be called once more, with what ``bundle`` and ``fds`` hold then: for
a machine whose template could not be restored.

``done`` may be called before ``start``/``exec`` return (a container) or later from the loop (a VM). A VM that crashes
calls ``host.exited("", 137, error=…)`` with the last words of its console. Execs still running when the program ends
are reported first.

Streams (``stdio.Streams``, one per program), either form for each stream:

    output   streams.output_fd(1 | 2, fd)       read by the loop until EOF, then closed; the fd is given away
             streams.output_source(source)      pushed: streams.output(1 | 2, data) and streams.output_end(1 | 2);
                                                source.hold(True) asks to push no more for now (withhold credit),
                                                source.hold(False) to go on; what is pushed meanwhile is still taken
    input    streams.input_fd(fd)               given away too; closed at stdin's end
             streams.input_sink(sink)           sink.write(data) -> bytes taken (0: full; then streams.input_ready()
                                                when there is room again), sink.close() once: end of input.
                                                streams.input_gone() when the program has closed its stdin
    terminal streams.terminal_fd(fd)            the pty's master: both, with output on stream 1

``streams.stdin`` says whether anything may ever be written to stdin (else give the program /dev/null), and
``streams.terminal`` whether it asked for a terminal. For pushed output, call host.exited after the last push: what was
pushed is served completely. For descriptors the shim reads what is there after host.exited, then closes.
"""

STATUS = {"not-found": 127, "not-executable": 126, "denied": 126}
"""Exit status of a program that could not be started, by its Failure's kind; else 128, or 126 for an exec."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any, Protocol

    from ..oci.runtime import Process
    from .bundle import Bundle
    from .loop import Loop
    from .stdio import Streams

    Failure = dict[str, str]
    """{kind, text}, see hull/messages."""

    Done = Callable[[Failure | None, int], None]
    """Called once with (failure, 0) or (None, pid)."""

    Frozen = Callable[[Failure | None], None]
    """Called once, when it is so, or with why it will not be."""

    class Host(Protocol):
        """The shim, as a carrier sees it."""

        @property
        def loop(self) -> Loop:
            """add(fd, handler, mask), change, remove; after(seconds, handler) for timers."""
            ...

        def record(self, pid: int, facts: dict[str, Any] | None = None) -> None:
            """Write state.json: from here on whoever finds the shim dead can end what is left. ``pid``: init, or QEMU.
            ``facts`` are added to it (``hull``: what inspect shows)."""
            ...

        def exited(self, target: str, status: int, error: str = "") -> None: ...
        def oom(self) -> None: ...

    class Carrier(Protocol):
        """See the module's docstring. Methods that fail raise OSError or ``Refusal``; the shim replies with it."""

        def __init__(self, bundle: Bundle, fds: dict[str, int], host: Host) -> None:
            """``fds``: descriptors by the names in bundle["fds"], the carrier's own from now on."""
            ...

        def start(self, streams: Streams, done: Done) -> None: ...
        def exec(self, exec_id: str, process: Process, streams: Streams, done: Done) -> None: ...

        def signal(self, target: str, number: int) -> None:
            """Send a signal to the program ("") or an exec. One that has ended is no error."""
            ...

        def resize(self, target: str, height: int, width: int) -> None: ...

        def freeze(self, frozen: bool, done: Frozen) -> None:
            """Stop or continue everything inside; ``done`` as with ``start``, but without a pid."""
            ...

        def end(self) -> None:
            """Kill everything inside, now, also while starting or frozen; ``host.exited`` follows."""
            ...

        def cleanup(self) -> None:
            """Remove all that the carrier made (cgroup, files, descriptors). Called once, also after a failed start."""
            ...


class Refusal(Exception):
    """Something that was asked cannot be done: ``kind`` and ``text`` as in a Failure (hull/messages)."""

    def __init__(self, kind: str, text: str) -> None:
        super().__init__(text)
        self.kind = kind
        self.text = text
