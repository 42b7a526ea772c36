"""Box: one engine of its own and the hull to run in, driven through its command as a person would.

The behaviour suite runs on each: ``container`` and ``vm`` (this machine's root or user), ``floor`` (a VM where
nothing is allowed), and ``docker``: the same tests judged by the engine whose behaviour they describe.
"""

from __future__ import annotations

import http.client
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from leaks import check

from . import peers

IMAGE = "bb"
TESTS = Path(__file__).parents[1]
FULL_ID = r"[0-9a-f]{64}"
SLOW = float(os.environ.get("PROA_TEST_SLOW") or 1)
"""How much longer things may take on this machine."""


@dataclass(frozen=True)
class Result:
    """How a command ended."""

    code: int
    out: bytes
    err: bytes

    @property
    def text(self) -> str:
        return self.out.decode("utf-8", "surrogateescape").strip()

    @property
    def error(self) -> str:
        return self.err.decode("utf-8", "surrogateescape").strip()

    @property
    def lines(self) -> list[str]:
        return self.text.splitlines()

    def ok(self) -> Result:
        """Itself, if the command succeeded."""
        assert self.code == 0, (self.code, self.error[-2000:], self.text[-2000:])
        return self


class UnixHTTP(http.client.HTTPConnection):
    """HTTP over a unix socket."""

    def __init__(self, path: str, timeout: float = 60) -> None:
        super().__init__("localhost", timeout=timeout)
        self.path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self.path)


@dataclass(frozen=True)
class Box:
    """``command`` starts the client; ``flags`` come behind ``run`` and ``create``; ``slow`` multiplies deadlines."""

    hull: str
    command: list[str]
    env: Mapping[str, str]
    flags: list[str]
    socket: str
    slow: float = 1
    root: Path | None = None
    extra: dict[str, Any] = field(default_factory=dict)

    @property
    def is_docker(self) -> bool:
        return self.hull == "docker"

    @property
    def is_vm(self) -> bool:
        return self.hull in ("vm", "floor")

    def cli(self, *arguments: str, input: bytes | None = None, timeout: float = 60, **env: str) -> Result:
        """One command, run to its end. Without ``input`` its stdin is /dev/null."""
        done = subprocess.run(
            [*self.command, *map(self._lent, arguments)],
            env={**self.env, **env},
            input=input,
            stdin=subprocess.DEVNULL if input is None else None,
            capture_output=True,
            timeout=timeout * self.slow,
        )
        return Result(done.returncode, done.stdout, done.stderr)

    def _lent(self, argument: str) -> str:
        """A file of the test's, where the floor's user can read it."""
        if self.hull != "floor" or not self.root or not ("/pytest-of-" in argument and os.path.isfile(argument)):
            return argument
        folder = self.root.parent.parent / "lent"
        folder.mkdir(mode=0o755, exist_ok=True)
        copy = shutil.copy(argument, folder / f"{len(os.listdir(folder))}-{os.path.basename(argument)}")
        os.chmod(copy, 0o644)
        return str(copy)

    def popen(self, *arguments: str, **options: Any) -> subprocess.Popen[bytes]:
        """One command, left running; pipes unless told otherwise."""
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE, "stderr": subprocess.PIPE}
        return subprocess.Popen([*self.command, *arguments], env=dict(self.env), **{**pipes, **options})

    def run(self, *arguments: str, **options: Any) -> Result:
        """``run --rm`` with this box's hull."""
        return self.cli("run", "--rm", *self.flags, *arguments, **options)

    def detached(self, *arguments: str) -> str:
        """``run -d``: the container's id."""
        return self.cli("run", "-d", *self.flags, *arguments).ok().text

    def create(self, *arguments: str) -> str:
        return self.cli("create", *self.flags, *arguments).ok().text

    def inspect(self, name: str, template: str) -> str:
        return self.cli("inspect", "--format", template, name).ok().text

    def wait(self, name: str) -> int:
        """The container's exit code, once it has ended."""
        return int(self.cli("wait", name).ok().text)

    def until(self, condition: Callable[[], object], seconds: float = 15) -> None:
        """Returns once ``condition`` is true; fails after a time that suits this hull."""
        end = time.monotonic() + seconds * self.slow
        while not condition():
            assert time.monotonic() < end, "it never happened"
            time.sleep(0.05)

    def api(self, method: str, path: str, body: object = None) -> tuple[int, Any]:
        """One request over the socket: the status, and the body as JSON (None if there is none)."""
        connection = UnixHTTP(self.socket, 60 * self.slow)
        try:
            data = None if body is None else json.dumps(body)
            connection.request(method, path, data, {"Content-Type": "application/json"} if data else {})
            response = connection.getresponse()
            text = response.read()
            return response.status, json.loads(text) if text.strip() else None
        finally:
            connection.close()

    def clean(self) -> None:
        """Remove every container."""
        ids = self.cli("ps", "-aq").text.split()
        if ids:
            self.cli("rm", "-f", *ids, timeout=120)


def command() -> list[str]:
    """The installed command beside this interpreter; else our program run from where the package lies."""
    beside = Path(sys.executable).parent / "proa"
    if beside.exists():
        return [str(beside)]
    from proa import program

    return program.argv("cli.main")


def clean_environment(**more: str) -> dict[str, str]:
    """The caller's, without what would point elsewhere."""
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("PROA_", "DOCKER_"))}
    return {**kept, **more}


@contextmanager
def proa(image_tar: Path, hull: str, *, run: Path | None = None) -> Iterator[Box]:
    """An engine below a directory of its own, ended with all its containers, and nothing left. Asserts on leaks.

    ``run``: where its RUN is to be.
    """
    if hull == "floor":
        with floor(image_tar) as box:
            yield box
        return
    root = Path(tempfile.mkdtemp(prefix="proa-"))
    if run:
        (root / "run").symlink_to(run)
    env = clean_environment(PROA_ROOT=str(root))
    if hull == "vm":
        _parts(env)
    flags = ["--isolation", "vm" if hull == "vm" else "process", "--network", "none"]
    with _engine(Box(hull, command(), env, flags, f"{root}/run/engine.sock", _slow(hull), root), image_tar) as box:
        yield box


@contextmanager
def floor(image_tar: Path) -> Iterator[Box]:
    """The same as a user who may nothing: he installs, starts and uses it, the filter loaded before the first Python.

    Raises Unplayable.
    """
    if os.geteuid() != 0:
        raise Unplayable("only root can play the floor")
    root = Path(tempfile.mkdtemp(prefix="proa-"))
    root.chmod(0o755)
    home = root / "home"
    _parts(clean_environment())
    launch = ["/usr/bin/python3", str(TESTS / "floor/launch.py"), "--uid", "65534", "--home", str(home), "--"]
    try:
        _install(launch, home)
        env = clean_environment(PROA_ROOT=f"{home}/p")
        flags = ["--isolation", "vm", "--network", "none"]
        socket_path = f"{home}/p/run/engine.sock"
        box = Box("floor", [*launch, f"{home}/v/bin/proa"], env, flags, socket_path, _slow("floor"), home / "p")
        image = shutil.copy(image_tar, root / "image.tar")
        os.chmod(image, 0o644)
        with _engine(box, Path(image)) as running:
            yield running
    finally:
        shutil.rmtree(root, ignore_errors=True)


class Unplayable(Exception):
    """Why a hull cannot be had here."""


def _parts(env: Mapping[str, str]) -> None:
    """``proa setup``: kernel and QEMU, fetched the first time. Raises Unplayable."""
    done = subprocess.run(
        [*command(), "setup", *([] if os.geteuid() == 0 else ["--user"])], env=env, capture_output=True, timeout=600
    )
    if done.returncode:
        raise Unplayable(f"proa setup: {done.stderr.decode().strip()[-300:]}")


def _install(launch: list[str], home: Path) -> None:
    """The built wheel, in a virtual environment made by that user; its dependencies as they are here."""
    wheels = sorted((TESTS.parent / "dist").glob("proa-*.whl"))
    if not wheels:
        raise Unplayable("no wheel in dist/: run make install")
    wheel = shutil.copy(wheels[-1], home.parent / wheels[-1].name)
    os.chmod(wheel, 0o644)
    steps = [
        ["/usr/bin/python3", "-m", "venv", f"{home}/v"],
        [f"{home}/v/bin/python", "-m", "pip", "--quiet", "install", "--no-deps", "--no-index", str(wheel)],
        ["sh", "-c", 'cp -r "$@" ' + f"{home}/v/lib/python3*/site-packages/", "sh", *map(str, _dependencies())],
    ]
    for step in steps:
        done = subprocess.run([*launch, *step], env=clean_environment(), cwd="/", capture_output=True, text=True)
        if done.returncode:
            raise Unplayable(f"{step[0]}: {done.stderr.strip()[-300:]}")


def _dependencies() -> list[Path]:
    """Folders of the packages that ours needs, as installed beside this interpreter."""
    import importlib.util

    found = []
    for name in ("click", "h11", "msgspec"):
        spec = importlib.util.find_spec(name)
        if not spec or not spec.origin:
            raise Unplayable(f"{name} is not installed here")
        found.append(Path(spec.origin).parent)
    return found


def _slow(hull: str) -> float:
    """How much longer things may take in this hull."""
    return (1 if hull == "container" else 6) * SLOW


@contextmanager
def _engine(box: Box, image_tar: Path) -> Iterator[Box]:
    """The engine's life: import, the test, end everything, look for leaks."""
    root = box.root
    assert root
    before = check.snapshot()
    engine_id = ""
    try:
        box.cli("import", str(image_tar), IMAGE, timeout=120).ok()
        engine_id = _engine_id(box)
        yield box
    finally:
        box.clean()
        box.cli("engine", "stop", "--all", timeout=60)
        left = _settled(before, [str(root), *([engine_id] if engine_id else [])])
        left += check.left_in_run(root / "run")
        shutil.rmtree(root, ignore_errors=True)
    assert [str(leak) for leak in left] == []


def _engine_id(box: Box) -> str:
    status, body = box.api("GET", "/proa/v1/engine")
    return str(body.get("Id", "")) if status == 200 and isinstance(body, dict) else ""


def _settled(before: check.Snapshot, marks: list[str], seconds: float = 3) -> list[check.Leak]:
    """What is left, after the kernel had a moment to take down namespaces."""
    end = time.monotonic() + seconds * SLOW
    while True:
        left = [leak for leak in check.leaks(before, check.snapshot(), marks) if leak.kind != "temporary"]
        if not left or time.monotonic() > end:
            return left
        time.sleep(0.1)


@contextmanager
def docker(image_tar: Path) -> Iterator[Box]:
    """dockerd in namespaces of its own."""
    with peers.dockerd(image_tar, IMAGE) as peer:
        yield Box("docker", peer.command, peer.env, ["--network", "none"], peer.socket, extra={"peer": peer})
