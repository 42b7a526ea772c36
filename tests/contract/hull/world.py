"""What a contract test of a hull stands on: a busybox root, bundles, an engine's side and its spawner."""

from __future__ import annotations

import asyncio
import io
import os
import shutil
import signal
import socket
import tarfile
import tempfile
import time
import uuid
from collections.abc import Awaitable, Callable
from contextlib import suppress
from pathlib import Path
from typing import Any

from proa.cgroup import choose
from proa.dockerapi.frames import Demultiplexer
from proa.hull.container import ContainerHull
from proa.hull.contract import Attachment, Exit, Handle, Hull
from proa.hull.spawn import Spawner
from proa.hull.vm import parts
from proa.hull.vm.hull import VmHull
from proa.places import Places
from proa.rootfs.block import Block
from proa.ship.archive import import_tar
from support import image

PATIENCE = float(os.environ.get("PROA_TEST_PATIENCE", "120"))
ALL = Attachment(stdin=False, stdout=True, stderr=True, logs=False, stream=True, mux=True)
WITH_STDIN = Attachment(stdin=True, stdout=True, stderr=True, logs=False, stream=True, mux=True)


class World:
    """One temporary PROA_ROOT and everything in it. ``run`` a coroutine; ``close`` leaves nothing."""

    kind = "container"
    mutate = ""
    """A method of the hull that does nothing: contract/mutate proves that this is noticed."""

    def __init__(self, state: str = "") -> None:
        """``state``: a STATE that several worlds share; what is made in it for one container is removed."""
        self.directory = tempfile.mkdtemp(prefix="proa-", dir="/tmp")
        self.places = Places(state or f"{self.directory}/state", f"{self.directory}/run")
        self.lower = f"{self.directory}/lower"
        self.heard: list[dict[str, Any]] = []
        self.hull: Hull
        self.spawner: Spawner
        self.handles: list[Handle] = []
        self.clients: list[Client] = []
        self.made: list[str] = []
        self.engine = os.urandom(4).hex()  # several of these may run at once
        self.cgroup = choose.detect(f"proa-{self.engine}")
        _make_root(self.lower)
        os.makedirs(self.places.run)
        self.prepare()

    def run(self, test: Callable[[], Awaitable[None]], *, patience: float = PATIENCE) -> None:
        """Run a test in an event loop with a fresh spawner and hull; everything it started is ended after."""

        async def whole() -> None:
            await self.open()
            try:
                await asyncio.wait_for(test(), patience)
            finally:
                for handle in self.handles:
                    await type(self.hull).delete(self.hull, handle)  # the real one, whatever is mutated
                self.hull.close()  # type: ignore[attr-defined]  # not the contract's: what an engine does at its end
                await self.spawner.close()
                for client in self.clients:
                    client.socket.close()

        asyncio.run(whole())

    async def open(self) -> None:
        """A (new) engine's side."""
        self.spawner = Spawner(self.places)
        await self.spawner.start()
        self.hull = self.make_hull(lambda handle, message: self.heard.append(message))
        if self.mutate:
            setattr(self.hull, self.mutate, _nothing if self.mutate == "needs" else _nothing_soon)

    def prepare(self) -> None:
        """What all containers of this world need."""

    def make_hull(self, listener: Any) -> Hull:
        return ContainerHull(self.places, self.spawner, listener)

    def root(self, directory: str) -> dict[str, Any]:
        """A root for one container: the bundle's ``root``, ``disks``."""
        for name in ("upper", "work", "root"):
            os.makedirs(f"{directory}/{name}")
        options = [f"lowerdir={self.lower}", f"upperdir={directory}/upper", f"workdir={directory}/work"]
        place = f"{directory}/root"
        return {
            "root": [{"destination": place, "type": "overlay", "source": "overlay", "options": options}],
            "disks": [],
        }

    def close(self) -> None:
        if self.mutate:
            self._end_rest()
        for directory in self.made:
            shutil.rmtree(directory, ignore_errors=True)
        shutil.rmtree(self.directory)
        choose.forget(self.cgroup)

    def _end_rest(self) -> None:
        """What a method that did nothing has left: its processes end, and with them their shims, who clear away."""
        groups = [group for top in self.cgroups() for group in Path(top).glob("*/cgroup.procs")]
        for pid in {int(word) for group in groups for word in group.read_text().split()}:
            with suppress(ProcessLookupError):
                os.kill(pid, signal.SIGKILL)
        end = time.monotonic() + 10
        while any(group.parent.exists() for group in groups) and time.monotonic() < end:
            for group in groups:
                with suppress(OSError):
                    group.parent.rmdir()
            time.sleep(0.02)

    def bundle(self, *args: str, **changes: Any) -> dict[str, Any]:
        """A bundle that runs ``args`` in the busybox root. ``changes``: keys of stdio, or of the spec's process."""
        return make_bundle(self, list(args), **changes)

    async def create(self, *args: str, **changes: Any) -> Handle:
        handle = await self.hull.create(self.bundle(*args, **changes))  # type: ignore[arg-type]
        self.handles.append(handle)
        return handle

    async def start(self, *args: str, **changes: Any) -> Handle:
        handle = await self.create(*args, **changes)
        await self.hull.start(handle)
        return handle

    async def output(self, *args: str, **changes: Any) -> tuple[Exit, bytes, bytes]:
        """Run to the end with a client attached: (exit, stdout, stderr)."""
        handle = await self.create(*args, **changes)
        client = await self.attach(handle)
        await self.hull.start(handle)
        out, err = await client.everything()
        return await self.hull.wait(handle), out, err

    async def attach(self, handle: Handle, attachment: Attachment = ALL, target: str = "") -> Client:
        ours, theirs = socket.socketpair()
        with theirs:
            await self.hull.attach(handle, target, attachment, theirs.fileno())
        return self._client(Client(ours, attachment.mux))

    async def exec(self, handle: Handle, *args: str, attachment: Attachment = ALL, **process: Any) -> Client:
        ours, theirs = socket.socketpair()
        name = uuid.uuid4().hex
        try:
            await self.hull.exec(handle, name, make_process(list(args), **process), attachment, theirs.fileno())
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        return self._client(Client(ours, attachment.mux, name))

    def _client(self, client: Client) -> Client:
        self.clients.append(client)
        return client

    async def until(self, told: Callable[[], bool], patience: float = 60) -> None:
        async with asyncio.timeout(patience):
            while not told():
                await asyncio.sleep(0.005)

    def cgroups(self) -> list[str]:
        """The directories in which our groups are."""
        return [f"{base}/{self.cgroup['parent']}" for base in self.cgroup["mounts"].values()]

    def ops(self) -> list[str]:
        return [message["op"] for message in self.heard]


def _nothing(*_args: Any) -> None:
    """Instead of a method, when the suite itself is on trial."""


async def _nothing_soon(*_args: Any) -> None:
    """The same where it is awaited."""


class VmWorld(World):
    """The same as virtual machines. Raises HostCannot where a part is missing."""

    kind = "vm"

    def prepare(self) -> None:
        parts.find_qemu(self.places)
        parts.find_kernel(self.places)
        tar = io.BytesIO()
        with tarfile.open(fileobj=tar, mode="w") as archive:
            archive.add(self.lower, ".")
        tar.seek(0)
        self._block = Block(self.places)
        self._base = self._block.unpack(import_tar(tar, self.places))

    def make_hull(self, listener: Any) -> Hull:
        return VmHull(self.places, self.spawner, listener)

    def root(self, directory: str) -> dict[str, Any]:
        root = self._block.prepare(directory, self._base, volatile=True)
        return {"root": [], "disks": root.disks, "volatile": True}


WORLDS = {"container": World, "vm": VmWorld}


class Client:
    """The other end of an attached socket."""

    def __init__(self, sock: socket.socket, mux: bool, target: str = "") -> None:
        sock.setblocking(False)
        self.socket = sock
        self.target = target
        self._frames = Demultiplexer() if mux else None

    async def read(self) -> list[tuple[int, bytes]] | None:
        """The next pieces, None at the end."""
        data = await asyncio.get_running_loop().sock_recv(self.socket, 1 << 16)
        if not data:
            return None
        return self._frames.feed(data) if self._frames else [(1, data)]

    async def everything(self) -> tuple[bytes, bytes]:
        out: dict[int, list[bytes]] = {1: [], 2: []}
        while (pieces := await self.read()) is not None:
            for stream, data in pieces:
                out[stream].append(data)
        self.socket.close()
        return b"".join(out[1]), b"".join(out[2])

    async def until(self, text: bytes) -> bytes:
        """Read stdout until ``text`` has come."""
        said = b""
        while text not in said:
            pieces = await self.read()
            assert pieces is not None, f"ended after {said!r}"
            said += b"".join(data for _, data in pieces)
        return said

    async def send(self, data: bytes) -> None:
        await asyncio.get_running_loop().sock_sendall(self.socket, data)

    def end(self) -> None:
        self.socket.shutdown(socket.SHUT_WR)


def make_process(args: list[str], **changes: Any) -> dict[str, Any]:
    from proa.runtime import defaults

    return {
        "args": args,
        "cwd": "/",
        "user": {"uid": 0, "gid": 0},
        "env": ["PATH=/bin", "HOME=/root"],
        "terminal": False,
        "capabilities": dict.fromkeys(("bounding", "effective", "permitted"), defaults.CAPABILITIES),
        **changes,
    }


def make_bundle(world: World, args: list[str], **changes: Any) -> dict[str, Any]:
    from proa.runtime import defaults

    id = uuid.uuid4().hex * 2
    directory = world.places.container(id)
    world.made.append(directory)
    root = world.root(directory)
    stdio = {
        "terminal": bool(changes.pop("terminal", False)),
        "stdin": bool(changes.pop("stdin", False)),
        "stdin_once": bool(changes.pop("stdin_once", True)),
        "detach_keys": "",
        "log": changes.pop("log", {"path": f"{directory}/{id}-json.log", "max_size": 10 << 20, "max_file": 5}),
    }
    resources = changes.pop("resources", {})
    init = bool(changes.pop("init", False))
    cgroup = world.cgroup
    process = make_process(args, **changes)
    process["terminal"] = stdio["terminal"]
    spec = {
        "ociVersion": "1.2.0",
        "process": process,
        "root": {"path": f"{directory}/root"},
        "hostname": id[:12],
        "mounts": defaults.mounts(2 if world.kind == "vm" else cgroup["version"]),
        "linux": {
            "namespaces": [{"type": kind} for kind in ("pid", "mount", "uts", "ipc", "network", "cgroup")],
            "maskedPaths": defaults.MASKED,
            "readonlyPaths": defaults.READONLY,
            "resources": {"devices": defaults.DEVICE_RULES, **resources},
        },
    }
    return {
        "protocol": 1,
        "id": id,
        "kind": world.kind,
        "engine": world.engine,
        "directory": directory,
        "run": world.places.container_run(id),
        "socket": world.places.shim_socket(id[:16]),
        "spec": spec,
        **root,
        "stdio": stdio,
        "cgroup": cgroup,
        "may": {"mknod": True, "mount": True, "cgroup": bool(cgroup["version"]), "setuid": True},
        "seccomp": "",
        "init": init,
        "nofile": [1024, 4096],
        "fds": [],
    }


def _make_root(path: str) -> None:
    for name in ("bin", "etc", "proc", "sys", "dev", "tmp", "root", "run"):
        os.makedirs(f"{path}/{name}")
    shutil.copy(image.busybox(), f"{path}/bin/busybox")
    for name in APPLETS:
        os.symlink("busybox", f"{path}/bin/{name}")
    with open(f"{path}/etc/passwd", "w") as file:
        file.write("root:x:0:0:root:/root:/bin/sh\nuser:x:1000:1000:user:/tmp:/bin/sh\n")
    with open(f"{path}/etc/group", "w") as file:
        file.write("root:x:0:\nuser:x:1000:\n")
    os.chmod(f"{path}/tmp", 0o1777)


APPLETS = (
    "cat cut dd echo env false grep head id kill ls mount printf ps sh sha256sum sleep stty tail true tty usleep wc yes"
).split()
