"""Each command against a fake engine: what it asks, what it prints, its exit code."""

from __future__ import annotations

import contextlib
import json
import os
import pty
import select
import struct
import subprocess
import time
from typing import Any

import pytest

ID = "b" * 64
DOWN = {"message": "No such container: nope", "code": "no-such-container"}


def frame(kind: int, data: bytes) -> bytes:
    return struct.pack(">BxxxL", kind, len(data)) + data


def container(**fields: object) -> dict[str, Any]:
    return {
        "Id": ID, "Names": ["/web"], "Image": "debian", "Command": "sh -c 'while true; do date; done'",
        "Created": int(time.time()) - 120, "State": "running", "Status": "Up 2 minutes", "Labels": {"k": "v"},
        "Mounts": [], "NetworkSettings": {"Networks": {"none": {}}}, **fields,
    }  # fmt: skip


def test_ps(fake: Any, cli: Any) -> None:
    fake.on["GET", "/containers/json"] = lambda asked: asked.answer(200, [container()])
    done = cli("ps")
    assert done.stdout.decode() == (
        "CONTAINER ID   IMAGE     COMMAND                  CREATED         STATUS         PORTS     NAMES\n"
        'bbbbbbbbbbbb   debian    "sh -c \'while true; …"   2 minutes ago   Up 2 minutes             web\n'
    )
    assert fake.asked[0].query == {}


def test_ps_options(fake: Any, cli: Any) -> None:
    fake.on["GET", "/containers/json"] = lambda asked: asked.answer(200, [container()])
    assert cli("ps", "-aq").stdout.decode() == "bbbbbbbbbbbb\n"
    assert cli("ps", "-q", "--no-trunc").stdout.decode() == ID + "\n"
    assert cli("ps", "-n", "3", "-f", "status=exited").stdout
    assert cli("ps", "--format", "{{.Names}}: {{.Status}}").stdout == b"web: Up 2 minutes\n"
    assert cli("ps", "--format", "table {{.ID}}\\t{{.Names}}").stdout == b"CONTAINER ID   NAMES\nbbbbbbbbbbbb   web\n"
    assert json.loads(cli("ps", "--format", "json").stdout)["Names"] == "web"
    assert json.loads(cli("ps", "--json").stdout)[0]["Id"] == ID
    queries = fake.queries("GET", "/containers/json")
    assert queries[0] == {"all": "1"}
    assert queries[2] == {"all": "1", "limit": "3", "filters": '{"status":{"exited":true}}'}


def test_ps_of_nothing(fake: Any, cli: Any) -> None:
    fake.on["GET", "/containers/json"] = lambda asked: asked.answer(200, [])
    head = b"CONTAINER ID   IMAGE     COMMAND   CREATED   STATUS    PORTS     NAMES\n"
    assert cli("ps").stdout == head
    assert cli("ps", "-q").stdout == b""


def test_images(fake: Any, cli: Any) -> None:
    created = int(time.time()) - 7200
    images = [
        {"Id": "sha256:" + "c" * 64, "RepoTags": ["debian:12", "h:5/x:latest"], "Created": created, "Size": 117e6}
    ]
    fake.on["GET", "/images/json"] = lambda asked: asked.answer(200, images)
    assert cli("images").stdout.decode() == (
        "REPOSITORY   TAG       IMAGE ID       CREATED       SIZE\n"
        "debian       12        cccccccccccc   2 hours ago   117MB\n"
        "h:5/x        latest    cccccccccccc   2 hours ago   117MB\n"
    )
    assert cli("images", "-q", "debian").stdout == b"cccccccccccc\ncccccccccccc\n"
    assert fake.asked[-1].query == {"filters": '{"reference":{"debian":true}}'}


@pytest.mark.parametrize(
    ("line", "method", "path", "query"),
    [
        ("stop -t 3 -s INT web", "POST", "/containers/web/stop", {"signal": "INT", "t": "3"}),
        ("stop --timeout 0 web", "POST", "/containers/web/stop", {"t": "0"}),
        ("restart web", "POST", "/containers/web/restart", {}),
        ("kill -s HUP web", "POST", "/containers/web/kill", {"signal": "HUP"}),
        ("pause web", "POST", "/containers/web/pause", {}),
        ("unpause web", "POST", "/containers/web/unpause", {}),
        ("start web", "POST", "/containers/web/start", {}),
        ("rm -fv web", "DELETE", "/containers/web", {"force": "1", "v": "1"}),
        ("rename web db", "POST", "/containers/web/rename", {"name": "db"}),
        ("tag a:1 h:5/b:2", "POST", "/images/a:1/tag", {"repo": "h:5/b", "tag": "2"}),
    ],
)
def test_one_call(fake: Any, cli: Any, line: str, method: str, path: str, query: dict[str, str]) -> None:
    fake.on[method, path] = lambda asked: asked.answer(204)
    done = cli(*line.split())
    assert (done.returncode, done.stderr) == (0, b"")
    assert done.stdout == (b"" if line.startswith(("rename", "tag")) else b"web\n")
    assert fake.queries(method, path) == [query]


def test_one_that_fails_does_not_stop_the_others(fake: Any, cli: Any) -> None:
    fake.on["POST", "/containers/nope/stop"] = lambda asked: asked.answer(404, DOWN)
    fake.on["POST", "/containers/web/stop"] = lambda asked: asked.answer(304)
    done = cli("stop", "nope", "web")
    assert (done.returncode, done.stdout) == (1, b"web\n")
    assert done.stderr == b"proa: No such container: nope [no-such-container]\n"
    done = cli("stop", "--json", "nope", "web")
    first, second = json.loads(done.stdout)
    assert (first["Error"]["code"], second) == ("no-such-container", {"Name": "web", "Error": None})


def test_rm_force_of_nothing_is_fine(fake: Any, cli: Any) -> None:
    fake.on["DELETE", "/containers/nope"] = lambda asked: asked.answer(404, DOWN)
    assert cli("rm", "-f", "nope").returncode == 0
    assert cli("rm", "nope").returncode == 1


def test_wait(fake: Any, cli: Any) -> None:
    fake.on["POST", "/containers/a/wait"] = lambda asked: asked.answer(200, {"StatusCode": 137})
    fake.on["POST", "/containers/nope/wait"] = lambda asked: asked.answer(404, DOWN)
    done = cli("wait", "a", "nope")
    assert (done.returncode, done.stdout) == (1, b"137\n")
    assert json.loads(cli("wait", "--json", "a").stdout) == [{"Name": "a", "StatusCode": 137, "Error": None}]


def test_create(fake: Any, cli: Any) -> None:
    fake.on["POST", "/containers/create"] = lambda asked: asked.answer(201, {"Id": ID, "Warnings": []})
    line = (
        "create --name web -e A=1 -e B -l k=v -m 64m --cpus 0.5 --pids-limit 5 --read-only --cap-add ALL "
        "--cap-drop KILL --entrypoint /e --init --isolation vm --network none --privileged -u 1:2 -w /w --hostname h "
        "--tmpfs /t:size=1m -v ./x:/x -v /anon --stop-signal INT --stop-timeout 4 --ulimit nofile=9 "
        "--sysctl a=b --shm-size 1m img a -b"
    )
    options = cli.options()
    options["env"]["B"] = "two"
    done = cli(*line.split(), env=options["env"], cwd="/tmp")
    assert done.stdout.decode() == ID + "\n"
    body = fake.asked[0].body
    host = body.pop("HostConfig")
    assert body == {
        "Image": "img", "Cmd": ["a", "-b"], "Env": ["A=1", "B=two"], "Labels": {"k": "v"}, "Entrypoint": ["/e"],
        "User": "1:2", "WorkingDir": "/w", "Hostname": "h", "StopSignal": "INT", "StopTimeout": 4,
        "Volumes": {"/anon": {}}, "AttachStdin": False, "AttachStdout": True, "AttachStderr": True,
        "OpenStdin": False, "StdinOnce": False, "Tty": False,
    }  # fmt: skip
    assert host == {
        "Memory": 64 << 20, "NanoCpus": 500_000_000, "PidsLimit": 5, "ReadonlyRootfs": True, "CapAdd": ["ALL"],
        "CapDrop": ["KILL"], "Init": True, "Isolation": "vm", "NetworkMode": "none", "Privileged": True,
        "Tmpfs": {"/t": "size=1m"}, "Binds": ["/tmp/x:/x"], "Ulimits": [{"Name": "nofile", "Soft": 9, "Hard": 9}],
        "Sysctls": {"a": "b"}, "ShmSize": 1 << 20,
    }  # fmt: skip


def test_empty_entrypoint_resets_it(fake: Any, cli: Any) -> None:
    fake.on["POST", "/containers/create"] = lambda asked: asked.answer(201, {"Id": ID, "Warnings": []})
    cli("create", "--entrypoint=", "img")
    assert fake.asked[0].body["Entrypoint"] == [""]


def test_create_again_when_the_engine_died_over_it(fake: Any, cli: Any) -> None:
    tries: list[int] = []

    def create(asked: Any) -> None:
        tries.append(1)
        asked.hang_up() if len(tries) == 1 else asked.answer(201, {"Id": ID, "Warnings": []})

    fake.on["POST", "/containers/create"] = create
    fake.on["GET", "/events"] = lambda asked: asked.answer(200, b"")
    assert cli("create", "img").stdout.decode() == ID + "\n"


def test_created_although_the_engine_died_over_it(fake: Any, cli: Any) -> None:
    """It is asked again by the same name, by which the next engine knows what the last one has made."""
    names = []

    def die_once(asked: Any) -> None:
        names.append(asked.query["proa-request"])
        if len(names) == 1:
            asked.hang_up()
        else:
            asked.answer(201, {"Id": ID, "Warnings": []})

    fake.on["POST", "/containers/create"] = die_once
    assert cli("create", "img").stdout.decode() == ID + "\n"
    assert len(names) == 2 and names[0] == names[1] and len(names[0]) == 32
    cli("create", "img")
    assert names[2] != names[0]


def exec_of(fake: Any, code: int, body: Any, running: bool = False) -> None:
    def start(asked: Any) -> None:
        stream = asked.upgrade()
        body(stream)
        asked.hang_up()

    fake.on["POST", "/containers/web/exec"] = lambda asked: asked.answer(201, {"Id": "e1"})
    fake.on["POST", "/exec/e1/start"] = start
    fake.on["GET", "/exec/e1/json"] = lambda asked: asked.answer(200, {"Running": running, "ExitCode": code})


def test_exec(fake: Any, cli: Any) -> None:
    exec_of(fake, 5, lambda stream: stream.sendall(frame(1, b"out\n") + frame(2, b"err\n")))
    done = cli("exec", "-e", "A=1", "-u", "me", "-w", "/w", "web", "sh", "-c", "x")
    assert (done.returncode, done.stdout, done.stderr) == (5, b"out\n", b"err\n")
    assert fake.asked[0].body == {
        "AttachStdin": False, "AttachStdout": True, "AttachStderr": True, "Tty": False, "Privileged": False,
        "Cmd": ["sh", "-c", "x"], "Env": ["A=1"], "User": "me", "WorkingDir": "/w",
    }  # fmt: skip
    assert fake.asked[1].body == {"Detach": False, "Tty": False}


def test_exec_stdin(fake: Any, cli: Any) -> None:
    def body(stream: Any) -> None:
        data = b""
        while more := stream.recv(100):
            data += more
        stream.sendall(frame(1, data.upper()))

    exec_of(fake, 0, body)
    assert cli("exec", "-i", "web", "cat", input=b"typed", stdin=None).stdout == b"TYPED"


def test_exec_detached(fake: Any, cli: Any) -> None:
    fake.on["POST", "/containers/web/exec"] = lambda asked: asked.answer(201, {"Id": "e1"})
    fake.on["POST", "/exec/e1/start"] = lambda asked: asked.answer(200)
    done = cli("exec", "-d", "web", "sleep", "9")
    assert (done.returncode, done.stdout) == (0, b"")
    assert fake.asked[1].body == {"Detach": True, "Tty": False}


def test_logs(fake: Any, cli: Any) -> None:
    kind = "application/vnd.docker.multiplexed-stream"
    data = frame(1, b"2026-01-01T00:00:00.000000000Z one\n") + frame(2, b"2026-01-01T00:00:00.000000000Z two\n")
    fake.on["GET", "/containers/web/logs"] = lambda asked: asked.answer(200, data, kind)
    done = cli("logs", "-t", "--tail", "2", "--since", "5", "web")
    assert done.stdout == b"2026-01-01T00:00:00.000000000Z one\n"
    assert done.stderr == b"2026-01-01T00:00:00.000000000Z two\n"
    assert fake.asked[0].query == {"stdout": "1", "stderr": "1", "timestamps": "1", "tail": "2", "since": "5"}
    lines = [json.loads(line) for line in cli("logs", "--json", "-t", "web").stdout.splitlines()]
    assert lines[1] == {"stream": "stderr", "time": "2026-01-01T00:00:00.000000000Z", "log": "two"}


def test_logs_of_a_terminal_are_raw(fake: Any, cli: Any) -> None:
    kind = "application/vnd.docker.raw-stream"
    fake.on["GET", "/containers/web/logs"] = lambda asked: asked.answer(200, b"\x01\x00\xffx\r\n", kind)
    assert cli("logs", "web").stdout == b"\x01\x00\xffx\r\n"


def test_inspect(fake: Any, cli: Any) -> None:
    fake.on["GET", "/containers/web/json"] = lambda asked: asked.answer(200, {"Id": ID, "State": {"Pid": 7}})
    fake.on["GET", "/images/debian/json"] = lambda asked: asked.answer(200, {"Id": "sha256:1"})
    done = cli("inspect", "web", "debian", "nope")
    assert done.returncode == 1
    assert [each["Id"] for each in json.loads(done.stdout)] == [ID, "sha256:1"]
    assert done.stderr == b"proa: No such object: nope [no-such-object]\n"
    assert done.stdout.startswith(b'[\n    {\n        "Id": ')
    assert cli("inspect", "-f", "{{.State.Pid}}", "web").stdout == b"7\n"
    assert cli("inspect", "nope").stdout == b"[]\n"


def test_events(fake: Any, cli: Any) -> None:
    event = {
        "Type": "container", "Action": "die", "timeNano": 1_700_000_000_123_456_789,
        "Actor": {"ID": ID, "Attributes": {"name": "web", "exitCode": "3"}},
    }  # fmt: skip
    fake.on["GET", "/events"] = lambda asked: asked.answer(200, event)
    options = cli.options()
    options["env"]["TZ"] = "UTC"
    line = f"2023-11-14T22:13:20.123456789Z container die {ID} (exitCode=3, name=web)\n"
    assert cli("events", "--until", "0", env=options["env"]).stdout.decode() == line
    assert json.loads(cli("events", "--json").stdout) == event
    assert cli("events", "--format", "{{.Actor.Attributes.name}}").stdout == b"web\n"


def test_import(fake: Any, cli: Any, tmp_path: Any) -> None:
    fake.on["POST", "/images/create"] = lambda asked: asked.answer(200, {"status": "sha256:7"})
    (tmp_path / "root.tar").write_bytes(b"tar" * 100_000)
    done = cli("import", "-c", "CMD x", "-c", "ENV a=b", str(tmp_path / "root.tar"), "h:5/debian:12")
    assert done.stdout == b"sha256:7\n"
    assert fake.asked[0].body == b"tar" * 100_000
    assert fake.asked[0].query == {"fromSrc": "-", "repo": "h:5/debian", "tag": "12", "changes": "ENV a=b"}
    assert cli("import", "-", "x", input=b"piped", stdin=None).returncode == 0
    assert fake.asked[1].body == b"piped"


def test_import_formatted(fake: Any, cli: Any) -> None:
    fake.on["POST", "/images/create"] = lambda asked: asked.answer(200, {"status": "sha256:7"})
    done = cli("import", "--format", "{{.Name}} is {{.Id}}", "-", "x", input=b"piped", stdin=None)
    assert (done.stdout, done.stderr) == (b"x is sha256:7\n", b"")


def everything(master: int) -> bytes:
    """What was written to a terminal whose other side is closed: one read may bring only a part."""
    said = b""
    with contextlib.suppress(OSError):
        while chunk := os.read(master, 65536):
            said += chunk
    os.close(master)
    return said


def test_import_tells_a_person_how_far_it_is(fake: Any, cli: Any, tmp_path: Any) -> None:
    fake.on["POST", "/images/create"] = lambda asked: asked.answer(200, {"status": "sha256:7"})
    (tmp_path / "root.tar").write_bytes(b"t" * 3_000_000)
    master, slave = pty.openpty()
    done = cli("import", str(tmp_path / "root.tar"), "x", capture_output=False, stdout=subprocess.PIPE, stderr=slave)
    os.close(slave)
    said = everything(master).decode()
    assert done.stdout == b"sha256:7\n"
    assert "importing: 1.05MB of 3MB (34%)" in said and said.endswith("importing: unpacking\r\x1b[K")


@pytest.mark.parametrize(("path", "text"), [("/nope.tar", "no such file"), ("/etc", "is a directory")])
def test_import_of_nothing(cli: Any, path: str, text: str) -> None:
    done = cli("import", path, "x")
    assert done.returncode == 1
    assert text in done.stderr.decode()


def test_import_refused_midway(fake: Any, cli: Any) -> None:
    error = {"error": "unexpected end of archive", "errorDetail": {"message": "unexpected end of archive"}}
    fake.on["POST", "/images/create"] = lambda asked: asked.answer(200, error)
    done = cli("import", "-", "x", input=b"half", stdin=None)
    assert (done.returncode, done.stdout) == (1, b"")
    assert b"unexpected end of archive [import-failed]" in done.stderr


def test_rmi(fake: Any, cli: Any) -> None:
    gone = [{"Untagged": "debian:12"}, {"Deleted": "sha256:1"}]
    fake.on["DELETE", "/images/debian:12"] = lambda asked: asked.answer(200, gone)
    assert cli("rmi", "-f", "debian:12").stdout == b"Untagged: debian:12\nDeleted: sha256:1\n"
    assert cli("rmi", "nope").returncode == 1


def test_version(fake: Any, cli: Any) -> None:
    details = {"ApiVersion": "1.45", "MinAPIVersion": "1.24", "Os": "linux", "Arch": "amd64"}
    server = {"Platform": {"Name": "Proa"}, "Components": [{"Name": "Engine", "Version": "1", "Details": details}]}
    fake.on["GET", "/version"] = lambda asked: asked.answer(200, server)
    text = cli("version").stdout.decode()
    assert text.startswith("Client:\n Version:           ")
    assert "\nServer: Proa\n Engine:\n  Version:          1\n  API version:      1.45 (minimum version 1.24)\n" in text
    assert json.loads(cli("version", "--json").stdout)["Server"] == server


def test_no_engine_and_none_to_start(cli: Any) -> None:
    done = cli("-H", "unix:///nonexistent/x.sock", "ps")
    assert done.returncode == 125
    assert done.stderr.startswith(b"proa: no engine answers at /nonexistent/x.sock [no-engine]\n")


def test_engine_commands(fake: Any, cli: Any) -> None:
    fake.on["GET", "/proa/v1/engine"] = lambda asked: asked.answer(200, {"Pid": 999_999_999})
    fake.on["POST", "/proa/v1/engine/stop"] = lambda asked: asked.answer(204)
    assert cli("engine", "pid").stdout == b"999999999\n"
    assert cli("engine", "socket").stdout.decode() == f"unix://{fake.path}\n"
    assert cli("engine", "stop", "--all").returncode == 0
    assert fake.asked[-1].query == {"all": "1"}
    assert cli("engine", "nope").returncode == 1


def test_overview_help_and_version(cli: Any) -> None:
    text = cli().stdout.decode()
    assert text.startswith("Usage:  proa [OPTIONS] COMMAND")
    assert cli("--help").stdout.decode() == text
    assert cli("--version").stdout.startswith(b"proa version ")
    done = cli("pss")
    assert done.returncode == 1
    assert b"did you mean proa ps?" in done.stderr


def test_import_refused_while_it_is_sent(fake: Any, cli: Any, tmp_path: Any) -> None:
    """The engine answers and hangs up in the middle: its words are told, and SIGPIPE does not end us."""

    def refuse(asked: Any) -> None:
        asked.answer(400, {"message": "not a tar archive", "code": "tar-invalid"})
        asked.taken = True

    fake.body_max = 1000
    fake.on["POST", "/images/create"] = refuse
    (tmp_path / "junk").write_bytes(bytes(10_000_000))
    done = cli("import", str(tmp_path / "junk"), "x")
    assert (done.returncode, done.stderr) == (1, b"proa: not a tar archive [tar-invalid]\n")


def test_wait_outlives_the_engine(fake: Any, cli: Any) -> None:
    tries: list[int] = []

    def wait(asked: Any) -> None:
        tries.append(1)
        if len(tries) == 1:
            asked.begin()
            asked.hang_up()
        else:
            asked.answer(200, {"StatusCode": 3})

    fake.on["POST", "/containers/a/wait"] = wait
    assert cli("wait", "a").stdout == b"3\n"


@pytest.mark.parametrize(("state", "code"), [(None, 5), ({"Running": True, "ExitCode": None}, 125)])
def test_exec_is_started_again_only_if_it_never_ran(fake: Any, cli: Any, state: Any, code: int) -> None:
    exec_of(fake, 5, lambda stream: stream.sendall(frame(1, b"out\n")))
    start, found = fake.on["POST", "/exec/e1/start"], fake.on["GET", "/exec/e1/json"]
    tries: list[int] = []

    def once(asked: Any) -> None:
        tries.append(1)
        asked.hang_up() if len(tries) == 1 else start(asked)

    def inspect(asked: Any) -> None:
        if len(tries) == 1:
            asked.answer(404, DOWN) if state is None else asked.answer(200, state)
        else:
            found(asked)

    fake.on["POST", "/exec/e1/start"] = once
    fake.on["GET", "/exec/e1/json"] = inspect
    done = cli("exec", "web", "true")
    assert (done.returncode, len(tries)) == (code, 2 if state is None else 1)


NEVER = "0001-01-01T00:00:00Z"


@pytest.mark.parametrize(("started", "tries"), [(NEVER, 2), ("2099-01-01T00:00:00.5Z", 1), (None, 1)])
def test_a_start_that_the_engine_died_over(fake: Any, cli: Any, started: str | None, tries: int) -> None:
    """Asked again of the next engine only if the container did not run; one that is gone did."""
    asks: list[int] = []

    def start(asked: Any) -> None:
        asks.append(1)
        asked.hang_up() if len(asks) == 1 else asked.answer(204)

    def inspect(asked: Any) -> None:
        if started is None:
            asked.answer(404, {"message": "No such container: a"})
        else:
            asked.answer(200, {"State": {"StartedAt": started}})

    fake.on["POST", "/containers/a/start"] = start
    fake.on["GET", "/containers/a/json"] = inspect
    done = cli("start", "a")
    assert (done.returncode, done.stdout, len(asks)) == (0, b"a\n", tries)


def test_who_attached_too_late_is_told_the_exit_code(fake: Any, cli: Any) -> None:
    """It ran when it was asked about and had ended when the stream was: that one waits for another start."""
    states = iter([True, False, False])

    def state(asked: Any) -> None:
        running = {"Running": next(states), "Paused": False, "ExitCode": 7, "StartedAt": "2026-01-01T00:00:00Z"}
        config = {"Tty": False, "OpenStdin": False}
        asked.answer(200, {"Id": "a" * 64, "State": running, "Config": config})

    def attach(asked: Any) -> None:
        poll = select.poll()
        poll.register(asked.upgrade(), 0)
        poll.poll(30_000)  # nothing happens here until it hangs up

    fake.on["GET", "/containers/a/json"] = fake.on["GET", f"/containers/{'a' * 64}/json"] = state
    fake.on["POST", f"/containers/{'a' * 64}/attach"] = attach
    fake.on["POST", f"/containers/{'a' * 64}/wait"] = lambda asked: asked.answer(200, {"StatusCode": 7})
    done = cli("attach", "--no-stdin", "a")
    assert (done.returncode, done.stdout, done.stderr) == (7, b"", b"")


def test_who_only_attached_gets_nothing_old_from_the_next_engine(fake: Any, cli: Any) -> None:
    state = {"Running": True, "Paused": False, "Status": "running", "ExitCode": 0, "StartedAt": NEVER}
    found = {"Id": "a" * 64, "State": state, "Config": {"Tty": False, "OpenStdin": False}}
    streams: list[dict[str, str]] = []

    def attach(asked: Any) -> None:
        streams.append(asked.query)
        stream = asked.upgrade()
        if len(streams) == 2:
            stream.sendall(frame(1, b"new\n"))
            state.update(Running=False, Status="exited", ExitCode=3)
        asked.hang_up()

    fake.on["GET", "/containers/a/json"] = fake.on["GET", f"/containers/{'a' * 64}/json"] = lambda asked: asked.answer(
        200, found
    )
    fake.on["POST", f"/containers/{'a' * 64}/attach"] = attach
    fake.on["POST", f"/containers/{'a' * 64}/wait"] = lambda asked: (asked.begin(), asked.hang_up())
    done = cli("attach", "--no-stdin", "a")
    assert (done.returncode, done.stdout) == (3, b"new\n")
    assert [query.get("logs", "0") in ("0", "false", "") for query in streams] == [True, True]


def test_a_second_run_that_nobody_saw_is_told_from_its_beginning(fake: Any, cli: Any) -> None:
    """``start -a`` of what has run before: its old output is not shown again."""
    id = "a" * 64
    state = {"Running": False, "Status": "exited", "ExitCode": 1, "StartedAt": "2026-01-01T00:00:00Z"}
    config, host = {"Tty": False, "OpenStdin": False}, {"AutoRemove": False}
    found = {"Id": id, "State": state, "Config": config, "HostConfig": host}

    def start(asked: Any) -> None:
        state.update(StartedAt="2026-01-02T00:00:00Z", ExitCode=4)
        asked.hang_up()

    def logs(asked: Any) -> None:
        assert asked.query["since"] == "2026-01-02T00:00:00Z"
        asked.answer(200, frame(1, b"second\n"), kind="application/vnd.docker.multiplexed-stream")

    for name in ("a", id):
        fake.on["GET", f"/containers/{name}/json"] = lambda asked: asked.answer(200, found)
    fake.on["POST", f"/containers/{id}/attach"] = lambda asked: (asked.upgrade(), asked.hang_up())
    fake.on["POST", f"/containers/{id}/wait"] = lambda asked: (asked.begin(), asked.hang_up())
    fake.on["POST", f"/containers/{id}/start"] = start
    fake.on["GET", f"/containers/{id}/logs"] = logs
    done = cli("start", "-a", "a")
    assert (done.returncode, done.stdout) == (4, b"second\n")
