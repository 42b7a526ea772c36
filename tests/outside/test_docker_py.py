"""docker-py, the library that people's programs use: the same answers from our engine as from dockerd."""

from __future__ import annotations

import gc
import io
import json
import tarfile
import threading
import time
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.box import IMAGE, Box
from support.hulls import HULLS

docker = pytest.importorskip("docker")
OURS = ("container", "vm")
"""The floor's machine is the VM's, and so is its engine: it takes another way to the first, not to the second."""
pytestmark = [
    pytest.mark.peer,
    pytest.mark.parametrize("shared_box", ["docker", *(hull for hull in HULLS if hull in OURS)], indirect=True),
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def engine(box: Box) -> Box:
    """Each test states what dockerd does, and is judged by it."""
    return box


@pytest.fixture
def client(engine: Box) -> Iterator[Any]:
    """A client of docker-py. It leaves the connection of a hijacked stream to the garbage collector, which warns."""
    made = docker.DockerClient(base_url=f"unix://{engine.socket}", timeout=60 * engine.slow)
    yield made
    made.close()
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        gc.collect()


@pytest.fixture
def options(engine: Box) -> dict[str, Any]:
    """What each container is made with."""
    if engine.is_docker:
        return {"network_mode": "none"}
    return {"network_mode": "none", "isolation": "vm" if engine.is_vm else "process"}


def test_ping_version_info(client: Any) -> None:
    assert client.ping()
    assert client.version()["ApiVersion"]
    assert client.info()["ServerVersion"]


def test_run(client: Any, options: dict[str, Any]) -> None:
    assert client.containers.run(IMAGE, "echo hello", remove=True, **options) == b"hello\n"


def test_run_that_fails(client: Any, options: dict[str, Any]) -> None:
    with pytest.raises(docker.errors.ContainerError) as caught:
        client.containers.run(IMAGE, ["sh", "-c", "echo no >&2; exit 3"], remove=True, **options)
    assert caught.value.exit_status == 3
    assert caught.value.stderr == b"no\n"


def test_life(client: Any, options: dict[str, Any]) -> None:
    container = client.containers.run(IMAGE, ["sleep", "600"], name="py", detach=True, **options)
    assert client.containers.get("py").status == "running"
    assert [one.id for one in client.containers.list()] == [container.id]
    assert container.exec_run(["sh", "-c", "echo in; exit 4"]) == (4, b"in\n")
    assert container.exec_run(["sh", "-c", "echo o; echo e >&2"], demux=True).output == (b"o\n", b"e\n")
    container.pause()
    container.unpause()
    container.kill()
    assert container.wait()["StatusCode"] == 137
    container.remove()
    with pytest.raises(docker.errors.NotFound):
        client.containers.get("py")


def test_exec_stream(client: Any, options: dict[str, Any]) -> None:
    container = client.containers.run(IMAGE, ["sleep", "600"], detach=True, **options)
    _, stream = container.exec_run(["sh", "-c", "for i in 1 2 3; do echo $i; sleep 0.1; done"], stream=True)
    assert b"".join(stream) == b"1\n2\n3\n"


def test_exec_socket(client: Any, options: dict[str, Any]) -> None:
    container = client.containers.run(IMAGE, ["sleep", "600"], detach=True, **options)
    _, socket = container.exec_run(["cat"], stdin=True, socket=True)
    socket._sock.sendall(b"typed")
    socket._sock.shutdown(1)
    data = b""
    while piece := socket.read(4096):
        data += piece
    assert data == b"\x01\0\0\0\0\0\0\x05typed"
    socket.close()


def test_logs(client: Any, options: dict[str, Any]) -> None:
    container = client.containers.run(IMAGE, ["sh", "-c", "echo o; echo e >&2"], detach=True, **options)
    container.wait()
    assert sorted(container.logs().split()) == [b"e", b"o"]
    assert container.logs(stderr=False) == b"o\n"
    assert b"".join(container.logs(stream=True, follow=True, stdout=False)) == b"e\n"


def test_attach_socket(client: Any, options: dict[str, Any]) -> None:
    container = client.containers.create(IMAGE, ["cat"], stdin_open=True, **options)
    socket = container.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
    container.start()
    socket._sock.sendall(b"hello\n")
    assert socket.read(8 + 6) == b"\x01\0\0\0\0\0\0\x06hello\n"
    socket.close()
    container.remove(force=True)


def test_events(client: Any, options: dict[str, Any]) -> None:
    since = int(time.time()) - 1
    client.containers.run(IMAGE, "true", remove=True, **options)
    time.sleep(0.2)
    told = client.events(since=since, until=int(time.time()) + 1, decode=True, filters={"type": "container"})
    actions = [event["Action"] for event in told if event["Action"] in ("create", "start", "die", "destroy")]
    assert actions[-4:] == ["create", "start", "die", "destroy"]


def test_errors(client: Any) -> None:
    with pytest.raises(docker.errors.NotFound):
        client.containers.get("nobody")
    with pytest.raises(docker.errors.ImageNotFound):
        client.images.get("nobody")


def test_images(client: Any, image_tar: Path) -> None:
    client.api.import_image_from_data(image_tar.read_bytes(), repository="other", tag="py")
    image = client.images.get("other:py")
    assert image.tags == ["other:py"]
    assert any("other:py" in one.tags for one in client.images.list())
    client.images.remove("other:py")


def test_filters(client: Any, options: dict[str, Any]) -> None:
    made = client.containers.create(IMAGE, "true", labels={"a": "b"}, **options)
    assert [one.id for one in client.containers.list(all=True, filters={"label": "a=b"})] == [made.id]
    assert client.containers.list(all=True, filters={"label": "a=c"}) == []


def test_limits_round_trip(client: Any, options: dict[str, Any]) -> None:
    made = client.containers.create(IMAGE, "true", mem_limit="64m", pids_limit=50, nano_cpus=500_000_000, **options)
    host = client.api.inspect_container(made.id)["HostConfig"]
    assert (host["Memory"], host["PidsLimit"], host["NanoCpus"]) == (64 << 20, 50, 500_000_000)


def test_stop_and_wait_conditions(client: Any, options: dict[str, Any]) -> None:
    script = ["sh", "-c", "trap 'exit 7' TERM; while :; do sleep 0.05; done"]
    container = client.containers.run(IMAGE, script, detach=True, **options)
    codes: list[int] = []
    waiting = threading.Thread(target=lambda: codes.append(container.wait(condition="next-exit")["StatusCode"]))
    waiting.start()
    time.sleep(0.5)
    container.stop(timeout=20)
    waiting.join(60)
    assert codes == [7]
    assert container.wait()["StatusCode"] == 7
    container.start()
    container.restart(timeout=2)  # the program may not have set its trap yet
    container.remove(force=True)


def test_stop_of_what_does_not_listen(client: Any, options: dict[str, Any]) -> None:
    script = ["sh", "-c", "trap '' TERM; while :; do sleep 0.05; done"]
    container = client.containers.run(IMAGE, script, detach=True, **options)
    container.stop(timeout=1)
    assert container.wait()["StatusCode"] == 137


def test_removed_when_waited_for(client: Any, options: dict[str, Any]) -> None:
    container = client.containers.create(IMAGE, ["sh", "-c", "sleep 0.2; exit 5"], auto_remove=True, **options)
    codes: list[int] = []
    waiting = threading.Thread(target=lambda: codes.append(container.wait(condition="removed")["StatusCode"]))
    waiting.start()
    time.sleep(0.3)
    container.start()
    waiting.join(60)
    assert codes == [5]
    with pytest.raises(docker.errors.NotFound):
        container.reload()


def test_conflicts(client: Any, options: dict[str, Any]) -> None:
    container = client.containers.run(IMAGE, ["sleep", "600"], name="py", detach=True, **options)
    for refused, text in (
        (lambda: client.containers.create(IMAGE, "true", name="py", **options), "is already in use by container"),
        (container.remove, "running container|container is running"),
        (container.unpause, "is not paused"),
        (lambda: container.kill("NONSENSE"), "nvalid signal"),
    ):
        with pytest.raises(docker.errors.APIError, match=text):
            refused()
    container.kill()
    container.wait()
    with pytest.raises(docker.errors.APIError, match="is not running") as caught:
        container.exec_run("true")
    assert caught.value.status_code == 409
    with pytest.raises(docker.errors.APIError, match="is not running"):
        container.kill()


def test_a_terminal(client: Any, options: dict[str, Any]) -> None:
    container = client.containers.create(IMAGE, ["sh"], tty=True, stdin_open=True, **options)
    socket = container.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1})
    container.start()
    container.resize(height=33, width=101)
    socket._sock.sendall(b"stty size; tty; exit 3\n")
    shown = b""
    while piece := socket._sock.recv(4096):
        shown += piece
    assert b"33 101\r\n" in shown and b"/dev/pts/0\r\n" in shown
    assert container.wait()["StatusCode"] == 3
    socket.close()


def test_detach_keys(client: Any, options: dict[str, Any]) -> None:
    container = client.containers.run(IMAGE, ["cat"], tty=True, stdin_open=True, detach=True, **options)
    for params, keys in (({}, b"\x10\x11"), ({"detachKeys": "ctrl-a,x"}, b"\x01x")):
        socket = container.attach_socket(params={"stdin": 1, "stdout": 1, "stream": 1, **params})
        time.sleep(0.3)
        socket._sock.sendall(b"a\r")
        socket._sock.sendall(keys)
        while socket._sock.recv(4096):
            pass
        socket.close()
        container.reload()
        assert container.status == "running"
    container.remove(force=True)


def test_exec_in_a_terminal(client: Any, options: dict[str, Any]) -> None:
    container = client.containers.run(IMAGE, ["sleep", "600"], detach=True, **options)
    code, output = container.exec_run(["sh", "-c", "tty; echo err >&2; exit 6"], tty=True)
    assert (code, output) == (6, b"/dev/pts/0\r\nerr\r\n")
    code, output = container.exec_run(
        ["sh", "-c", "echo $A; id -u; pwd"], environment={"A": "1"}, user="app", workdir="/work"
    )
    assert (code, output) == (0, b"1\n1000\n/work\n")


def test_exec_detached(client: Any, options: dict[str, Any]) -> None:
    container = client.containers.run(IMAGE, ["sleep", "600"], detach=True, **options)
    made = client.api.exec_create(container.id, ["sh", "-c", "exit 9"])
    assert client.api.exec_start(made["Id"], detach=True) in (b"", "")
    end = time.monotonic() + 30
    while (found := client.api.exec_inspect(made["Id"]))["Running"] and time.monotonic() < end:
        time.sleep(0.05)
    assert found["ExitCode"] == 9
    with pytest.raises(docker.errors.APIError, match="has already run"):
        client.api.exec_start(made["Id"], detach=True)
    with pytest.raises(docker.errors.NotFound, match="No such exec instance"):
        client.api.exec_inspect("0" * 64)


def test_exec_of_many_bytes(client: Any, options: dict[str, Any]) -> None:
    container = client.containers.run(IMAGE, ["sleep", "600"], detach=True, **options)
    code, output = container.exec_run(["sh", "-c", "head -c 3000000 /dev/zero; head -c 10 /dev/zero >&2"], demux=True)
    assert (code, len(output[0]), len(output[1])) == (0, 3_000_000, 10)


def test_attach_with_the_log(client: Any, options: dict[str, Any]) -> None:
    container = client.containers.run(IMAGE, ["sh", "-c", "echo before; sleep 1; echo after"], detach=True, **options)
    time.sleep(0.4)
    assert b"".join(container.attach(stream=True, logs=True)).endswith(b"after\n")  # dockerd may lose what came at once
    assert container.logs(tail=1) == b"after\n"
    stamped = container.logs(timestamps=True).split()
    assert stamped[1::2] == [b"before", b"after"] and stamped[0].endswith(b"Z") and len(stamped[0]) == 30
    assert container.logs(until=1) == b"" and container.logs(since=1) == b"before\nafter\n"


def test_logs_followed(client: Any, options: dict[str, Any]) -> None:
    script = ["sh", "-c", "for i in 1 2 3 4 5; do echo $i; sleep 0.1; done"]
    container = client.containers.run(IMAGE, script, detach=True, **options)
    assert b"".join(container.logs(stream=True, follow=True)) == b"1\n2\n3\n4\n5\n"


def test_events_as_they_happen(client: Any, engine: Box, options: dict[str, Any]) -> None:
    seen: list[str] = []
    ready = threading.Event()

    def follow() -> None:
        told = docker.APIClient(base_url=f"unix://{engine.socket}", timeout=60 * engine.slow)
        stream = told.events(decode=True, filters={"container": "py", "type": "container"})
        ready.set()
        for event in stream:
            seen.append(event["Action"])
            if event["Action"] == "destroy":
                stream.close()
                break
        told.close()

    following = threading.Thread(target=follow)
    following.start()
    assert ready.wait(10)
    time.sleep(0.3)
    container = client.containers.create(IMAGE, ["sleep", "600"], name="py", **options)
    container.start()
    container.pause()
    container.unpause()
    container.exec_run("true")
    container.kill()
    container.wait()
    container.remove()
    following.join(60)
    exec_actions = ["exec_create: true ", "exec_start: true ", "exec_die"]
    assert seen == ["create", "start", "pause", "unpause", *exec_actions, "kill", "die", "destroy"]


def test_import_with_changes(client: Any, image_tar: Path, options: dict[str, Any]) -> None:
    changes = ['CMD ["echo", "from the image"]', "ENV A=1", "WORKDIR /work", "USER app", "LABEL x=y"]
    told = client.api.import_image_from_data(image_tar.read_bytes(), repository="other", tag="py", changes=changes)
    assert json.loads(told.splitlines()[-1])["status"].startswith("sha256:")
    try:
        assert client.containers.run("other:py", remove=True, **options) == b"from the image\n"
        assert client.containers.run("other:py", ["sh", "-c", "echo $A; pwd; id -u"], remove=True, **options) == (
            b"1\n/work\n1000\n"
        )
        config = client.images.get("other:py").attrs["Config"]
        assert (config["Cmd"], config["WorkingDir"], config["User"]) == (["echo", "from the image"], "/work", "app")
        assert config["Labels"] == {"x": "y"} and "A=1" in config["Env"]
        assert client.images.get("other:py").history()[0]["Id"] == client.images.get("other:py").id
        client.images.get("other:py").tag("third", "x")
        assert client.images.get("third:x").id == client.images.get("other:py").id
        client.images.remove("third:x")
    finally:
        client.images.remove("other:py")


def test_import_of_nonsense(client: Any) -> None:
    short = io.BytesIO()
    with tarfile.open(fileobj=short, mode="w") as tar:
        info = tarfile.TarInfo("x")
        info.size = 100_000
        tar.addfile(info, io.BytesIO(b"x" * 100_000))
    before = {image.id for image in client.images.list()}
    with pytest.raises(docker.errors.APIError):
        client.api.import_image_from_data(short.getvalue()[:50_000], repository="other", tag="py")
    assert {image.id for image in client.images.list()} == before


def test_prune_and_lists(client: Any, options: dict[str, Any]) -> None:
    first = client.containers.create(IMAGE, "true", name="py1", **options)
    second = client.containers.run(IMAGE, ["sleep", "600"], name="py2", detach=True, **options)
    names = [one.name for one in client.containers.list(all=True)]
    assert names == ["py2", "py1"]
    assert [one.name for one in client.containers.list(all=True, limit=1)] == ["py2"]
    assert [one.name for one in client.containers.list(all=True, filters={"before": "py2"})] == ["py1"]
    assert [one.name for one in client.containers.list(all=True, filters={"since": "py1"})] == ["py2"]
    assert [one.name for one in client.containers.list(filters={"status": "created"})] == ["py1"]
    assert [one.name for one in client.containers.list(all=True, filters={"name": "py[2-3]"})] == ["py2"]
    assert [one.name for one in client.containers.list(all=True, filters={"id": first.id[:10]})] == ["py1"]
    assert client.containers.prune()["ContainersDeleted"] == [first.id]
    assert client.containers.prune()["ContainersDeleted"] is None
    second.remove(force=True)


def test_many_at_once(client: Any, options: dict[str, Any]) -> None:
    outputs: list[bytes] = []

    def one(number: int) -> None:
        outputs.append(client.containers.run(IMAGE, ["echo", str(number)], remove=True, **options))

    threads = [threading.Thread(target=one, args=(number,)) for number in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join(120)
    assert sorted(outputs) == [b"%d\n" % number for number in range(8)]


def test_old_versions_are_spoken(client: Any, engine: Box, options: dict[str, Any]) -> None:
    for version in ("1.24", "1.30", "1.40", "1.41"):
        old = docker.DockerClient(base_url=f"unix://{engine.socket}", version=version, timeout=60 * engine.slow)
        assert old.containers.run(IMAGE, "echo hello", remove=True, **options) == b"hello\n"
        old.close()


def test_a_newer_version_is_refused(engine: Box) -> None:
    new = docker.APIClient(base_url=f"unix://{engine.socket}", version="1.99")
    with pytest.raises(
        docker.errors.APIError, match=r"client version 1\.99 is too new\. Maximum supported API version is"
    ):
        new.info()
    new.close()
