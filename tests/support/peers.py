"""Other engines to compare with, fetched as Debian packages into a private folder: nothing is installed.

dockerd runs in network and mount namespaces of its own, with every directory below one temporary folder and its
cgroups below a parent of ours, so that ending it leaves nothing. It starts with clean signals: what it inherits ignored
its containers have ignored.
"""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from . import signals

PACKAGES = ("docker.io", "containerd", "runc", "crun", "tini", "busybox-static", "libyajl2")
CACHE = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "proa-tests"


class Missing(Exception):
    """A peer cannot be had here; the text says why."""


def fetch(packages: tuple[str, ...] = PACKAGES) -> Path:
    """The folder that the packages are unpacked in; downloads them the first time. Raises Missing."""
    root = CACHE / "-".join(("peers", *packages))
    if (root / "complete").exists():
        return root
    if not shutil.which("apt-get"):
        raise Missing("no apt-get to fetch peers with")
    CACHE.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".new-", dir=CACHE))
    try:
        _download(packages, work)
        for package in work.glob("*.deb"):
            subprocess.run(["dpkg-deb", "-x", package, work], check=True)
            package.unlink()
        (work / "complete").touch()
        work.chmod(0o755)
        if root.exists():
            shutil.rmtree(root)
        work.rename(root)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    return root


def _download(packages: tuple[str, ...], into: Path) -> None:
    command = ["apt-get", "-qq", "download", *packages]
    done = subprocess.run(command, cwd=into, capture_output=True, text=True)
    if done.returncode and os.geteuid() == 0:
        subprocess.run(["apt-get", "-qq", "update"], check=False, capture_output=True)
        done = subprocess.run(command, cwd=into, capture_output=True, text=True)
    if done.returncode:
        raise Missing(f"apt-get download: {done.stderr.strip().splitlines()[-1:]}")


def tool(name: str) -> Path:
    """Path of a peer's program. Raises Missing."""
    root = fetch()
    for folder in ("usr/sbin", "usr/bin", "bin", "sbin"):
        if (root / folder / name).exists():
            return root / folder / name
    raise Missing(f"{name} is in none of {' '.join(PACKAGES)}")


def environment() -> dict[str, str]:
    """PATH and library path that start the peers' programs."""
    root = fetch()
    folders = [str(root / folder) for folder in ("usr/sbin", "usr/bin")]
    libraries = str(root / "usr/lib/x86_64-linux-gnu")
    return {
        **os.environ,
        "PATH": ":".join([*folders, os.environ.get("PATH", "/usr/bin:/bin"), "/usr/sbin", "/sbin"]),
        "LD_LIBRARY_PATH": libraries,
    }


@dataclass(frozen=True)
class Docker:
    """A running dockerd. ``command`` is Debian's client, pointed at it; ``pid`` dockerd's."""

    folder: Path
    socket: str
    command: list[str]
    env: dict[str, str]
    pid: int

    def run(self, *arguments: str, **options: object) -> subprocess.CompletedProcess[bytes]:
        """One command of the client, its output captured."""
        return subprocess.run([*self.command, *arguments], env=self.env, capture_output=True, **options)  # type: ignore[call-overload,no-any-return]


@contextmanager
def dockerd(image_tar: Path, image: str = "bb", deadline: float = 60) -> Iterator[Docker]:
    """A dockerd that has ``image`` imported, ended and removed afterwards. Raises Missing."""
    if os.geteuid() != 0:
        raise Missing("dockerd needs root")
    env = environment()
    folder = Path(tempfile.mkdtemp(prefix="proa-peer-"))
    parent = f"/{folder.name}"
    process = _start(folder, parent, env)
    try:
        socket = f"{folder}/docker.sock"
        docker = Docker(
            folder, socket, [str(tool("docker")), "-H", f"unix://{socket}"], _quiet(env, folder), process.pid
        )
        _await(docker, process, deadline)
        with image_tar.open("rb") as tar:
            assert docker.run("import", "-", image, stdin=tar).returncode == 0
        yield docker
        _remove_containers(docker)
    finally:
        _end(process)
        _tidy(folder, parent)


def _quiet(env: dict[str, str], folder: Path) -> dict[str, str]:
    """A client without the user's configuration."""
    return {**env, "DOCKER_CONFIG": str(folder / "client"), "HOME": str(folder)}


def _start(folder: Path, parent: str, env: dict[str, str]) -> subprocess.Popen[bytes]:
    (folder / "daemon.json").write_text("{}\n")
    arguments = [
        *("--data-root", folder / "data", "--exec-root", folder / "exec", "--pidfile", folder / "pid"),
        *("--config-file", folder / "daemon.json", "-H", f"unix://{folder}/docker.sock", "--cgroup-parent", parent),
        *("--iptables=false", "--ip6tables=false", "--bridge=none", "--storage-driver", "overlay2"),
    ]
    with (folder / "log").open("wb") as log:
        return subprocess.Popen(
            signals.clean(["unshare", "--net", "--mount", str(tool("dockerd")), *map(str, arguments)]),
            env=env,
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            start_new_session=True,
        )


def _await(docker: Docker, process: subprocess.Popen[bytes], deadline: float) -> None:
    end = time.monotonic() + deadline
    while docker.run("version").returncode:
        if process.poll() is not None or time.monotonic() > end:
            raise Missing("dockerd: " + " ".join((docker.folder / "log").read_text().splitlines()[-2:]))
        time.sleep(0.1)


def _remove_containers(docker: Docker) -> None:
    ids = docker.run("ps", "-aq").stdout.decode().split()
    if ids:
        docker.run("rm", "-f", *ids)


def _end(process: subprocess.Popen[bytes]) -> None:
    """dockerd ends its containerd itself when asked to."""
    process.send_signal(signal.SIGTERM)
    try:
        process.wait(20)
    except subprocess.TimeoutExpired:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()


def _tidy(folder: Path, parent: str) -> None:
    for controller in [Path("/sys/fs/cgroup"), *Path("/sys/fs/cgroup").glob("*")]:
        top = Path(f"{controller}{parent}")
        for directory in sorted((p for p in top.rglob("*") if p.is_dir()), reverse=True) if top.is_dir() else ():
            directory.rmdir()
        if top.is_dir():
            top.rmdir()
    shutil.rmtree(folder, ignore_errors=True)
