"""What the host may order, one method an operation (hull/vm/port.py has the list)."""

from .... import jsontext
from ....linux import scm
from ....runtime import messages, parent
from . import disks as disk
from . import files, handover, identity
from .program import Program, Stdio

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ...loop import Loop
    from ..port import Port
    from .limits import Limits

    Message = dict[str, Any]

_SIGKILL = 9


class Orders:
    """The machine's one container: its init, its disks, the programs in it."""

    def __init__(
        self, loop: "Loop", port: "Port", disks: "dict[str, str]", init: parent.Init, limits: "Limits"
    ) -> None:
        self._loop = loop
        self._port = port
        self._disks = disks
        self._init = init
        self._mounts = disk.Namespace(init.pid)
        self._mounts.prepare(disks)
        self._limits = limits
        self._order = ""
        self._volatile = False
        self._programs: "dict[str, Program]" = {}
        self._failure: "OSError | None" = None
        self._exit: "Program | None" = None

    def obey(self, message: "Message") -> None:
        """Carry out one control message; unknown ones are ignored."""
        operation = _OPERATIONS.get(message["op"])
        if operation is not None:
            operation(self, message)

    def input(self, stream: int, data: bytes) -> None:
        """Bytes for a program's stdin."""
        for program in self._programs.values():
            if program.inlet is not None and program.inlet.stream == stream:
                program.inlet.take(data)
                return

    def _clock(self, message: "Message") -> None:
        identity.set_clock(message["ns"])

    def _entropy(self, message: "Message") -> None:
        identity.reseed(bytes.fromhex(message["hex"]))

    def _mount(self, message: "Message") -> None:
        self._volatile = bool(message["volatile"])
        try:
            files.set_machine_id(message["machine_id"])
            fresh, known = bool(message["fresh"]), bool(message["known"])
            self._mounts.mount(self._disks, volatile=self._volatile, fresh=fresh, known=known)
        except OSError as problem:
            self._failure = problem

    def _run(self, message: "Message") -> None:
        if self._failure is not None:
            self._fail({"op": "failed"}, "internal", f"mounting the root: {self._failure}")
            return
        self._order = message["order"]
        stdio = None if message["terminal"] else Stdio(bool(message["stdin"]))
        try:
            master = self._configure(message, stdio.inside if stdio else [])
            parent.release(self._init)
        except messages.StartFailure as failure:
            if stdio:
                stdio.failed()
            self._fail({"op": "failed"}, failure.kind, failure.text)
            return
        except (OSError, scm.Gone) as problem:
            if stdio:
                stdio.failed()
            self._fail({"op": "failed"}, "internal", f"setting the program up: {problem}")
            return
        self._started("", self._init.pid, self._init.pidfd, message, stdio, master)
        self._port.send({"op": "running", "pid": self._init.pid})

    def _configure(self, message: "Message", stdio: "list[int]") -> "int | None":
        files.place(message["files"])
        text, plain = self._order, self._mounts.redirected
        if plain or message["devices"]:
            text = handover.amended(text, plain=plain)
        self._limits.apply(message["resources"])
        handover.give(self._init, text, stdio)
        given: "Any" = {}  # init has its order
        return parent.configure(self._init, given, stdio)

    def _exec(self, message: "Message") -> None:
        process = message["process"]
        first = jsontext.loads(self._order)
        order = messages.exec_order(process, nofile=first["nofile"])
        order["seccomp"] = first["seccomp"]
        stdio = None if process.get("terminal") else Stdio(bool(message["stdin"]))
        try:
            program = parent.start_exec(self._init, order, stdio.inside if stdio else ())
        except messages.StartFailure as failure:
            if stdio:
                stdio.failed()
            self._fail({"op": "exec-failed", "exec": message["exec"]}, failure.kind, failure.text)
            return
        self._started(message["exec"], program.pid, program.pidfd, message, stdio, program.master)
        self._port.send({"op": "exec-running", "exec": message["exec"], "pid": program.pid})

    def _started(
        self, target: str, pid: int, pidfd: int, message: "Message", stdio: "Stdio | None", master: "int | None"
    ) -> None:
        if stdio is not None:
            stdio.started()
        program = Program(self._loop, self._port, target, pid, pidfd, self._ended)
        self._programs[target] = program
        program.connect(message, stdio, -1 if master is None else master)

    def _fail(self, message: "Message", kind: str, text: str) -> None:
        self._port.send({**message, "error": {"kind": kind, "text": text}})

    def _resize(self, message: "Message") -> None:
        program = self._programs.get(message["target"])
        if program is not None:
            program.resize(message["height"], message["width"])

    def _signal(self, message: "Message") -> None:
        program = self._programs.get(message["target"])
        if program is not None:
            program.signal(message["signal"])

    def _end(self, _message: "Message") -> None:
        if "" in self._programs:
            self._programs[""].signal(_SIGKILL)

    def _credit(self, message: "Message") -> None:
        for program in list(self._programs.values()):
            for outlet in list(program.outlets):
                if outlet.stream == message["stream"]:
                    outlet.granted()

    def _ended(self, program: Program) -> None:
        if program.target:
            del self._programs[program.target]
            self._port.send({"op": "exec-exited", "exec": program.target, "status": program.status})
        else:
            self._exit = program
        # programs beside it die with it, and are reported first
        if self._exit is not None and set(self._programs) == {""}:
            if not self._volatile:
                self._mounts.release()
            self._port.send({"op": "exited", "status": self._exit.status, "oom": self._limits.check()})


_OPERATIONS = {
    "clock": Orders._clock,
    "entropy": Orders._entropy,
    "mount": Orders._mount,
    "run": Orders._run,
    "exec": Orders._exec,
    "resize": Orders._resize,
    "signal": Orders._signal,
    "end": Orders._end,
    "credit": Orders._credit,
}
