"""A small image made in Python: busybox, a few users, a few files that tests look at."""

from __future__ import annotations

import io
import os
import shutil
import subprocess
import tarfile
from pathlib import Path

from . import peers

PASSWD = """root:x:0:0:root:/root:/bin/sh
app:x:1000:1000:app:/home/app:/bin/sh
other:x:1001:1002::/home/other:/bin/sh
nobody:x:65534:65534:nobody:/nonexistent:/bin/false
"""
GROUP = "root:x:0:\napp:x:1000:\nothers:x:1002:\nextra:x:1003:app,other\nnogroup:x:65534:\n"
SCRIPT = '#!/bin/sh\necho script "$@"\n'


def busybox() -> Path:
    """Path of a static busybox: the host's, else fetched. Raises peers.Missing."""
    for path in ("/usr/bin/busybox", "/bin/busybox"):
        if os.access(path, os.X_OK) and b"statically" in _kind(path):
            return Path(path)
    return peers.fetch(("busybox-static",)) / "bin/busybox"


def _kind(path: str) -> bytes:
    """``statically`` if the ELF file has no interpreter."""
    head = Path(path).read_bytes()[:4096]
    return b"" if b"ld-linux" in head or b"ld-musl" in head else b"statically"


def applets(program: Path) -> list[str]:
    """The commands that this busybox has."""
    return subprocess.run([program, "--list"], check=True, capture_output=True, text=True).stdout.split()


def build(path: Path) -> Path:
    """Write the image's tar at ``path``."""
    program = busybox()
    with tarfile.open(path, "w", format=tarfile.PAX_FORMAT) as tar:
        for folder in ("bin", "dev", "etc", "home", "proc", "root", "sys", "usr", "usr/bin", "var"):
            _directory(tar, folder)
        _directory(tar, "home/app", mode=0o755, uid=1000, gid=1000)
        _directory(tar, "tmp", mode=0o1777)
        _directory(tar, "work")
        _file(tar, "bin/busybox", program.read_bytes(), 0o755)
        for name in applets(program):
            if name != "busybox":
                _link(tar, f"bin/{name}", "busybox")
        _file(tar, "etc/passwd", PASSWD.encode())
        _file(tar, "etc/group", GROUP.encode())
        _file(tar, "bin/script", SCRIPT.encode(), 0o755)
        _file(tar, "plain", b"not a program\n")
        _file(tar, "caf\udce9".encode("utf-8", "surrogateescape").decode("utf-8", "surrogateescape"), b"bytes\n")
    return path


def _add(tar: tarfile.TarFile, info: tarfile.TarInfo, data: bytes = b"") -> None:
    info.mtime = 1_700_000_000
    tar.addfile(info, io.BytesIO(data))


def _directory(tar: tarfile.TarFile, name: str, *, mode: int = 0o755, uid: int = 0, gid: int = 0) -> None:
    info = tarfile.TarInfo(name)
    info.type, info.mode, info.uid, info.gid = tarfile.DIRTYPE, mode, uid, gid
    _add(tar, info)


def _file(tar: tarfile.TarFile, name: str, data: bytes, mode: int = 0o644) -> None:
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(data), mode
    _add(tar, info, data)


def _link(tar: tarfile.TarFile, name: str, target: str) -> None:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = tarfile.SYMTYPE, target, 0o777
    _add(tar, info)


def debian(path: Path) -> Path:
    """A real Debian as one tar, made once and kept in the user's cache. Raises peers.Missing."""
    kept = peers.CACHE / "debian-minbase.tar"
    if not kept.exists():
        if not shutil.which("mmdebstrap"):
            raise peers.Missing("mmdebstrap is not installed")
        kept.parent.mkdir(parents=True, exist_ok=True)
        part = kept.with_suffix(f".{os.getpid()}.tar")
        done = subprocess.run(
            ["mmdebstrap", "--quiet", "--variant=minbase", "bookworm", str(part)], capture_output=True, text=True
        )
        if done.returncode:
            raise peers.Missing(f"mmdebstrap: {done.stderr.strip().splitlines()[-1:]}")
        part.rename(kept)
    path.unlink(missing_ok=True)
    path.symlink_to(kept)
    return path
