"""The lab's two saves, and fresh machines from the second.

    booted    Debian after its boot, before anything of ours; kept in the user's cache beside the disk
    session   that, with this checkout's wheel installed; kept too, the last few

A machine of a test file is the session restored, with this checkout's tests plugged: less than a second, and nothing of
the file before it is there.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from pathlib import Path

from . import disk as disks
from . import machine as machines
from .agent import Silent
from .disk import CACHE, HERE, ROOT, Disk
from .machine import Lost, Machine, Parts

PLUG = "/mnt/plug"
PYTHON = "/opt/lab/venv/bin/python"
ENVIRONMENT = {
    "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
    "HOME": "/root",
    "LANG": "C.UTF-8",
    "PYTHONPATH": f"{PLUG}/tests",
    "PYTHONPYCACHEPREFIX": "/var/cache/lab",
    "PROA_TEST_SLOW": "30",
}
PYTEST = [PYTHON, "-m", "pytest", "-q", "-p", "no:cacheprovider"]
KEPT = 3
"""Sessions."""
BOOT = 1800
"""Seconds that a boot, or what is done in a session, may take on a loaded machine; 30 are usual."""


@dataclass(frozen=True)
class Save:
    """A machine at one moment. ``folder`` has ram, state and disk.qcow2, which nobody writes any more."""

    folder: Path
    disk: Disk

    def parts(self, work: Path, plug: Path, *, saving: bool = False) -> Parts:
        """Of a machine that goes on from here and writes below ``work`` only."""
        overlay = machines.overlay(work / "disk.qcow2", self.folder / "disk.qcow2", "qcow2")
        ram = work / "ram" if saving else self.folder / "ram"
        if saving:
            machines.copy_sparse(self.folder / "ram", ram)
        return Parts(self.disk, overlay, plug, ram, work / "serial.log", self.folder / "state", saving)


def booted() -> Save:
    """The first save, made if the cache has none that fits. Raises peers.Missing, Lost."""
    disk = disks.have()
    folder = CACHE / f"booted-{disk.folder.name[-16:]}-{_key(disk)}"
    with _made(folder) as work:
        if work:
            _boot(disk, work)
    return Save(folder, disk)


def session() -> Save:
    """The second save, made if the cache has none for this wheel. Raises peers.Missing, Lost."""
    first = booted()
    wheel = _wheel()
    steps = (HERE / "guest/session.sh").read_bytes()
    key = hashlib.sha256(first.folder.name.encode() + wheel.read_bytes() + steps).hexdigest()[:16]
    folder = CACHE / f"session-{key}"
    with _made(folder) as work:
        if work:
            with _plugged() as plug, _running(first.parts(work, plug, saving=True)) as machine:
                _plug(machine)
                machine.agent.run(f"{PLUG}/tests/lab/guest/session.sh", seconds=BOOT, **ENVIRONMENT)
                machine.agent.run("umount", PLUG)
                machine.save(work / "state")
    _keep_last(KEPT)
    return Save(folder, first.disk)


@contextmanager
def _made(folder: Path) -> Iterator[Path | None]:
    """A new folder, to be filled and then put in the cache under that name; None if it is there already."""
    if (folder / "complete").exists():
        os.utime(folder)
        yield None
        return
    work = Path(tempfile.mkdtemp(prefix=".new-", dir=CACHE))
    try:
        yield work
        (work / "complete").touch()
        shutil.rmtree(folder, ignore_errors=True)
        work.rename(folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)


def _keep_last(count: int) -> None:
    """Older sessions go: each is half a gigabyte."""
    found = sorted(CACHE.glob("session-*"), key=lambda path: path.stat().st_mtime)
    for folder in found[:-count]:
        shutil.rmtree(folder, ignore_errors=True)


def _key(disk: Disk) -> str:
    """A save fits one QEMU and one command line."""
    here = Path()
    line = machines.arguments(Parts(disk, here, here, here, here), 0, 0)
    return hashlib.sha256("\0".join([machines.version(), *line]).encode()).hexdigest()[:8]


def _boot(disk: Disk, work: Path) -> None:
    overlay = machines.overlay(work / "disk.qcow2", disk.image, "raw")
    plug = work / "plug"
    with plug.open("wb") as file:
        file.truncate(machines.PLUG_SIZE)
    with _running(Parts(disk, overlay, plug, work / "ram", work / "serial.log")) as machine:
        machine.agent.hello(BOOT)
        machine.agent.set_clock()
        machine.agent.run("sh", "-c", f"{PYTHON} -m pytest --version; sync; systemctl --failed", **ENVIRONMENT)
        machine.save(work / "state")


@contextmanager
def _running(parts: Parts) -> Iterator[Machine]:
    machine = Machine.start(parts)
    try:
        yield machine
    except (OSError, Silent) as problem:
        raise Lost(f"{problem}\n{machine.last_words()}") from problem
    finally:
        machine.end()


class Session:
    """Where fresh machines come from; everything of them is below one temporary folder."""

    def __init__(self) -> None:
        self._save = session()
        self._stack = ExitStack()
        self._folder = Path(self._stack.enter_context(tempfile.TemporaryDirectory(prefix="proa-lab-")))
        self._plug = self._stack.enter_context(_plugged())

    @contextmanager
    def machine(self) -> Iterator[Machine]:
        """A fresh one, with its clock set and the tests in PLUG; it ends with the block."""
        with tempfile.TemporaryDirectory(prefix="machine-", dir=self._folder) as name:
            with _running(self._save.parts(Path(name), self._plug)) as machine:
                _plug(machine)
                yield machine

    def end(self) -> None:
        self._stack.close()


def _plug(machine: Machine) -> None:
    machine.agent.set_clock()
    machine.agent.run("mount", "-o", "ro,noload", "/dev/vdb", PLUG)


@contextmanager
def _plugged() -> Iterator[Path]:
    with tempfile.TemporaryDirectory(prefix="proa-lab-") as name:
        yield build_plug(Path(name) / "plug", _wheel())


def _wheel() -> Path:
    wheels = sorted((ROOT / "dist").glob("proa-*.whl"), key=lambda path: path.stat().st_mtime)
    if not wheels:
        raise Lost("no wheel in dist/: run make install")
    return wheels[-1]


def build_plug(path: Path, wheel: Path) -> Path:
    """A read-only disk of the fixed size with the wheel and the tests, as they lie in a checkout."""
    with tempfile.TemporaryDirectory(prefix="proa-lab-") as name:
        top = Path(name)
        shutil.copytree(ROOT / "tests", top / "tests", ignore=shutil.ignore_patterns("__pycache__"))
        shutil.copy(ROOT / "pyproject.toml", top)
        (top / "dist").mkdir()
        shutil.copy(wheel, top / "dist")
        top.chmod(0o755)
        command = ["mke2fs", "-q", "-t", "ext4", "-O", "^has_journal", "-d", str(top), str(path)]
        size = f"{machines.PLUG_SIZE >> 20}M"
        subprocess.run([*command, size], check=True, capture_output=True, env={"PATH": "/usr/sbin:/sbin:/usr/bin:/bin"})
    return path
