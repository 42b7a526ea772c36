"""The carrier against a machine that is played: a hostile guest, a crash, the order of what the shim is told."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from proa.hull.carrier import Refusal
from proa.hull.vm import carrier as carriers
from proa.hull.vm.carrier import VmCarrier


class Port:
    def expect(self, _stream: int) -> None: ...
    def forget(self, _stream: int) -> None: ...
    def consumed(self, _stream: int, _count: int) -> None: ...
    def room(self, _stream: int) -> int:
        return 1 << 18

    def data(self, _stream: int, _data: bytes) -> None: ...


class Machine:
    """Plays qemu.Qemu."""

    made: list[Machine] = []

    def __init__(self, _loop: object, owner: Any, *_rest: object) -> None:
        self.owner = owner
        self.pid = 4242
        self.port = Port()
        self.sent: list[dict[str, Any]] = []
        self.killed = self.silent = self.closed = False
        self.frozen: list[bool] = []
        self.freezes: list[Any] = []
        Machine.made.append(self)

    def send(self, message: dict[str, Any]) -> None:
        self.sent.append(message)

    def flush(self) -> None: ...
    def freeze(self, frozen: bool, done: Any) -> None:
        self.frozen.append(frozen)
        self.freezes.append(done)

    def kill(self) -> None:
        self.killed = True

    def silence(self) -> None:
        self.silent = True

    def close(self) -> None:
        self.closed = True

    def last_words(self) -> str:
        return "Kernel panic"


class Timer:
    def __init__(self) -> None:
        self.cancelled = False

    def cancel(self) -> None:
        self.cancelled = True


class Host:
    """Plays the shim."""

    def __init__(self) -> None:
        self.told: list[tuple[Any, ...]] = []
        self.loop = self
        self.timers: list[tuple[float, Any, Timer]] = []

    def after(self, seconds: float, handler: Any) -> Timer:
        timer = Timer()
        self.timers.append((seconds, handler, timer))
        return timer

    def record(self, pid: int, facts: object = None) -> None:
        self.told.append(("record", pid))

    def exited(self, target: str, status: int, error: str = "") -> None:
        self.told.append(("exited", target, status, error))

    def oom(self) -> None:
        self.told.append(("oom",))


class Streams:
    def __init__(self) -> None:
        self.stdin = True
        self.terminal = False
        self.out = b""
        self.sinks: list[Any] = []

    def output_source(self, _source: object) -> None: ...
    def input_sink(self, sink: object) -> None:
        self.sinks.append(sink)

    def output(self, _stream: int, data: bytes) -> None:
        self.out += data

    def output_end(self, _stream: int) -> None: ...
    def input_gone(self) -> None: ...
    def input_ready(self) -> None: ...


class Scene:
    """A carrier that was started, and everything around it."""

    def __init__(self, directory: Path) -> None:
        self.host = Host()
        self.streams = Streams()
        self.answers: list[tuple[Any, int]] = []
        for name in ("state", "root", "upper"):
            (directory / name).write_bytes(b"")
        (directory / "meta.json").write_text("{}")
        (directory / "filter").write_bytes(b"filter00")
        bundle: Any = {
            "id": "ab" * 32,
            "spec": {
                "ociVersion": "1.2.0",
                "process": {"args": ["true"], "cwd": "/", "user": {"uid": 0, "gid": 0}},
                "root": {"path": "/x"},
            },
            "disks": [
                {"path": str(directory / "root"), "role": "root"},
                {"path": str(directory / "upper"), "role": "upper"},
            ],
            "cgroup": {"version": 0, "parent": "", "mounts": {}},
            "seccomp": "",
            "init": False,
            "nofile": [1024, 4096],
            "machine": {
                "command": ["qemu"],
                "env": {},
                "jail": None,
                "state": str(directory / "state"),
                "template": str(directory),
                "resources": {},
                "facts": {"Kind": "vm"},
            },
        }
        with open("/dev/null", "rb") as null:
            self.carrier = VmCarrier(bundle, {"template": os.dup(null.fileno())}, self.host)  # type: ignore[arg-type]
        self.carrier.start(self.streams, self.answered)  # type: ignore[arg-type]
        self.machine = Machine.made[-1]

    def answered(self, failure: Any, pid: int) -> None:
        self.answers.append((failure, pid))

    def say(self, **message: Any) -> None:
        self.carrier.heard(0, message)

    def freeze(self, frozen: bool) -> list[Any]:
        """What is told of it, from now on."""
        told: list[Any] = []
        self.carrier.freeze(frozen, told.append)
        return told

    def run(self) -> None:
        self.carrier.restored()
        self.say(op="running", pid=2)


@pytest.fixture
def scene(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Scene:
    monkeypatch.setattr(carriers, "Qemu", Machine)
    return Scene(tmp_path)


def test_orders_come_in_the_protocols_order_and_the_answer_with_qemus_pid(scene: Scene) -> None:
    scene.run()
    assert [message["op"] for message in scene.machine.sent] == ["clock", "entropy", "mount", "run"]
    assert scene.answers == [(None, 4242)] and len(scene.streams.sinks) == 1
    assert scene.host.told == [("record", 4242)] and scene.host.timers[0][2].cancelled


def test_no_two_machines_get_the_same_entropy(tmp_path: Path, scene: Scene) -> None:
    scene.run()
    other = Scene(tmp_path)
    other.run()
    assert scene.machine.sent[1]["hex"] != other.machine.sent[1]["hex"]
    assert len(scene.machine.sent[1]["hex"]) == 128


def test_a_size_asked_for_before_the_start_is_set_then(scene: Scene) -> None:
    scene.carrier.resize("", 40, 120)
    scene.run()
    assert scene.machine.sent[-1] == {"op": "resize", "target": "", "height": 40, "width": 120}


def test_exited_kills_the_machine_and_tells_once(scene: Scene) -> None:
    scene.run()
    scene.say(op="exited", status=7, oom=True)
    scene.carrier.gone("late")
    assert scene.host.told[1:] == [("oom",), ("exited", "", 7, "")]
    assert scene.machine.killed and scene.machine.silent


def test_a_crash_is_137_with_the_consoles_last_words_and_execs_first(scene: Scene) -> None:
    scene.run()
    scene.carrier.exec("e1", {"args": ["x"]}, Streams(), scene.answered)  # type: ignore[arg-type,typeddict-item]
    scene.say(op="exec-running", exec="e1", pid=9)
    scene.carrier.gone("the virtual machine ended unexpectedly")
    assert scene.host.told[1:] == [
        ("exited", "e1", 137, ""),
        ("exited", "", 137, "the virtual machine ended unexpectedly\nKernel panic"),
    ]


def test_a_failed_start_is_answered_and_nothing_runs(scene: Scene) -> None:
    scene.carrier.restored()
    scene.say(op="failed", error={"kind": "not-found", "text": "no such file"})
    assert scene.answers == [({"kind": "not-found", "text": "no such file"}, 0)]
    assert scene.machine.killed and len(scene.host.told) == 1


def test_a_guests_words_are_bounded_and_its_kinds_ours(scene: Scene) -> None:
    scene.carrier.restored()
    scene.say(op="failed", error={"kind": "whatever", "text": "x" * 100_000})
    failure, _ = scene.answers[0]
    assert failure["kind"] == "internal" and len(failure["text"]) == carriers.TEXT_MAX


@pytest.mark.parametrize(
    "message",
    [
        {"op": "exited"},
        {"op": "exited", "status": "x"},
        {"op": "exited", "status": float("inf")},
        {"op": "exec-running", "exec": "e"},
        {"op": "failed", "error": "text"},
        {"op": "exec-exited", "status": 1},
        {"op": "credit"},
    ],
)
def test_malformed_messages_raise_what_ends_the_machine(scene: Scene, message: dict[str, Any]) -> None:
    scene.run()
    with pytest.raises((ArithmeticError, LookupError, TypeError, ValueError)):  # what Qemu._receive expects
        scene.carrier.heard(0, message)


def test_a_guest_cannot_end_what_never_ran(scene: Scene) -> None:
    scene.carrier.restored()
    with pytest.raises(ValueError, match="before it ran"):
        scene.say(op="exited", status=0)


def test_unknown_messages_and_streams_are_ignored(scene: Scene) -> None:
    scene.run()
    scene.say(op="from-the-future", x=1)
    scene.carrier.heard(999, b"data")
    assert scene.streams.out == b""


def test_output_goes_where_the_order_said(scene: Scene) -> None:
    scene.run()
    order = scene.machine.sent[3]
    scene.carrier.heard(order["stdout"], b"out")
    assert scene.streams.out == b"out"


def test_a_spoiled_template_is_made_anew_by_the_next(scene: Scene, tmp_path: Path) -> None:
    scene.carrier.spoiled("bad section")
    assert not (tmp_path / "meta.json").exists()
    scene.host.timers[-1][1]()
    failure, _ = scene.answers[0]
    assert failure["kind"] == "spoiled" and "bad section" in failure["text"]


def test_a_start_that_was_given_back_is_tried_again(scene: Scene) -> None:
    scene.carrier._bundle["machine"] = {**scene.carrier._machine, "command": ["other"]}
    with open("/dev/null", "rb") as null:
        scene.carrier._fds["template"] = os.dup(null.fileno())
    scene.host.timers[0][1]()  # it hangs
    assert scene.machine.killed and scene.answers == []
    scene.host.timers[-1][1]()
    assert scene.machine.closed and scene.host.told == [("record", 4242)]
    ((failure, _),) = scene.answers
    assert failure["kind"] == "spoiled" and "not loaded within 60 s" in failure["text"]
    scene.carrier.start(scene.streams, scene.answered)  # type: ignore[arg-type]
    scene.machine = Machine.made[-1]
    scene.run()
    assert not scene.machine.killed and scene.answers[1] == (None, 4242)
    scene.say(op="exited", status=3)
    assert scene.host.told[-1] == ("exited", "", 3, "")


def test_one_that_is_ended_meanwhile_is_not(scene: Scene) -> None:
    scene.carrier.end()
    scene.carrier.spoiled("bad section")
    assert scene.answers[0][0]["kind"] == "internal"


def test_kill_ends_a_frozen_machine_gently_then_by_force(scene: Scene) -> None:
    scene.run()
    scene.freeze(True)
    scene.carrier.signal("", 9)
    assert scene.machine.frozen == [True, False]
    assert scene.machine.sent[-1] == {"op": "end"} and not scene.machine.killed
    scene.host.timers[-1][1]()
    assert scene.machine.killed
    scene.carrier.gone("the virtual machine ended unexpectedly")
    assert scene.host.told[-1] == ("exited", "", 137, "")


def test_end_while_starting_kills_at_once(scene: Scene) -> None:
    scene.carrier.end()
    assert scene.machine.killed
    scene.carrier.gone("gone")
    assert scene.answers[0][1] == 0


def test_after_the_end_everything_is_refused(scene: Scene) -> None:
    scene.run()
    scene.say(op="exited", status=0)
    with pytest.raises(Refusal):
        scene.carrier.signal("", 15)
    with pytest.raises(Refusal):
        scene.freeze(True)
    scene.carrier.cleanup()
    assert scene.machine.closed


def test_a_guests_words_are_text(scene: Scene) -> None:
    scene.carrier.restored()
    scene.say(op="failed", error={"kind": "invalid", "text": "half \ud800 a pair"})
    failure, _ = scene.answers[0]
    assert failure["text"] == "half ? a pair"


def test_a_frozen_machine_that_does_not_go_on_is_killed(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.run()
    scene.freeze(True)
    scene.carrier.end()
    assert not scene.machine.killed
    scene.machine.freezes[-1]("QEMU did not answer in time")
    assert scene.machine.killed


def test_a_machine_whose_qmp_is_gone_is_killed(scene: Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    scene.run()
    scene.freeze(True)

    def gone(_frozen: bool, _done: object) -> None:
        raise carriers.qmp.QmpGone("QEMU is gone")

    monkeypatch.setattr(scene.machine, "freeze", gone)
    scene.carrier.end()
    assert scene.machine.killed


def test_freezing_is_answered_when_it_is_so(scene: Scene) -> None:
    scene.run()
    told = scene.freeze(True)
    assert told == []
    scene.machine.freezes[-1]("")
    assert told == [None]
    told = scene.freeze(False)
    scene.machine.freezes[-1]("no")
    assert told == [{"kind": "internal", "text": "no"}]


def test_a_machine_that_ends_while_it_freezes(scene: Scene) -> None:
    scene.run()
    told = scene.freeze(True)
    scene.say(op="exited", status=0)
    scene.machine.freezes[-1]("the virtual machine ended")
    assert told[0]["kind"] == "not-running"
