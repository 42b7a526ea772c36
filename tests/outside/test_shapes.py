"""JSON shapes: what dockerd's answers have, ours have, of the same type; what may differ is listed with its reason."""

from __future__ import annotations

import time
from collections.abc import Iterator
from typing import Any

import pytest

from support.box import IMAGE, Box

docker = pytest.importorskip("docker")
pytestmark = pytest.mark.peer

_OLD = "gone from newer versions of the API"
_HOST = "what dockerd's own host support needs, not ours"
REASONS = {
    "HostConfig.KernelMemory": _OLD,
    "HostConfig.KernelMemoryTCP": _OLD,
    "KernelMemory": _OLD,
    "KernelMemoryTCP": _OLD,
    "Error": "there only with an error, as since 23",
    "GraphDriver.Data.LowerDir": "a container may have more lower directories than one string holds",
    "GraphDriver.Data": "an image's layers are not mounted",
    "Warnings": "always a list",
    "RepoDigests": "an empty list, as since 25",
    "Runtimes.runc": _HOST,
    "Runtimes.io.containerd.runc.v2": _HOST,
    "Runtimes.io.containerd.runtime.v1.linux": _HOST,
    "RegistryConfig.AllowNondistributableArtifactsCIDRs": _OLD,
    "RegistryConfig.AllowNondistributableArtifactsHostnames": _OLD,
    "RegistryConfig.IndexConfigs.docker.io": "no registries yet",
    "RegistryConfig.Mirrors": "no registries yet",
}


@pytest.fixture
def clients(docker_box: Box, proa_box: Box) -> Iterator[tuple[Any, Any]]:
    """docker-py's low-level client on both, speaking the version that both speak."""
    made = [
        docker.APIClient(base_url=f"unix://{box.socket}", version="1.41", timeout=60 * box.slow)
        for box in (docker_box, proa_box)
    ]
    made[1].hull = "vm" if proa_box.is_vm else "process"
    yield made[0], made[1]
    for one in made:
        one.close()
    docker_box.clean()


def differences(wanted: Any, found: Any, path: str = "") -> list[str]:
    """Paths that are missing or of another type in ``found``. More than dockerd has may be there."""
    where = path.strip(".")
    if where in REASONS:
        return []
    if isinstance(wanted, dict) and isinstance(found, dict):
        return [
            problem
            for key, value in wanted.items()
            for problem in (
                differences(value, found[key], f"{path}.{key}")
                if key in found
                else _missing(f"{where}.{key}".strip("."))
            )
        ]
    if isinstance(wanted, list) and isinstance(found, list):
        return differences(wanted[0], found[0], path) if wanted and found else []
    same = isinstance(found, type(wanted)) or isinstance(wanted, type(found))
    return [] if same else [f"{where}: {type(found).__name__} in place of {type(wanted).__name__}"]


def _missing(where: str) -> list[str]:
    return [] if where in REASONS else [f"{where}: missing"]


def _alike(clients: tuple[Any, Any], ask: Any) -> None:
    wanted, found = (ask(client) for client in clients)
    assert differences(wanted, found) == []


def _host(client: Any, **more: Any) -> Any:
    """What a container is made with: none but ours is asked for a hull."""
    return client.create_host_config(network_mode="none", isolation=getattr(client, "hull", None), **more)


def test_a_container_through_its_life(clients: tuple[Any, Any]) -> None:
    words = {"labels": {"a": "b"}, "name": "shape"}
    _alike(clients, lambda one: one.create_container(IMAGE, ["sleep", "600"], host_config=_host(one), **words))
    _alike(clients, lambda one: one.inspect_container("shape"))
    _alike(clients, lambda one: one.start("shape"))
    _alike(clients, lambda one: one.inspect_container("shape"))
    _alike(clients, lambda one: one.containers(size=True))
    _alike(clients, lambda one: one.exec_create("shape", ["sleep", "600"]))
    _alike(clients, lambda one: one.exec_inspect(one.exec_create("shape", ["true"])["Id"]))
    _alike(clients, lambda one: one.pause("shape"))
    _alike(clients, lambda one: one.inspect_container("shape"))
    _alike(clients, lambda one: one.unpause("shape"))
    _alike(clients, lambda one: one.kill("shape"))
    _alike(clients, lambda one: one.wait("shape"))
    _alike(clients, lambda one: one.inspect_container("shape"))
    _alike(clients, lambda one: one.containers(all=True))
    _alike(clients, lambda one: one.remove_container("shape"))


def test_a_container_with_everything(clients: tuple[Any, Any], proa_box: Box) -> None:
    if proa_box.is_vm:
        pytest.skip("folders of the host: not in a virtual machine yet")

    def create(one: Any) -> Any:
        host = _host(
            one, binds=["/tmp:/x:ro"], tmpfs={"/t": ""}, mem_limit="64m", pids_limit=5, cap_add=["NET_ADMIN"],
            ulimits=[docker.types.Ulimit(name="nofile", soft=10, hard=20)], shm_size="8m", init=True, read_only=True,
            sysctls={"kernel.msgmax": "4096"}, group_add=["5"], security_opt=["no-new-privileges"], cpu_shares=10,
            mounts=[docker.types.Mount("/y", "/tmp", type="bind")], log_config={"config": {"max-size": "1m"}},
        )  # fmt: skip
        return one.create_container(IMAGE, ["true"], name="shape", environment={"A": "1"}, host_config=host)

    _alike(clients, create)
    _alike(clients, lambda one: one.inspect_container("shape"))
    _alike(clients, lambda one: one.containers(all=True))


def test_images(clients: tuple[Any, Any]) -> None:
    _alike(clients, lambda one: one.images())
    _alike(clients, lambda one: one.inspect_image(IMAGE))
    _alike(clients, lambda one: one.history(IMAGE))


def test_the_engine(clients: tuple[Any, Any]) -> None:
    _alike(clients, lambda one: one.info())
    _alike(clients, lambda one: one.version())


def test_an_event(clients: tuple[Any, Any]) -> None:
    def first(one: Any) -> Any:
        one.create_container(IMAGE, ["true"], name="shape", host_config=_host(one))
        one.remove_container("shape")
        until = int(time.time()) + 1
        return list(one.events(since=1, until=until, decode=True, filters={"container": "shape"}))[-1]

    _alike(clients, first)


def test_a_difference_is_seen() -> None:
    assert differences({"a": 1, "b": {"c": ""}}, {"a": "1", "b": {}}) == ["a: str in place of int", "b.c: missing"]
    assert differences([{"a": None}], [{"a": []}]) == ["a: list in place of NoneType"]
