"""The shim's common part with a carrier that does what the test says: order, records, ends."""

from __future__ import annotations

import _socket
import gc
import json
import os
import socket
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from proa.hull import carriers, execs, farewell, messages, shim
from proa.hull.carrier import Refusal


class FakeCarrier:
    """Notes what it is asked; the test answers."""

    def __init__(self, bundle: Any, fds: dict[str, int], host: Any) -> None:
        self.host = host
        self.asked: list[Any] = []
        self.done: Callable[..., None] | None = None
        self.streams: Any = None
        self.execs: dict[str, tuple[Any, Callable[..., None]]] = {}
        self.frozen: Callable[..., None] = lambda _failure: None
        self.stiff = False

    def start(self, streams: Any, done: Callable[..., None]) -> None:
        self.asked.append("start")
        self.streams, self.done = streams, done

    def run(self, pid: int = 77) -> None:
        self.host.record(pid, {"hull": {"Kernel": "6"}})
        assert self.done is not None
        self.done(None, pid)

    def exec(self, exec_id: str, process: Any, streams: Any, done: Callable[..., None]) -> None:
        self.asked.append(("exec", exec_id))
        self.execs[exec_id] = (streams, done)

    def signal(self, target: str, number: int) -> None:
        self.asked.append(("signal", target, number))

    def resize(self, target: str, height: int, width: int) -> None:
        self.asked.append(("resize", target, height, width))

    def freeze(self, frozen: bool, done: Callable[..., None]) -> None:
        if self.stiff:
            raise Refusal("host-cannot", "no freezer")
        self.asked.append(("freeze", frozen))
        self.frozen = done

    def end(self) -> None:
        self.asked.append("end")

    def cleanup(self) -> None:
        self.asked.append("cleanup")


class Stage:
    """A shim, driven turn by turn, and an engine's connection to it."""

    def __init__(self, path: Path) -> None:
        for name in ("run", "s"):
            (path / name).mkdir()
        self.path = path
        self.bundle: Any = {
            "id": "c" * 64,
            "kind": "container",
            "run": str(path / "run"),
            "socket": str(path / "s" / "sock"),
            "cgroup": {"version": 0, "parent": "", "mounts": {}},
            "stdio": {
                "terminal": False,
                "stdin": True,
                "stdin_once": True,
                "detach_keys": "",
                "log": {"path": str(path / "log"), "max_size": 1 << 20, "max_file": 3},
            },
            "fds": [],
        }
        self.mine: list[_socket.socket | socket.socket] = []
        ours, theirs = _socket.socketpair(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        self.shim = shim.Shim(self.bundle, {}, theirs)
        self.engine = self._keep(ours)
        self.serial = 0

    @property
    def carrier(self) -> FakeCarrier:
        return self.shim._carrier  # type: ignore[return-value]

    def _keep(self, sock: _socket.socket) -> _socket.socket:
        sock.setblocking(False)
        self.mine.append(sock)
        return sock

    def turn(self, rounds: int = 10) -> None:
        for _ in range(rounds):
            self.shim.loop.turn(0)

    def ask(self, op: str, *fds: int, **fields: Any) -> int:
        self.serial += 1
        messages.send(self.engine, {"op": op, "n": self.serial, **fields}, fds)
        return self.serial

    def heard(self, engine: _socket.socket | None = None) -> list[dict[str, Any]]:
        self.turn()
        got = []
        while True:
            try:
                message, fds = messages.receive(engine or self.engine)
            except (BlockingIOError, messages.Gone):
                return got
            assert fds == []
            got.append(message)

    def connect(self) -> _socket.socket:
        sock = _socket.socket(_socket.AF_UNIX, _socket.SOCK_SEQPACKET)
        sock.connect(self.bundle["socket"])
        return self._keep(sock)

    def client(self, target: str = "", **wants: Any) -> socket.socket:
        ours, theirs = socket.socketpair()
        with theirs:
            asked = {"target": target, "stdout": True, "stderr": True, "stream": True, **wants}
            self.ask("attach", theirs.fileno(), **asked)
            self.turn()
        ours.setblocking(False)
        self.mine.append(ours)
        return ours

    def exit_file(self) -> Any:
        return json.loads((self.path / "run" / "exit").read_text())

    def started(self) -> Stage:
        self.ask("start")
        self.turn()
        self.carrier.run()
        self.heard()
        return self

    def close(self) -> None:
        self.shim._streams.drop()
        for sock in self.mine:
            sock.close()
        self.turn()
        self.shim.loop.close()
        if self.shim._listener.fileno() >= 0:
            self.shim._listener.close()


@pytest.fixture
def stage(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Stage]:
    monkeypatch.setattr(carriers, "make", FakeCarrier)
    gc.collect()  # an earlier test's shim
    before = len(os.listdir("/proc/self/fd"))
    made = Stage(tmp_path)
    yield made
    made.close()
    assert len(os.listdir("/proc/self/fd")) <= before + 1  # the log's, for as long as the shim is there


def test_hello_and_start(stage: Stage) -> None:
    (hello,) = stage.heard()
    assert (hello["op"], hello["status"], hello["pid"], hello["exit"], hello["execs"]) == (
        "hello",
        "created",
        0,
        None,
        {},
    )
    n = stage.ask("start")
    assert stage.heard() == []
    assert not (stage.path / "run" / "state.json").exists()
    stage.carrier.run()
    (reply,) = stage.heard()
    assert (reply["n"], reply["pid"], reply["hull"]) == (n, 77, {"Kernel": "6"})
    state = json.loads((stage.path / "run" / "state.json").read_text())
    assert (state["pid"], state["shim"], state["kind"]) == (77, os.getpid(), "container")
    assert state["shim_start"] > 0
    assert os.stat(stage.bundle["socket"]).st_mode & 0o777 == 0o600


def test_what_needs_a_running_program_waits_for_a_start_under_way(stage: Stage) -> None:
    stage.heard()
    stage.ask("start")
    stage.ask("signal", target="", signal=15)
    stage.ask("resize", target="", height=1, width=2)
    client = stage.client()
    assert stage.carrier.asked == ["start", ("resize", "", 1, 2)]
    stage.carrier.run()
    assert stage.carrier.asked[-1] == ("signal", "", 15)
    assert [reply["n"] for reply in stage.heard()] == [3, 4, 1, 2]
    client.close()


def test_end_while_starting_reaches_the_carrier(stage: Stage) -> None:
    stage.ask("start")
    stage.ask("end")
    stage.turn()
    assert stage.carrier.asked == ["start", "end"]


def test_a_refused_start_is_an_end(stage: Stage) -> None:
    client = stage.client()
    stage.heard()
    n = stage.ask("start")
    stage.turn()
    assert stage.carrier.done is not None
    stage.carrier.done({"kind": "not-found", "text": "no such thing"}, 0)
    reply, exited = stage.heard()
    assert (reply["n"], reply["error"]["kind"]) == (n, "not-found")
    assert exited["exit"]["status"] == 127
    assert stage.exit_file()["error"] == "no such thing"
    assert client.recv(10) == b""
    assert stage.carrier.asked[-1] == "cleanup"
    assert stage.shim.loop._stopped
    assert not os.path.exists(stage.bundle["socket"])


def test_a_spoiled_start_is_given_back_once(stage: Stage) -> None:
    """Its clients, and what they have typed, wait for the second one."""
    client = stage.client(stdin=True)
    stage.heard()
    with (stage.path / "ram").open("w") as ram:
        for fds, more in (((), {}), ((ram.fileno(),), {"machine": {"x": 1}})):
            stage.ask("start", *fds, **more)
            stage.turn()
            assert stage.carrier.done is not None
            stage.carrier.done({"kind": "spoiled", "text": "bad section"}, 0)
    os.close(stage.shim._fds["template"])
    first, second, exited = stage.heard()
    assert first["error"]["kind"] == second["error"]["kind"] == "spoiled"
    assert exited["op"] == "exited"
    assert stage.carrier.asked[:2] == ["start", "start"]
    client.close()


def test_order_at_the_end(stage: Stage) -> None:
    client = stage.started().client(mux=True)
    stage.heard()
    stage.carrier.streams.output(1, b"bye")
    stage.carrier.host.oom()
    stage.carrier.host.oom()
    stage.carrier.host.exited("", 3, "words")
    found = stage.exit_file()
    assert (found["status"], found["oom"], found["error"], found["execs"]) == (3, True, "words", {})
    assert 0 < found["started"] < found["finished"]
    assert b'"bye"' in (stage.path / "log").read_bytes()
    oom, exited = stage.heard()
    assert (oom["op"], exited["op"], exited["exit"]) == ("oom", "exited", stage.exit_file())
    assert client.recv(100) == b"\x01\0\0\0\0\0\0\x03bye"
    assert client.recv(100) == b""
    assert stage.carrier.asked[-1] == "cleanup"
    assert stage.shim.loop._stopped


@pytest.mark.parametrize(("cleaned", "engines"), [(True, 1), (False, 1), (True, 0)])
def test_a_whole_process_is_offered_to_the_engine_that_had_it_made(stage: Stage, cleaned: bool, engines: int) -> None:
    stage.started()
    stage.heard()
    stage.shim._again = True
    other = stage.connect()
    if not engines:
        stage.engine.close()
        stage.turn()
    if not cleaned:
        stage.carrier.cleanup = _refuse  # type: ignore[method-assign]
    stage.carrier.host.exited("", 0)
    stage.turn()
    assert "spare" not in [message["op"] for message in stage.heard(other)]
    if not (cleaned and engines):
        assert stage.shim.offered == -1
        return
    exited, _ = messages.receive(stage.engine)
    spare, fds = messages.receive(stage.engine)
    assert (exited["op"], spare["op"], len(fds)) == ("exited", "spare", 1)
    with socket.socket(fileno=stage.shim.offered) as ours, socket.socket(fileno=fds[0]) as theirs:
        messages.send(theirs, {"op": "carry"})
        assert messages.receive(ours)[0] == {"op": "carry"}
    with pytest.raises(messages.Gone):
        messages.receive(stage.engine)


def _refuse() -> None:
    raise OSError("busy")


def test_a_client_that_does_not_read_holds_up_neither_news_nor_cleanup(
    stage: Stage, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(farewell, "PATIENCE", 0.0)
    client = stage.started().client()
    whole = b"".join(b"line %d of rather many\n" % number for number in range(100_000))
    for at in range(0, len(whole), 50_000):
        stage.carrier.streams.output(1, whole[at : at + 50_000])
    stage.carrier.host.exited("", 0)
    assert stage.heard()[-1]["op"] == "exited"
    stage.turn()
    assert stage.carrier.asked[-1] == "cleanup"
    assert not stage.shim.loop._stopped
    said = bytearray()
    while True:
        stage.turn(1)
        try:
            data = client.recv(1 << 20)
        except BlockingIOError:
            continue
        if not data:
            break
        said += data
    assert said == whole
    stage.turn()
    assert stage.shim.loop._stopped


def test_execs(stage: Stage) -> None:
    stage.started()
    ours, theirs = socket.socketpair()
    stage.mine.append(ours)
    with theirs:
        n = stage.ask(
            "exec", theirs.fileno(), exec="e", process={}, terminal=False, stdin=True, stdout=True, stderr=True
        )
        stage.turn()
    streams, done = stage.carrier.execs["e"]
    done(None, 5)
    assert stage.heard() == [{"op": "reply", "n": n, "pid": 5}]
    second = stage.connect()
    assert stage.heard(second)[0]["execs"] == {"e": {"running": True, "pid": 5, "status": 0}}
    streams.output(1, b"hi")
    stage.carrier.host.exited("e", 4)
    assert stage.heard() == [{"op": "exec-exited", "exec": "e", "status": 4}]
    assert ours.recv(10) == b"hi"
    assert ours.recv(10) == b""
    assert stage.shim._execs.known["e"].streams is None


def test_an_exec_that_ended_unseen_is_told_in_the_next_hello(stage: Stage) -> None:
    stage.started()
    stage.ask("exec", exec="e", process={})
    stage.turn()
    stage.carrier.execs["e"][1](None, 5)
    stage.heard()
    stage.engine.close()
    stage.turn()
    stage.carrier.host.exited("e", 4)
    ended = {"e": {"running": False, "pid": 5, "status": 4}}
    for _ in range(2):  # an engine that was told may die before it takes note
        again = stage.connect()
        assert stage.heard(again)[0]["execs"] == ended
    stage.carrier.host.exited("", 0)
    assert stage.exit_file()["execs"] == ended


def test_only_the_last_execs_that_ended_are_kept(stage: Stage, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(execs, "ENDED_KEPT", 2)
    stage.started()
    for name in "abcd":
        stage.ask("exec", exec=name, process={})
        stage.turn()
        stage.carrier.execs[name][1](None, 5)
        stage.carrier.host.exited(name, 0)
    assert list(stage.heard(stage.connect())[0]["execs"]) == ["c", "d"]


def test_end_if_created_leaves_alone_what_runs(stage: Stage) -> None:
    stage.started()
    stage.heard()
    n = stage.ask("end", created=True)
    stage.turn()
    (reply,) = stage.heard()
    assert (reply["n"], reply["pid"]) == (n, stage.shim._pid)
    assert reply["started"] == stage.shim.started
    assert "end" not in stage.carrier.asked


def test_end_if_created_ends_what_does_not_run(stage: Stage) -> None:
    stage.ask("end", created=True)
    stage.turn()
    assert (stage.exit_file()["status"], stage.exit_file()["started"]) == (137, 0)


def test_a_refused_exec_leaves_the_socket_alone(stage: Stage) -> None:
    stage.started()
    ours, theirs = socket.socketpair()
    with ours, theirs:
        stage.ask("exec", theirs.fileno(), exec="e", process={}, stdout=True)
        stage.turn()
        stage.carrier.execs["e"][1]({"kind": "not-executable", "text": "no"}, 0)
        reply, ended = stage.heard()
        assert (reply["error"]["text"], ended) == ("no", {"op": "exec-exited", "exec": "e", "status": 126})
        theirs.send(b"words")
        assert ours.recv(10) == b"words"


@pytest.mark.parametrize(
    ("message", "kind"),
    [
        ({"op": "dance"}, "invalid"),
        ({"op": "signal", "target": "nobody", "signal": 1}, "not-running"),
        ({"op": "signal", "target": ""}, "invalid"),
        ({"op": "attach", "target": ""}, "invalid"),
        ({"op": "attach", "target": "", "detach_keys": "ctrl-ö"}, "invalid"),
        ({"op": "start"}, "invalid"),
        ({"op": "freeze"}, "invalid"),
        ({"op": "exec", "exec": "e"}, "invalid"),
    ],
)
def test_nonsense_is_answered(stage: Stage, message: dict[str, Any], kind: str) -> None:
    stage.started()
    op = message.pop("op")
    n = stage.ask(op, **message)
    (reply,) = stage.heard()
    assert reply["n"] == n
    assert reply["error"]["kind"] == kind
    assert reply["error"]["text"]


def test_nothing_runs_and_the_engine_dies(stage: Stage) -> None:
    """The next engine begins anew: it must find neither a record nor a socket of this shim, and keep its own."""
    stage.heard()
    stage.engine.close()
    stage.turn()
    assert not (stage.path / "run" / "exit").exists()
    assert not os.path.exists(stage.bundle["socket"])
    assert stage.carrier.asked == ["cleanup"]
    assert stage.shim.loop._stopped


def test_the_next_shims_socket_is_left_alone(stage: Stage) -> None:
    path = Path(stage.bundle["socket"])
    path.rename(stage.path / "mine")
    path.write_text("another's")
    stage.engine.close()
    stage.turn()
    assert path.exists()


def test_one_who_runs_is_left_alone(stage: Stage) -> None:
    stage.started()
    stage.engine.close()
    stage.turn()
    assert not stage.shim.loop._stopped
    again = stage.connect()
    assert stage.heard(again)[0]["status"] == "running"


def test_freeze_is_remembered(stage: Stage) -> None:
    stage.started()
    n = stage.ask("freeze", frozen=True)
    assert stage.heard() == []
    stage.carrier.frozen(None)
    assert stage.heard() == [{"op": "reply", "n": n}]
    assert stage.heard(stage.connect())[0]["status"] == "paused"


def test_while_it_freezes_only_signals_and_execs_wait(stage: Stage) -> None:
    client = stage.started().client()
    stage.heard()
    first = stage.ask("freeze", frozen=True)
    second = stage.ask("signal", target="", signal=15)
    third = stage.ask("freeze", frozen=False)
    stage.turn()
    stage.carrier.streams.output(1, b"it is served as ever")
    stage.turn()
    assert client.recv(100) == b"it is served as ever"
    assert stage.carrier.asked[-1] == ("freeze", True)
    stage.carrier.frozen(None)
    assert stage.carrier.asked[-2:] == [("signal", "", 15), ("freeze", False)]
    assert [reply["n"] for reply in stage.heard()] == [first, second]
    stage.carrier.frozen({"kind": "internal", "text": "stuck"})
    (reply,) = stage.heard()
    assert (reply["n"], reply["error"]["text"]) == (third, "stuck")
    assert stage.heard(stage.connect())[0]["status"] == "paused"


def test_who_cannot_freeze_says_so(stage: Stage) -> None:
    stage.started().carrier.stiff = True
    stage.ask("freeze", frozen=True)
    (reply,) = stage.heard()
    assert reply["error"]["kind"] == "host-cannot"
    stage.ask("signal", target="", signal=15)
    stage.turn()
    assert stage.carrier.asked[-1] == ("signal", "", 15)


def test_an_engine_that_does_not_read_stops_nobody(stage: Stage) -> None:
    stage.started()
    for number in range(5000):
        stage.shim._tell({"op": "detached", "target": "x" * 100, "number": number})
    second = stage.connect()
    assert stage.heard(second)[0]["status"] == "running"
    assert len(stage.shim._connections) == 1
