"""VmCarrier: what a shim does for a virtual machine. See hull/carrier for the contract, hull/vm/port for the guest's.

start    QEMU in its jail → state.json → template restored → clock, entropy, mount, run → the guest says "running"
exited   the guest's word, behind all output, its disk written: QEMU is killed, then the shim is told
crash    QEMU gone without that word, or a guest that does not speak the protocol: 137 with its console's last lines
"""

import os
import time

from ...cgroup import choose
from ...runtime.messages import StartFailure
from ..carrier import Refusal
from . import disks, machine, orders, qmp
from .qemu import Qemu
from .streams import Program, Sink, Source

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ...cgroup.contract import Cgroup
    from ...oci.runtime import Process
    from ..bundle import Bundle
    from ..carrier import Done, Failure, Frozen, Host
    from ..loop import Timer
    from ..stdio import Streams

RESTORE_SECONDS = 60.0
START_SECONDS = 180.0
END_SECONDS = 15.0
TEXT_MAX = 4096
_SEED_BYTES = 64
_SIGKILL = 9
_KILLED = 137
_KINDS = ("not-found", "not-executable", "denied", "invalid", "host-cannot", "internal")


class VmCarrier:
    """A ``hull.carrier.Carrier``."""

    def __init__(self, bundle: "Bundle", fds: "dict[str, int]", host: "Host") -> None:
        self._bundle = bundle
        self._fds = fds
        self._host = host
        self._programs: "dict[str, Program]" = {}
        self._streams = 1
        self._qemu: "Qemu | None" = None
        self._group: "Cgroup | None" = None
        self._timer: "Timer | None" = None
        self._size: "dict[str, Any] | None" = None
        self._ordered = False
        self._order: "dict[str, Any]" = {}
        self._frozen = False
        self._ending = False
        self._over = False

    # hull.carrier.Carrier

    def start(self, streams: "Streams", done: "Done") -> None:
        """See ``hull.carrier``: restore the template and run the program in it."""
        self._machine: "dict[str, Any]" = self._bundle["machine"]
        self._over = False
        try:
            self._order = orders.make(self._bundle, self._machine["template"])
        except StartFailure as failure:
            raise Refusal(failure.kind, failure.text) from failure
        self._group = choose.open(self._bundle["cgroup"], self._bundle["id"])
        self._group.create(self._machine["resources"])
        files = disks.descriptors(self._machine["state"], self._bundle["disks"])
        files[machine.RAM] = self._fds.pop("template")
        try:
            self._qemu = Qemu(
                self._host.loop, self, self._machine["command"], self._machine["env"], files, self._machine["jail"]
            )
        finally:
            for fd in files.values():
                os.close(fd)
        self._group.join(self._qemu.pid)
        self._programs[""] = self._program(self._qemu, streams, done)
        self._host.record(self._qemu.pid, {"hull": self._machine["facts"]})
        self._timer = self._host.loop.after(RESTORE_SECONDS, self._hung)

    def exec(self, exec_id: str, process: "Process", streams: "Streams", done: "Done") -> None:
        """See ``hull.carrier``: the guest starts one more program."""
        qemu = self._running_qemu()
        program = self._programs[exec_id] = self._program(qemu, streams, done)
        qemu.send({"op": "exec", "exec": exec_id, "process": process, **program.numbers})

    def signal(self, target: str, number: int) -> None:
        """See ``hull.carrier``. SIGKILL to the program ends it whatever the machine does, be it stopped or hung."""
        if not target and number == _SIGKILL:
            self.end()
            return
        self._running_qemu().send({"op": "signal", "target": target, "signal": number})

    def resize(self, target: str, height: int, width: int) -> None:
        """See ``hull.carrier``. What is asked before the start is done then."""
        message = {"op": "resize", "target": target, "height": height, "width": width}
        if not target and not self._ordered:
            self._size = message
        else:
            self._running_qemu().send(message)

    def freeze(self, frozen: bool, done: "Frozen") -> None:
        """See ``hull.carrier``: the whole machine stands still."""

        def answered(why: str) -> None:
            if why:
                done({"kind": "not-running" if self._over else "internal", "text": why})
            else:
                done(None)

        try:
            self._running_qemu().freeze(frozen, answered)
        except qmp.QmpError as problem:
            raise Refusal("internal", str(problem)) from problem
        self._frozen = frozen  # from now on: what comes after it on the way is worked off after it

    def end(self) -> None:
        """See ``hull.carrier``. The program is killed inside, so that its disk is left in order; a machine that has not
        started it, or does not answer, is killed itself."""
        qemu = self._qemu
        if self._over or self._ending or qemu is None:
            return
        self._ending = True
        program = self._programs.get("")
        if program is None or program.done is not None:
            qemu.kill()
            return
        if self._frozen:
            try:
                self.freeze(False, lambda failure: qemu.kill() if failure else None)
            except Refusal:
                qemu.kill()  # it hears nothing any more
                return
        qemu.send({"op": "end"})
        self._timer = self._host.loop.after(END_SECONDS, qemu.kill)

    def cleanup(self) -> None:
        """See ``hull.carrier``."""
        self._over = True
        self._stop_timer()
        self._let_go()
        for fd in self._fds.values():
            os.close(fd)
        self._fds.clear()

    def _let_go(self) -> None:
        """QEMU and its cgroup are gone."""
        if self._qemu is not None:
            self._qemu.close()
            self._qemu = None
        if self._group is not None:
            self._group.close()
            self._group.remove()
            self._group = None

    # qemu.Owner

    def restored(self) -> None:
        """The machine goes on where its template stopped: give it what must be its own, and its orders."""
        qemu, bundle = self._running_qemu(), self._bundle
        self._stop_timer()
        self._timer = self._host.loop.after(START_SECONDS, self._late)
        volatile = bool(bundle.get("volatile"))
        qemu.send({"op": "clock", "ns": time.time_ns()})
        qemu.send({"op": "entropy", "hex": os.urandom(_SEED_BYTES).hex()})
        disk = next(disk for disk in bundle["disks"] if disk["role"] == "upper")
        fresh = "blank" in disk
        known = fresh and disk["blank"] == disk.get("model")
        mount = {"volatile": volatile, "fresh": fresh, "known": known}
        qemu.send({"op": "mount", "machine_id": bundle["id"][:32], **mount})
        qemu.send({"op": "run", **self._order, **self._programs[""].numbers})
        self._ordered = True
        if self._size is not None:
            qemu.send(self._size)

    def heard(self, stream: int, message: "Any") -> None:
        """A message, or output."""
        if not stream:
            handler = _HANDLERS.get(message["op"])
            if handler is not None:
                handler(self, message)
            return
        for program in self._programs.values():
            if stream in program.source.numbers:
                program.source.push(stream, message)
                return

    def spoiled(self, why: str) -> None:
        """The template cannot be restored: the next machine makes a new one, and this start may be tried with that."""
        try:
            os.unlink(self._machine["template"] + "/meta.json")
        except OSError:
            pass  # somebody else was quicker, or it is not ours
        why = f"the virtual machine's template cannot be restored: {why}"
        if self._over or self._ending or self._qemu is None:
            self.gone(why)
            return
        why = f"{why}\n{self._qemu.last_words()}".strip()
        self._close()
        self._host.loop.after(0, lambda: self._give_back(why))  # its own handler called us

    def _give_back(self, why: str) -> None:
        """Leave nothing of a start that the program has not seen."""
        if self._qemu is None:
            return  # cleaned up meanwhile
        self._let_go()
        program = self._programs.pop("", None)
        if program is not None and program.done is not None:
            program.done({"kind": "spoiled", "text": why}, 0)

    def gone(self, why: str) -> None:
        """The machine has ended without the guest's word, or is ended here."""
        if self._over or self._qemu is None:
            return
        self._close()
        error = "" if self._ending else f"{why}\n{self._qemu.last_words()}".strip()
        for target in [target for target in self._programs if target]:
            self._lose(target)
        program = self._programs.get("")
        if program is not None and program.done is not None:
            self._answer("", {"kind": "internal", "text": error or "it was ended"}, 0)
        else:
            self._host.exited("", _KILLED, error)

    # what the guest says

    def _running(self, _message: "dict[str, Any]") -> None:
        self._stop_timer()
        self._answer("", None, self._qemu.pid if self._qemu is not None else 0)

    def _failed(self, message: "dict[str, Any]") -> None:
        failure = _failure(message)
        self._close()
        self._answer("", failure, 0)

    def _exec_running(self, message: "dict[str, Any]") -> None:
        self._answer(message["exec"], None, int(message["pid"]) & 0x7FFFFFFF)

    def _exec_failed(self, message: "dict[str, Any]") -> None:
        self._answer(message["exec"], _failure(message), 0)
        self._forget(message["exec"])

    def _exec_exited(self, message: "dict[str, Any]") -> None:
        status = int(message["status"]) & 0xFF
        if message["exec"] and self._forget(message["exec"]):
            self._host.exited(message["exec"], status)

    def _exited(self, message: "dict[str, Any]") -> None:
        status = int(message["status"]) & 0xFF
        if self._programs[""].done is not None:
            raise ValueError("exited before it ran")
        if message.get("oom"):
            self._host.oom()
        for target in [target for target in self._programs if target]:
            self._lose(target)
        self._close()
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

    # the machine

    def _running_qemu(self) -> Qemu:
        if self._qemu is None or self._over:
            raise Refusal("not-running", "the virtual machine is not running")
        return self._qemu

    def _program(self, qemu: Qemu, streams: "Streams", done: "Done") -> Program:
        first = self._streams
        self._streams += 3
        source = Source(qemu.port, qemu.flush, streams, {first + 1: 1, first + 2: 2})
        streams.output_source(source)
        sink = Sink(qemu.port, qemu.flush, streams, first) if streams.stdin else None
        return Program(source, sink, done)

    def _answer(self, target: str, failure: "Failure | None", pid: int) -> None:
        program = self._programs.get(target)
        if program is None or program.done is None:
            return
        done, program.done = program.done, None
        if failure is None and program.sink is not None:
            program.sink.streams.input_sink(program.sink)
        done(failure, pid)

    def _forget(self, target: str) -> bool:
        program = self._programs.pop(target, None)
        if program is None or self._qemu is None:
            return False
        for stream in program.numbers.values():
            self._qemu.port.forget(stream)
        return True

    def _lose(self, target: str) -> None:
        """A program beside the first ended with the machine."""
        program = self._programs.pop(target)
        if program.done is not None:
            program.done({"kind": "internal", "text": "the virtual machine ended"}, 0)
        else:
            self._host.exited(target, _KILLED)

    def _hung(self) -> None:
        self.spoiled(f"it was not loaded within {RESTORE_SECONDS:.0f} s")

    def _late(self) -> None:
        self.gone(f"the virtual machine did not start its program within {START_SECONDS:.0f} s")

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _close(self) -> None:
        """Nothing more is heard of the machine; ``cleanup`` waits for its end."""
        self._over = True
        self._stop_timer()
        if self._qemu is not None:
            self._qemu.silence()
            self._qemu.kill()


def _failure(message: "dict[str, Any]") -> "Failure":
    """A guest's Failure, its words bounded."""
    kind, text = message["error"]["kind"], str(message["error"]["text"])[:TEXT_MAX]
    text = text.encode("utf-8", "replace").decode()  # half of a pair of surrogates is no text
    return {"kind": kind if kind in _KINDS else "internal", "text": text}


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
