"""An engine whose hull is a table: no process, no mount. Programs end when a test says so."""

from __future__ import annotations

import asyncio
import io
import os
import tarfile
import time
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

from proa.dockerapi.containers import CreateBody
from proa.dockerapi.decode import decode, encode
from proa.engine.hulls import Way
from proa.engine.wiring import Engine
from proa.hull.contract import Attachment, Exit, Needs, Refused
from proa.places import Places
from proa.rootfs.contract import Root


class FakeSpawner:
    """Always there."""

    findings = {"container": None, "may": {"mknod": True, "mount": True, "setuid": True}}

    async def start(self) -> None: ...

    async def close(self) -> None: ...


class FakeHandle:
    """A container of the fake hull."""

    def __init__(self, bundle: dict[str, Any]) -> None:
        self.bundle = bundle
        self.id: str = bundle["id"]
        self.pid = 0
        self.status = "created"
        self.started = 0
        self.facts: dict[str, Any] = {"Fake": True}
        self.execs: dict[str, dict[str, Any]] = {}
        self.exit: asyncio.Future[Exit] = asyncio.get_running_loop().create_future()
        self.signals: list[int] = []
        self.attached: list[tuple[str, Attachment, int]] = []

    def end(self, status: int, *, oom: bool = False) -> None:
        """The program ends."""
        self.status = "exited"
        if not self.exit.done():
            self.exit.set_result(Exit(status, oom, time.time_ns(), started=self.started))


class FakeHull:
    """``contract.Hull``; ``refuse`` makes the next start fail, ``obeys`` says which signals end a program."""

    kind = "container"

    def __init__(self, listener: Any) -> None:
        self.listener = listener
        self.handles: dict[str, FakeHandle] = {}
        self.deleted: list[str] = []
        self.refuse: Refused | None = None
        self.refuse_exec: Refused | None = None
        self.obeys = {9, 15}

    def needs(self) -> Needs:
        return Needs("mounts", "namespace")

    async def create(self, bundle: Any) -> FakeHandle:
        self.handles[bundle["id"]] = handle = FakeHandle(bundle)
        return handle

    async def adopt(self, id: str, run: str, socket: str) -> FakeHandle:
        return self.handles[id]

    async def start(self, handle: FakeHandle) -> None:
        if self.refuse is not None:
            raise self.refuse
        handle.pid, handle.status, handle.started = os.getpid(), "running", time.time_ns()

    async def attach(self, handle: FakeHandle, target: str, attachment: Attachment, fd: int) -> None:
        handle.attached.append((target, attachment, os.dup(fd)))

    async def exec(
        self, handle: FakeHandle, exec_id: str, process: Any, attachment: Attachment | None, fd: int | None
    ) -> int:
        if self.refuse_exec is not None:
            raise self.refuse_exec
        handle.execs[exec_id] = {"process": process, "attachment": attachment}
        return 77

    async def resize(self, handle: FakeHandle, target: str, height: int, width: int) -> None:
        handle.facts["size"] = (target, height, width)

    async def signal(self, handle: FakeHandle, target: str, signal: int) -> None:
        handle.signals.append(signal)
        if signal in self.obeys and handle.status != "paused":
            handle.end(128 + signal)

    async def wait(self, handle: FakeHandle) -> Exit:
        return await asyncio.shield(handle.exit)

    async def freeze(self, handle: FakeHandle, frozen: bool) -> None:
        handle.status = "paused" if frozen else "running"
        if not frozen and 9 in handle.signals:
            handle.end(137)

    async def delete(self, handle: FakeHandle) -> None:
        self.deleted.append(handle.id)
        handle.end(137)


class FakeRootfs:
    """Directories only."""

    form = "mounts"

    def unpack(self, record: Any) -> list[str]:
        return ["/layer"]

    def prepare(self, directory: str, base: list[str], *, volatile: bool = False) -> Root:
        os.makedirs(directory, exist_ok=True)
        return Root([], [])

    def remove(self, directory: str) -> None:
        for path, directories, files in os.walk(directory, topdown=False):
            for name in files:
                os.unlink(f"{path}/{name}")
            for name in directories:
                os.rmdir(f"{path}/{name}")
        os.rmdir(directory)


def fake_tar() -> bytes:
    """A root file system of one file."""
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as tar:
        info = tarfile.TarInfo("bin/true")
        info.mode = 0o755
        tar.addfile(info)
    return buffer.getvalue()


class Filters:
    """No libseccomp in unit tests."""

    async def path(self, record: Any) -> str:
        return ""


def make(root: Path, hull: FakeHull | None = None) -> tuple[Engine, FakeHull]:
    """An engine on ``root``; a hull given is one that "went on" while no engine was there."""
    made: list[FakeHull] = []

    def ways(listener: Any) -> Any:
        one = hull or FakeHull(listener)
        one.listener = listener
        made.append(one)
        return {"container": Way(one, 1)}  # type: ignore[arg-type]

    places = Places(f"{root}/state", f"{root}/run")
    engine = Engine(places, spawner=FakeSpawner(), ways=ways, rootfs={"mounts": FakeRootfs()})  # type: ignore[arg-type, dict-item]
    engine.launch._filters = Filters()  # type: ignore[assignment]
    return engine, made[0]


@asynccontextmanager
async def running(root: Path, *, image: bool = True) -> AsyncIterator[tuple[Engine, FakeHull]]:
    """An open engine with the image ``bb``."""
    engine, hull = make(root)
    await engine.open()
    if image:
        await import_image(engine)
    try:
        yield engine, hull
    finally:
        await engine.close()


async def import_image(engine: Engine, name: str = "bb") -> None:
    """Store the small image."""

    async def chunks() -> AsyncIterator[bytes]:
        yield fake_tar()

    await engine.images.import_tar(chunks(), name, changes=['CMD ["/bin/true"]'], message="", platform="")


def body(**fields: Any) -> CreateBody:
    """A create request."""
    host = fields.pop("HostConfig", {})
    return decode(encode({"Image": "bb", "HostConfig": {"NetworkMode": "none", **host}, **fields}), CreateBody)
