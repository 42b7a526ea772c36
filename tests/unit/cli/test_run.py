"""``proa run`` against a fake engine: the order of the calls, streams, signals, exit codes, an engine that dies."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import pty
import shlex
import signal
import struct
import subprocess
import termios
import threading
import time
from typing import Any

import pytest

ID = "a" * 64
C = f"/containers/{ID}"


def frame(kind: int, data: bytes) -> bytes:
    return struct.pack(">BxxxL", kind, len(data)) + data


class Program:
    """A container whose program is ``body(stream)``; exit code ``status``."""

    def __init__(self, fake: Any, status: int = 0, body: Any = None, tty: bool = False) -> None:
        self.fake, self.status, self.body, self.tty = fake, status, body, tty
        self.started, self.ended = threading.Event(), threading.Event()
        fake.on["POST", "/containers/create"] = lambda asked: asked.answer(201, {"Id": ID, "Warnings": []})
        fake.on["POST", f"{C}/attach"] = self.attach
        fake.on["POST", f"{C}/wait"] = self.wait
        fake.on["POST", f"{C}/start"] = self.start

    def attach(self, asked: Any) -> None:
        stream = asked.upgrade("raw" if self.tty else "multiplexed")
        self.started.wait(10)
        if self.body:
            self.body(stream)
        stream.shutdown(1)
        self.ended.set()
        asked.hang_up()

    def start(self, asked: Any) -> None:
        asked.answer(204)
        self.started.set()

    def wait(self, asked: Any) -> None:
        asked.begin()
        self.ended.wait(10)
        asked.chunk(json.dumps({"StatusCode": self.status}).encode())
        asked.sock.sendall(b"0\r\n\r\n")


def refuse_start(fake: Any, text: str, status: int = 400, **fields: str) -> None:
    program = Program(fake)

    def start(asked: Any) -> None:
        asked.answer(status, {"message": text, **fields})
        program.started.set()

    fake.on["POST", f"{C}/start"] = start


def test_order_is_dockers(fake: Any, cli: Any) -> None:
    Program(fake, 7, lambda stream: stream.sendall(frame(1, b"out\n") + frame(2, b"err\n")))
    done = cli("run", "--rm", "img", "prog", "-x")
    assert (done.returncode, done.stdout, done.stderr) == (7, b"out\n", b"err\n")
    assert [asked.path.rpartition("/")[2] for asked in fake.asked] == ["create", "attach", "wait", "start"]
    body = fake.asked[0].body
    assert (body["Image"], body["Cmd"]) == ("img", ["prog", "-x"])
    assert fake.asked[1].query == {"stream": "1", "stdout": "1", "stderr": "1"}
    assert fake.asked[2].query == {"condition": "removed"}
    assert body["HostConfig"]["AutoRemove"] is True


def test_next_exit_without_rm(fake: Any, cli: Any) -> None:
    Program(fake)
    assert cli("run", "img").returncode == 0
    assert fake.queries("POST", f"{C}/wait") == [{"condition": "next-exit"}]


def test_detached_prints_the_id(fake: Any, cli: Any) -> None:
    Program(fake)
    done = cli("run", "-d", "--name", "web", "img")
    assert (done.returncode, done.stdout, done.stderr) == (0, f"{ID}\n".encode(), b"")
    (query,) = fake.queries("POST", "/containers/create")
    assert query["name"] == "web"
    assert not fake.queries("POST", f"{C}/attach")


def test_detached_json(fake: Any, cli: Any) -> None:
    Program(fake)
    done = cli("run", "-d", "--json", "img")
    assert json.loads(done.stdout) == {"Id": ID, "Warnings": []}


def test_warnings_go_to_stderr(fake: Any, cli: Any) -> None:
    Program(fake)
    fake.on["POST", "/containers/create"] = lambda asked: asked.answer(201, {"Id": ID, "Warnings": ["no network"]})
    done = cli("run", "img")
    assert (done.stdout, done.stderr) == (b"", b"WARNING: no network\n")


def test_large_stdin_arrives_whole(fake: Any, cli: Any) -> None:
    digest = hashlib.sha256()

    def body(stream: Any) -> None:
        while data := stream.recv(1 << 16):
            digest.update(data)
        stream.sendall(frame(1, digest.hexdigest().encode()))

    Program(fake, 0, body)
    data = os.urandom(1 << 20) * 20
    done = cli("run", "-i", "img", input=data, stdin=None)
    assert done.stdout.decode() == hashlib.sha256(data).hexdigest()


def test_output_goes_on_while_stdin_is_stuck(fake: Any, cli: Any) -> None:
    """The program reads nothing and writes a lot; our writer fills the socket. Nobody may wait for the other."""

    def body(stream: Any) -> None:
        for _ in range(100):
            stream.sendall(frame(1, b"x" * 100_000))

    Program(fake, 0, body)
    done = cli("run", "-i", "img", input=b"y" * 10_000_000, stdin=None)
    assert len(done.stdout) == 10_000_000


def test_without_i_the_stream_is_half_closed_at_once(fake: Any, cli: Any) -> None:
    seen: list[bytes] = []
    Program(fake, 0, lambda stream: seen.append(stream.recv(100)))
    assert cli("run", "img", stdin=None, input=b"not for it").returncode == 0
    assert seen == [b""]


def test_closed_standard_descriptors(fake: Any, cli: Any) -> None:
    Program(fake, 3, lambda stream: (stream.recv(10), stream.sendall(frame(1, b"x"))))
    line = shlex.join(cli.argv("run", "-i", "img"))
    done = subprocess.run(["/bin/sh", "-c", f"exec {line} <&- >&- 2>&-"], env=cli.options()["env"], timeout=20)
    assert done.returncode == 3


def test_early_closing_reader(fake: Any, cli: Any) -> None:
    """As docker: the write's error, exit code 1; the container goes on."""

    def body(stream: Any) -> None:
        try:
            while True:
                stream.sendall(frame(1, b"y\n" * 30_000))
        except OSError:
            pass

    Program(fake, 0, body)
    process = cli.start("run", "img")
    process.stdout.read(4)
    process.stdout.close()
    assert b"write /dev/stdout: broken pipe" in process.stderr.read()
    assert process.wait(20) == 1


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ('exec: "nope": executable file not found in $PATH: unknown', 127),
        ("exec /x: no such file or directory", 127),
        ('exec: "/etc": permission denied: unknown', 126),
        ('exec: "/etc": is a directory: unknown', 126),
        ("something else", 125),
    ],
)
def test_exit_code_of_a_refused_start(fake: Any, cli: Any, text: str, code: int) -> None:
    refuse_start(fake, text)
    done = cli("run", "img", "nope")
    assert done.returncode == code
    assert text in done.stderr.decode()


def test_error_has_what_code_and_next_step(fake: Any, cli: Any) -> None:
    refuse_start(fake, "no namespaces here", 501, code="no-namespaces", next="proa run --isolation vm img")
    done = cli("run", "img")
    assert done.stderr == b"proa: no namespaces here [no-namespaces]\n  next: proa run --isolation vm img\n"
    assert done.returncode == 125


def test_error_as_json(fake: Any, cli: Any) -> None:
    refuse_start(fake, "no namespaces here", 501, code="no-namespaces")
    done = cli("run", "--json", "img")
    assert json.loads(done.stderr)["code"] == "no-namespaces"


def test_unknown_image_names_import(fake: Any, cli: Any) -> None:
    fake.on["POST", "/containers/create"] = lambda asked: asked.answer(404, {"message": "No such image: nope:latest"})
    done = cli("run", "nope")
    assert done.returncode == 125
    assert b"proa: No such image: nope:latest" in done.stderr
    assert b"next: proa import FILE.tar nope\n" in done.stderr


def test_signals_are_sent_on(fake: Any, cli: Any) -> None:
    got: list[str] = []
    arrived = threading.Event()

    def kill(asked: Any) -> None:
        got.append(asked.query["signal"])
        asked.answer(204)
        arrived.set()

    def body(stream: Any) -> None:
        stream.sendall(frame(1, b"ready\n"))
        arrived.wait(10)

    Program(fake, 130, body)
    fake.on["POST", f"{C}/kill"] = kill
    process = cli.start("run", "img")
    process.stdout.readline()
    process.send_signal(signal.SIGINT)
    assert process.wait(20) == 130
    assert got == ["INT"]


def test_a_signal_before_the_start_is_kept(fake: Any, cli: Any) -> None:
    got: list[str] = []
    done = threading.Event()
    program = Program(fake, 0, lambda stream: done.wait(10))

    def start(asked: Any) -> None:
        process.send_signal(signal.SIGUSR1)
        time.sleep(0.1)
        asked.answer(204)
        program.started.set()

    def kill(asked: Any) -> None:
        got.append(asked.query["signal"])
        asked.answer(204)
        done.set()

    fake.on["POST", f"{C}/start"] = start
    fake.on["POST", f"{C}/kill"] = kill
    process = cli.start("run", "img")
    assert process.wait(20) == 0
    assert got == ["USR1"]


def test_the_third_interrupt_ends_us(fake: Any, cli: Any) -> None:
    release = threading.Event()

    def body(stream: Any) -> None:
        stream.sendall(frame(1, b"ready\n"))
        release.wait(10)

    Program(fake, 0, body)
    fake.on["POST", f"{C}/kill"] = lambda asked: asked.answer(204)
    process = cli.start("run", "img")
    process.stdout.readline()
    for count in range(3):
        process.send_signal(signal.SIGINT)
        if count < 2:
            wait_for(lambda count=count: len(fake.queries("POST", f"{C}/kill")) > count)
    assert process.wait(20) == 1
    assert b"got 3 SIGTERM/SIGINTs, forcefully exiting" in process.stderr.read()
    release.set()


def wait_for(condition: Any) -> None:
    end = time.monotonic() + 10
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.005)


class Typist:
    """A pty with the command in it."""

    def __init__(self, cli: Any, *args: str) -> None:
        self.master, slave = pty.openpty()
        fcntl.ioctl(self.master, termios.TIOCSWINSZ, struct.pack("HHHH", 40, 100, 0, 0))
        self.before = termios.tcgetattr(slave)
        self.slave = slave
        options = {**cli.options(), "stdin": slave, "stdout": slave, "stderr": slave}
        self.process = subprocess.Popen(cli.argv(*args), **options, start_new_session=True)

    def read(self, mark: bytes) -> bytes:
        data = b""
        while mark not in data:
            data += os.read(self.master, 4096)
        return data

    def end(self) -> int:
        code = self.process.wait(20)
        assert termios.tcgetattr(self.slave) == self.before, "the terminal's modes were not restored"
        os.close(self.master)
        os.close(self.slave)
        return code


def test_terminal(fake: Any, cli: Any) -> None:
    def body(stream: Any) -> None:
        stream.sendall(b"ready\r\n")
        typed = stream.recv(100)
        stream.sendall(b"<" + typed.hex().encode() + b">")

    Program(fake, 4, body, tty=True)
    fake.on["POST", f"{C}/resize"] = lambda asked: asked.answer(200)
    typist = Typist(cli, "run", "-it", "img")
    typist.read(b"ready\r\n")
    os.write(typist.master, b"\x03")  # raw mode: Ctrl-C is a byte for the program, no signal for us
    assert b"<03>" in typist.read(b">")
    assert typist.end() == 4
    assert fake.asked[0].body["HostConfig"]["ConsoleSize"] == [40, 100]
    assert fake.queries("POST", f"{C}/resize") == [{"h": "40", "w": "100"}]


def test_resize_follows(fake: Any, cli: Any) -> None:
    release = threading.Event()

    def body(stream: Any) -> None:
        stream.sendall(b"ready\r\n")
        release.wait(10)

    Program(fake, 0, body, tty=True)
    fake.on["POST", f"{C}/resize"] = lambda asked: asked.answer(200)
    typist = Typist(cli, "run", "-it", "img")
    typist.read(b"ready")
    fcntl.ioctl(typist.master, termios.TIOCSWINSZ, struct.pack("HHHH", 50, 120, 0, 0))
    typist.process.send_signal(signal.SIGWINCH)
    wait_for(lambda: {"h": "50", "w": "120"} in fake.queries("POST", f"{C}/resize"))
    release.set()
    assert typist.end() == 0


def test_detach_keys_leave_it_running(fake: Any, cli: Any) -> None:
    def body(stream: Any) -> None:
        stream.sendall(b"ready\r\n")
        typed = b""
        while not typed.endswith(b"\x10\x11"):
            typed += stream.recv(100)

    Program(fake, 0, body, tty=True)
    fake.on["POST", f"{C}/wait"] = lambda asked: asked.begin()  # the exit code never comes
    fake.on["POST", f"{C}/resize"] = lambda asked: asked.answer(200)
    typist = Typist(cli, "run", "-it", "img")
    typist.read(b"ready")
    os.write(typist.master, b"x\x10")
    os.write(typist.master, b"\x11")
    assert typist.end() == 0


def test_terminal_restored_when_killed(fake: Any, cli: Any) -> None:
    release = threading.Event()

    def body(stream: Any) -> None:
        stream.sendall(b"ready\r\n")
        release.wait(10)

    Program(fake, 0, body, tty=True)
    fake.on["POST", f"{C}/resize"] = lambda asked: asked.answer(200)
    typist = Typist(cli, "run", "-it", "--sig-proxy=false", "img")
    typist.read(b"ready")
    typist.process.terminate()
    assert typist.end() == -signal.SIGTERM
    release.set()


def test_no_terminal(fake: Any, cli: Any) -> None:
    done = cli("run", "-it", "img")
    assert done.returncode == 1
    assert b"the input device is not a TTY" in done.stderr
    assert not fake.asked


def test_the_engine_dies_while_attached(fake: Any, cli: Any) -> None:
    """The stream goes on; the exit code is asked of the next engine."""
    program = Program(fake, 0)

    def attach(asked: Any) -> None:
        stream = asked.upgrade()
        program.started.wait(10)
        stream.sendall(frame(1, b"one\n"))
        program.ended.set()
        time.sleep(0.1)
        stream.sendall(frame(1, b"two\n"))
        asked.hang_up()

    def wait(asked: Any) -> None:
        asked.begin()
        program.ended.wait(10)
        asked.hang_up()

    fake.on["POST", f"{C}/attach"] = attach
    fake.on["POST", f"{C}/wait"] = wait
    state = {"Running": False, "Status": "exited", "ExitCode": 9}
    fake.on["GET", f"{C}/json"] = lambda asked: asked.answer(200, {"State": state})
    done = cli("run", "img")
    assert (done.returncode, done.stdout) == (9, b"one\ntwo\n")


def test_the_engine_died_and_rm_has_removed_it(fake: Any, cli: Any) -> None:
    Program(fake, 0, lambda stream: stream.sendall(frame(1, b"x")))
    fake.on["POST", f"{C}/wait"] = lambda asked: (asked.begin(), time.sleep(0.2), asked.hang_up())
    fake.on["GET", f"{C}/json"] = lambda asked: asked.answer(404, {"message": "No such container"})
    event = {"Type": "container", "Action": "die", "Actor": {"ID": ID, "Attributes": {"exitCode": "42"}}}
    fake.on["GET", "/events"] = lambda asked: asked.answer(200, event)
    assert cli("run", "--rm", "img").returncode == 42
    (query,) = fake.queries("GET", "/events")
    assert json.loads(query["filters"]) == {"container": {ID: True}, "event": {"die": True}}
    assert float(query["since"]) < float(query["until"])


def test_the_engine_dies_in_start_after_the_program_ran(fake: Any, cli: Any) -> None:
    program = Program(fake, 0, lambda stream: stream.sendall(frame(1, b"ran\n")))
    fake.on["POST", f"{C}/start"] = lambda asked: (program.started.set(), asked.hang_up())
    state = {"Running": False, "Status": "exited", "ExitCode": 5}
    fake.on["GET", f"{C}/json"] = lambda asked: asked.answer(200, {"State": state})
    program.status = 5
    done = cli("run", "img")
    assert (done.returncode, done.stdout) == (5, b"ran\n")


def test_the_engine_dies_in_start_before_the_program_ran(fake: Any, cli: Any) -> None:
    """Everything again: attach, wait, start."""
    program = Program(fake, 6, lambda stream: stream.sendall(frame(1, b"ran\n")))
    attach, start, wait = (fake.on["POST", f"{C}/{verb}"] for verb in ("attach", "start", "wait"))
    first: dict[str, bool] = {}

    def once(name: str, then: Any) -> Any:
        def handler(asked: Any) -> None:
            if first.setdefault(name, True):
                first[name] = False
                if name == "start":
                    asked.hang_up()
                else:
                    asked.upgrade() if name == "attach" else asked.begin()
                    asked.hang_up()
            else:
                then(asked)

        return handler

    fake.on["POST", f"{C}/attach"] = once("attach", attach)
    fake.on["POST", f"{C}/start"] = once("start", start)
    fake.on["POST", f"{C}/wait"] = once("wait", wait)
    state = {"Running": False, "Status": "created", "StartedAt": "0001-01-01T00:00:00Z"}
    fake.on["GET", f"{C}/json"] = lambda asked: asked.answer(200, {"State": state})
    done = cli("run", "img")
    assert (done.returncode, done.stdout, program.started.is_set()) == (6, b"ran\n", True)


def test_output_lost_with_the_engine_is_replayed(fake: Any, cli: Any) -> None:
    """The engine died before it gave the stream to the shim: the log has what was written."""
    program = Program(fake)

    def attach(asked: Any) -> None:
        stream = asked.upgrade()
        if asked.query.get("logs"):
            stream.sendall(frame(1, b"from the log\n"))
        else:
            program.started.wait(10)
        asked.hang_up()

    fake.on["POST", f"{C}/attach"] = attach
    fake.on["POST", f"{C}/wait"] = lambda asked: (asked.begin(), program.started.wait(10), asked.hang_up())
    state = {"Running": False, "Status": "exited", "ExitCode": 0}
    fake.on["GET", f"{C}/json"] = lambda asked: asked.answer(200, {"State": state})
    done = cli("run", "img")
    assert (done.returncode, done.stdout) == (0, b"from the log\n")


def test_cidfile(fake: Any, cli: Any, tmp_path: Any) -> None:
    Program(fake)
    path = tmp_path / "cid"
    assert cli("run", "--cidfile", str(path), "img").returncode == 0
    assert path.read_text() == ID
    again = cli("run", "--cidfile", str(path), "img")
    assert again.returncode == 125
    assert b"container ID file found" in again.stderr


def test_cidfile_is_removed_when_nothing_was_made(fake: Any, cli: Any, tmp_path: Any) -> None:
    path = tmp_path / "cid"
    assert cli("run", "--cidfile", str(path), "img").returncode == 125
    assert not path.exists()


def test_no_containers_here_names_the_command_that_can(fake: Any, cli: Any) -> None:
    refuse_start(fake, "this host cannot run containers", 501, code="no-container-hull", next="proa run … IMAGE")
    done = cli("run", "--rm", "img", "sh", "-c", "echo 'a b'")
    assert done.stderr.decode().splitlines() == [
        "proa: this host cannot run containers [no-container-hull]",
        "  next: proa run --isolation=vm --rm img sh -c 'echo '\\''a b'\\'''",
    ]
    assert done.returncode == 125
    done = cli("run", "--isolation", "process", "img")
    assert b"next: proa run \xe2\x80\xa6 IMAGE" in done.stderr
