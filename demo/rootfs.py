"""A real Debian root file system as a tar: mmdebstrap where this user may, unpacked packages where he may not."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from pathlib import Path

SUITE = "bookworm"
FLOOR_PACKAGES = (
    "base-files base-passwd bash coreutils dash libc-bin libc6 libtinfo6 libselinux1 libpcre2-8-0 libgmp10 libacl1 "
    "libattr1 libssl3 procps libproc2-0 debianutils sed grep hostname"
).split()


def debian(folder: Path) -> Path:
    """``folder``/debian.tar, made once. Raises RuntimeError with one line when it cannot be made here."""
    target = folder / "debian.tar"
    if target.exists():
        return target
    folder.mkdir(parents=True, exist_ok=True)
    partial = folder / "debian.tar.part"
    if _by_mmdebstrap(partial) or _by_packages(partial):
        partial.rename(target)
        return target
    raise RuntimeError("no Debian root file system: neither mmdebstrap nor apt-get download works here")


def _by_mmdebstrap(target: Path) -> bool:
    """The minbase variant, with maintainer scripts run: needs root, or user namespaces."""
    if shutil.which("mmdebstrap") is None and os.geteuid() == 0 and shutil.which("apt-get"):
        _quiet(["apt-get", "update"])
        _quiet(["apt-get", "install", "-y", "--no-install-recommends", "mmdebstrap"])
    if shutil.which("mmdebstrap") is None:
        return False
    mode = "root" if os.geteuid() == 0 else "unshare"
    done = _quiet(["mmdebstrap", f"--mode={mode}", "--variant=minbase", "--format=tar", SUITE, str(target)])
    if not done:
        target.unlink(missing_ok=True)
    return done


def _by_packages(target: Path) -> bool:
    """The floor's way: the same packages, fetched by apt and unpacked, without their scripts."""
    if shutil.which("apt-get") is None or shutil.which("dpkg-deb") is None:
        return False
    with tempfile.TemporaryDirectory(prefix="proa-demo-") as name:
        root = Path(name, "root")
        for link, real in (("bin", "usr/bin"), ("sbin", "usr/sbin"), ("lib", "usr/lib"), ("lib64", "usr/lib64")):
            (root / real).mkdir(parents=True, exist_ok=True)
            (root / link).symlink_to(real)
        if not _quiet(["apt-get", "download", *FLOOR_PACKAGES], cwd=name):
            return False
        for package in sorted(Path(name).glob("*.deb")):
            if not _unpack(package, root):
                return False
        shell = root / "usr/bin/sh"
        if not shell.is_symlink():
            shell.symlink_to("dash")
        for directory in ("proc", "sys", "dev", "tmp"):
            (root / directory).mkdir(exist_ok=True)
        return _quiet(["tar", "-C", str(root), "--owner=0", "--group=0", "-cf", str(target), "."])


def _unpack(package: Path, root: Path) -> bool:
    """dpkg-deb's tar over the merged /usr: tar keeps the links that stand for directories."""
    stream = subprocess.Popen(["dpkg-deb", "--fsys-tarfile", package], stdout=subprocess.PIPE)
    done = subprocess.run(["tar", "-C", root, "-x", "--keep-directory-symlink", "--no-same-owner"], stdin=stream.stdout)
    return stream.wait() == 0 and done.returncode == 0


def _quiet(command: list[str], cwd: str | None = None) -> bool:
    env = {**os.environ, "DEBIAN_FRONTEND": "noninteractive"}
    done = subprocess.run(command, cwd=cwd, env=env, capture_output=True, stdin=subprocess.DEVNULL)
    return done.returncode == 0
