"""docker-py, the library that people's programs use, on our socket."""

from __future__ import annotations

import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from support.box import IMAGE, Box

docker = pytest.importorskip("docker")
pytestmark = [  # docker-py leaves the connection of a hijacked stream to the garbage collector
    pytest.mark.filterwarnings("ignore::ResourceWarning"),
    pytest.mark.filterwarnings("ignore::pytest.PytestUnraisableExceptionWarning"),
]


@pytest.fixture
def client(box: Box) -> Iterator[Any]:
    """A client of docker-py."""
    made = docker.DockerClient(base_url=f"unix://{box.socket}", timeout=60 * box.slow)
    yield made
    made.close()


@pytest.fixture
def options(box: Box) -> dict[str, Any]:
    """What each container is made with."""
    if box.is_docker:
        return {"network_mode": "none"}
    return {"network_mode": "none", "isolation": "vm" if box.is_vm else "process"}


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
