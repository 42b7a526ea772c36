"""The lab's disk: a plain Debian 12 with systemd, built by mmdebstrap and kept in the user's cache.

Kept under a hash of what it is made of and the week, so that it follows Debian's updates without being built each day.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import subprocess
import tempfile
import time
from dataclasses import dataclass
from pathlib import Path

from support import peers

CACHE = peers.CACHE / "lab"
HERE = Path(__file__).parent
ROOT = HERE.parents[1]
SUITE = "bookworm"
PACKAGES = (
    *("linux-image-cloud-amd64", "initramfs-tools", "zstd", "kmod", "udev"),
    *("systemd-sysv", "dbus", "dbus-user-session", "libpam-systemd", "apparmor", "nftables", "iproute2", "procps"),
    *("uidmap", "runc", "crun", "podman", "busybox-static", "python3", "python3-venv", "passt", "psmisc", "strace"),
    *("qemu-system-x86", "e2fsprogs", "squashfs-tools", "util-linux-extra", "less", "vim-tiny"),
)
NEEDED = ("click", "h11", "msgspec", "pytest", "iniconfig", "packaging", "pluggy", "pygments", "pexpect", "ptyprocess")
"""Python packages inside: what ours needs, and what its tests do; versions and hashes as in the lock files."""
SIZE = 8 << 30
"""Bytes; sparse."""
FURNISH = [HERE / "guest" / name for name in ("agent.py", "proa-lab.service", "furnish.sh")]


@dataclass(frozen=True)
class Disk:
    """``image``: an ext4 file system without a partition table; ``kernel`` and ``initrd``: copied out of it."""

    folder: Path

    @property
    def image(self) -> Path:
        return self.folder / "disk.ext4"

    @property
    def kernel(self) -> Path:
        return self.folder / "vmlinuz"

    @property
    def initrd(self) -> Path:
        return self.folder / "initrd"


def have() -> Disk:
    """The disk of this week, built if it is not there (about a minute). Raises peers.Missing."""
    disk = Disk(CACHE / f"disk-{_key()}")
    if (disk.folder / "complete").exists():
        return disk
    if os.geteuid() != 0:
        raise peers.Missing("the lab's disk is built as root")
    for program in ("mmdebstrap", "mke2fs"):
        if not shutil.which(program, path=f"{os.environ['PATH']}:/usr/sbin:/sbin"):
            raise peers.Missing(f"{program} is not installed")
    CACHE.mkdir(parents=True, exist_ok=True)
    work = Path(tempfile.mkdtemp(prefix=".new-", dir=CACHE))
    try:
        _build(work)
        (work / "complete").touch()
        shutil.rmtree(disk.folder, ignore_errors=True)
        work.rename(disk.folder)
    finally:
        shutil.rmtree(work, ignore_errors=True)
    _forget_old()
    return disk


def _key() -> str:
    week = time.strftime("%G-%V", time.gmtime())
    parts = [SUITE, f"{SIZE >> 30}G", week, *PACKAGES, _requirements(), *(path.read_text() for path in FURNISH)]
    return hashlib.sha256("\0".join(parts).encode()).hexdigest()[:16]


def _build(work: Path) -> None:
    wheels = _wheels(work / "wheels")
    root = work / "root"
    hook = f'"{HERE}/guest/furnish.sh" "$1" "{HERE}/guest" "{wheels}"'
    options = ["--quiet", "--variant=important", f"--include={','.join(PACKAGES)}", f"--customize-hook={hook}"]
    _run(["mmdebstrap", *options, SUITE, str(root)])
    for name, pattern in (("vmlinuz", "vmlinuz-*"), ("initrd", "initrd.img-*")):
        shutil.copy(sorted((root / "boot").glob(pattern))[-1], work / name)
    lazy = "lazy_itable_init=0,lazy_journal_init=0"
    _run(["mke2fs", "-q", "-t", "ext4", "-E", lazy, "-d", str(root), str(work / "disk.ext4"), f"{SIZE >> 20}M"])
    shutil.rmtree(root)
    shutil.rmtree(wheels)


def _requirements() -> str:
    """The locked lines of the packages that are wanted inside."""
    wanted: list[str] = []
    taken = False
    for line in (ROOT / "requirements-dev.lock").read_text().splitlines():
        if not line.startswith((" ", "#")):
            taken = line.partition("==")[0] in NEEDED
        if taken and not line.strip().startswith("#"):
            wanted.append(line)
    return "\n".join(wanted) + "\n"


def _wheels(into: Path) -> Path:
    """Their wheels for Debian's Python, whichever runs this."""
    into.mkdir()
    (into / "requirements.txt").write_text(_requirements())
    python = [str(ROOT / ".venv/bin/python"), "-m", "pip", "--quiet", "--disable-pip-version-check", "download"]
    target = ["--python-version", "3.11", "--only-binary=:all:", "--no-deps", "--require-hashes"]
    platforms = [f"--platform=manylinux{kind}_x86_64" for kind in ("_2_17", "2014", "_2_28")]
    _run([*python, *target, *platforms, "--dest", str(into), "-r", str(into / "requirements.txt")])
    return into


def _run(command: list[str]) -> None:
    done = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
    if done.returncode:
        raise peers.Missing(f"{command[0]}: {(done.stderr or done.stdout).strip()[-2000:]}")


def _forget_old(days: float = 21) -> None:
    """Remove what an older list or week left here."""
    for folder in CACHE.iterdir():
        if time.time() - folder.stat().st_mtime > days * 86400:
            shutil.rmtree(folder, ignore_errors=True)
