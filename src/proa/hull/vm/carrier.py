"""VmCarrier: what a shim does for a virtual machine. See hull/carrier for the contract, hull/vm/port for the guest's.

    start    QEMU in its jail → state.json → the template's devices read → continue → clock, entropy, mount, run
    exited   the guest's word, behind all output, its disk written: QEMU is killed, then the shim is told
    crash    QEMU gone without that word, or a guest that does not speak the protocol: 137 with its console's last lines
"""

import os
import time

import _signal

from ...cgroup import choose
from ...linux import pidfd
from .. import loop as loops
from ..carrier import Refusal
from . import disks, machine, process, qmp
from .console import Console
from .port import Hangup, Malformed, Port
from .streams import Sink, Source

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ...cgroup.contract import Cgroup
    from ...oci.runtime import Process
    from ..bundle import Bundle
    from ..carrier import Done, Host
    from ..loop import Timer
    from ..stdio import Streams

START_SECONDS = 180.0
END_SECONDS = 15.0
FREEZE_SECONDS = 30.0
_SEED_BYTES = 64
_KILLED = 137


class Program:
    """One program of the guest, as the shim sees it."""

    __slots__ = ("done", "sink", "source")

    def __init__(self, source: Source, sink: "Sink | None", done: "Done") -> None:
        self.source = source
        self.sink = sink
        self.done: "Done | None" = done


class VmCarrier:
    """A ``hull.carrier.Carrier``."""

    def __init__(self, bundle: "Bundle", fds: "dict[str, int]", host: "Host") -> None:
        self._bundle = bundle
        self._machine: "dict[str, Any]" = bundle["machine"]
        self._fds = fds
        self._host = host
        self._programs: "dict[str, Program]" = {}
        self._next = 1
        self._pid = 0
        self._pidfd = -1
        self._port: "Port | None" = None
        self._qmp: "qmp.Qmp | None" = None
        self._console: "Console | None" = None
        self._group: "Cgroup | None" = None
        self._timer: "Timer | None" = None
        self._size: "dict[str, Any] | None" = None
        self._ordered = False
        self._frozen = False
        self._over = False

    # hull.carrier.Carrier

    def start(self, streams: "Streams", done: "Done") -> None:
        """Restore the template and run the program in it."""
        channels = process.Channels()
        files = self._files()
        self._group = choose.open(self._bundle["cgroup"], self._bundle["id"])
        try:
            self._group.create(self._machine["resources"])
            self._pid, self._pidfd = process.launch(
                self._machine["command"], self._machine["env"], channels, files, self._machine["jail"]
            )
            self._group.join(self._pid)
        finally:
            for fd in files.values():
                os.close(fd)
        self._watch(channels)
        self._programs[""] = self._program(streams, done)
        self._host.record(self._pid, {"hull": self._machine["facts"]})
        self._timer = self._host.loop.after(START_SECONDS, self._late)
        self._restore()

    def exec(self, exec_id: str, process: "Process", streams: "Streams", done: "Done") -> None:
        """Have the guest start one more program."""
        program = self._programs[exec_id] = self._program(streams, done)
        self._send({"op": "exec", "exec": exec_id, "process": process, **_numbers(program)})

    def signal(self, target: str, number: int) -> None:
        """Send a signal inside. A stopped machine hears only SIGKILL, which ends it."""
        if self._frozen and not target and number == _signal.SIGKILL:
            self.end()
            return
        self._send({"op": "signal", "target": target, "signal": number})

    def resize(self, target: str, height: int, width: int) -> None:
        """Tell a terminal inside its size; what is asked before the start is done then."""
        message = {"op": "resize", "target": target, "height": height, "width": width}
        if not target and not self._ordered:
            self._size = message
            return
        self._send(message)

    def freeze(self, frozen: bool) -> None:
        """Stop or continue the whole machine."""
        if self._qmp is None:
            raise Refusal("invalid", "the virtual machine is not running")
        try:
            self._qmp.execute("stop" if frozen else "cont", None, FREEZE_SECONDS)
        except qmp.QmpError as problem:
            raise Refusal("internal", str(problem)) from problem
        self._frozen = frozen

    def end(self) -> None:
        """Kill the program inside, so that its disk is left in order; a machine that does not answer is killed itself."""
        if self._over or self._pidfd < 0:
            return
        program = self._programs.get("")
        if program is None or program.done is not None:
            self._kill()
            return
        if self._frozen:
            self.freeze(False)
        self._send({"op": "end"})
        self._host.loop.after(END_SECONDS, self._kill)

    def cleanup(self) -> None:
        """QEMU is gone, and all that was opened for it."""
        self._kill()
        self._unwatch()
        self._reap()
        if self._group is not None:
            self._group.close()
            self._group.remove()
            self._group = None
        for fd in self._fds.values():
            os.close(fd)
        self._fds.clear()

    # the machine

    def _files(self) -> "dict[int, int]":
        found: "dict[int, int]" = {}
        try:
            found[machine.RAM] = os.dup(self._fds["template"])
            found[machine.STATE] = os.open(self._machine["state"], os.O_RDONLY | os.O_CLOEXEC)
            for disk in self._bundle["disks"]:
                if disk["role"] == "root":
                    found[machine.ROOT] = disks.open_image(disk["path"])
                else:
                    found[machine.UPPER] = disks.open_upper(disk["path"])
        except BaseException:
            for fd in found.values():
                os.close(fd)
            raise
        return found

    def _watch(self, channels: process.Channels) -> None:
        loop = self._host.loop
        self._port = Port(channels.port)
        self._console = Console(channels.console)
        self._qmp = qmp.Qmp(channels.qmp, self._on_event)
        loop.add(channels.port, self._on_port)
        loop.add(channels.qmp, self._on_qmp)
        loop.add(channels.console, self._on_console)
        loop.add(self._pidfd, self._on_death)

    def _unwatch(self) -> None:
        loop = self._host.loop
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        if self._port is not None and self._qmp is not None and self._console is not None:
            for fd in (self._port.fd, self._qmp.fd, self._console.fd):
                loop.remove(fd)
                os.close(fd)
            self._port = self._qmp = self._console = None

    def _restore(self) -> None:
        if self._qmp is None:
            return
        capabilities = [{"capability": name, "state": True} for name in ("x-ignore-shared", "events")]
        self._qmp.request("migrate-set-capabilities", {"capabilities": capabilities}, self._checked)
        self._qmp.request("migrate-incoming", {"uri": f"fd:{machine.STATE}"}, self._checked)

    def _checked(self, answer: "dict[str, Any]") -> None:
        if "error" in answer:
            self._spoiled(str(answer["error"].get("desc", "refused")))

    def _on_event(self, name: str, data: "dict[str, Any]") -> None:
        if name == "MIGRATION" and data.get("status") == "completed" and self._qmp is not None:
            self._qmp.request("cont", None, self._continued)
        elif name == "MIGRATION" and data.get("status") == "failed":
            self._spoiled("its state could not be loaded")

    def _spoiled(self, why: str) -> None:
        """The template cannot be restored: the next machine makes a new one."""
        try:
            os.unlink(self._machine["template"] + "/meta.json")
        except OSError:
            pass  # somebody else was quicker, or it is not ours
        self._crash(f"the virtual machine's template cannot be restored: {why}")

    def _continued(self, answer: "dict[str, Any]") -> None:
        if "error" in answer:
            self._spoiled(str(answer["error"].get("desc", "refused")))
            return
        program = self._programs[""]
        bundle = self._bundle
        volatile = bool(bundle.get("volatile"))
        self._send({"op": "clock", "ns": time.time_ns()})
        self._send({"op": "entropy", "hex": os.urandom(_SEED_BYTES).hex()})
        self._send({"op": "mount", "machine_id": bundle["id"][:32], "volatile": volatile})
        self._send(
            {
                "op": "run",
                "spec": bundle["spec"],
                "init": bundle["init"],
                "nofile": bundle["nofile"],
                "seccomp": _read(bundle["seccomp"]).hex(),
                "volatile": volatile,
                **_numbers(program),
            }
        )
        self._ordered = True
        if self._size is not None:
            self._send(self._size)

    # what arrives

    def _on_qmp(self, _events: int) -> None:
        try:
            if self._qmp is not None:
                self._qmp.receive()
        except qmp.QmpGone:
            if self._qmp is not None:
                self._host.loop.remove(self._qmp.fd)  # its end is told by its pidfd
        except qmp.QmpError as problem:
            self._crash(str(problem))

    def _on_console(self, _events: int) -> None:
        if self._console is not None and not self._console.drain():
            self._host.loop.remove(self._console.fd)

    def _on_port(self, events: int) -> None:
        try:
            if events & ~loops.OUT:
                self._receive()
            self._flush()
        except Hangup:
            if self._port is not None:
                self._host.loop.remove(self._port.fd)
        except Malformed as problem:
            self._crash(f"the virtual machine's process 1 broke the protocol: {problem}")

    def _receive(self) -> None:
        port = self._port
        if port is None:
            return
        for stream, message in port.receive():
            if self._over:
                return
            if stream:
                self._output(stream, message)
                continue
            handler = _HANDLERS.get(message["op"])
            if handler is not None:
                _obey(handler, self, message)

    def _output(self, stream: int, data: bytes) -> None:
        for program in self._programs.values():
            if stream in program.source.numbers:
                program.source.push(stream, data)
                return

    def _on_death(self, _events: int) -> None:
        """QEMU is gone. What it had said before is still to be read."""
        self._host.loop.remove(self._pidfd)
        try:
            while self._port is not None and not self._over:
                self._receive()
        except (Hangup, Malformed):
            pass  # read to the end
        self._crash("the virtual machine ended unexpectedly")

    def _send(self, message: "dict[str, Any]") -> None:
        if self._port is not None:
            self._port.send(message)
            self._flush()

    def _flush(self) -> None:
        if self._port is None:
            return
        try:
            self._port.flush()
        except Hangup:
            return
        self._host.loop.change(self._port.fd, loops.IN | loops.OUT if self._port.pending else loops.IN)

    # what the guest says

    def _running(self, _message: "dict[str, Any]") -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        self._tell("", None, self._pid)

    def _failed(self, message: "dict[str, Any]") -> None:
        error = message["error"]
        self._over = True
        self._kill()
        self._tell("", {"kind": str(error["kind"]), "text": str(error["text"])}, 0)

    def _exec_running(self, message: "dict[str, Any]") -> None:
        self._tell(message["exec"], None, int(message["pid"]))

    def _exec_failed(self, message: "dict[str, Any]") -> None:
        error = message["error"]
        self._tell(message["exec"], {"kind": str(error["kind"]), "text": str(error["text"])}, 0)
        self._programs.pop(message["exec"], None)

    def _exec_exited(self, message: "dict[str, Any]") -> None:
        if self._programs.pop(message["exec"], None) is not None:
            self._host.exited(message["exec"], int(message["status"]))

    def _exited(self, message: "dict[str, Any]") -> None:
        status = int(message["status"])
        if message.get("oom"):
            self._host.oom()
        self._over = True
        self._kill()
        self._host.exited("", status)

    def _oom(self, _message: "dict[str, Any]") -> None:
        self._host.oom()

    def _input_closed(self, message: "dict[str, Any]") -> None:
        for program in self._programs.values():
            if program.sink is not None and program.sink.stream == message["stream"]:
                program.sink.streams.input_gone()
                return

    def _credit(self, message: "dict[str, Any]") -> None:
        for program in list(self._programs.values()):
            if program.sink is not None and program.sink.stream == message["stream"]:
                program.sink.granted()

    # ends

    def _late(self) -> None:
        self._crash(f"the virtual machine did not start its program within {START_SECONDS:.0f} s")

    def _crash(self, why: str) -> None:
        if self._over:
            return
        self._over = True
        self._kill()
        self._on_console(0)
        words = self._console.last_words() if self._console is not None else ""
        error = f"{why}\n{words}".strip()
        for target in [target for target in self._programs if target]:
            self._lose(target)
        program = self._programs.get("")
        if program is not None and program.done is not None:
            self._tell("", {"kind": "internal", "text": error}, 0)
        else:
            self._host.exited("", _KILLED, error)

    def _lose(self, target: str) -> None:
        program = self._programs.pop(target)
        if program.done is not None:
            program.done({"kind": "internal", "text": "the virtual machine ended"}, 0)
        else:
            self._host.exited(target, _KILLED)

    def _tell(self, target: str, failure: "dict[str, str] | None", pid: int) -> None:
        program = self._programs.get(target)
        if program is not None and program.done is not None:
            done, program.done = program.done, None
            if failure is None and program.sink is not None:
                program.sink.streams.input_sink(program.sink)
            done(failure, pid)

    def _kill(self) -> None:
        if self._pidfd >= 0:
            pidfd.signal(self._pidfd, _signal.SIGKILL)

    def _reap(self) -> None:
        if self._pidfd >= 0:
            self._host.loop.remove(self._pidfd)
            process.kill(self._pidfd)
            self._pidfd = -1

    def _program(self, streams: "Streams", done: "Done") -> Program:
        port = self._port
        if port is None:
            raise Refusal("invalid", "the virtual machine is not running")
        first = self._next
        self._next += 3
        source = Source(port, streams, {first + 1: 1, first + 2: 2})
        streams.output_source(source)
        sink = None
        if streams.stdin:
            sink = Sink(port, streams, first)
        return Program(source, sink, done)


def _numbers(program: Program) -> "dict[str, int]":
    out, err = program.source.numbers
    return {"stdin": program.sink.stream if program.sink else 0, "stdout": out, "stderr": err}


def _obey(handler: "Any", carrier: VmCarrier, message: "dict[str, Any]") -> None:
    """What a guest says is a stranger's word: a field that is missing or wrong ends the machine, not the shim."""
    try:
        handler(carrier, message)
    except (KeyError, TypeError, ValueError) as problem:
        raise Malformed(f"{message['op']}: {problem}") from problem


def _read(path: str) -> bytes:
    if not path:
        return b""
    with open(path, "rb") as file:
        return file.read()


_HANDLERS = {
    "running": VmCarrier._running,
    "failed": VmCarrier._failed,
    "exec-running": VmCarrier._exec_running,
    "exec-failed": VmCarrier._exec_failed,
    "exec-exited": VmCarrier._exec_exited,
    "exited": VmCarrier._exited,
    "oom": VmCarrier._oom,
    "input-closed": VmCarrier._input_closed,
    "credit": VmCarrier._credit,
}
