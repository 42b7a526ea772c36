"""The header that we write is the one that QEMU reads: checked field by field, and by QEMU where it is."""

from __future__ import annotations

import shutil
import struct
import subprocess
from pathlib import Path

import pytest

from lab import qcow2


def test_header(tmp_path: Path) -> None:
    below = tmp_path / "below"
    data = qcow2.create(tmp_path / "top", below, "raw", 8 << 30).read_bytes()
    magic, version, name_at, name_length, bits, size = struct.unpack_from(">4sIQIIQ", data)
    assert (magic, version, bits, size) == (b"QFI\xfb", 3, 16, 8 << 30)
    assert data[name_at : name_at + name_length].decode() == str(below)
    assert len(data) == 4 * qcow2.CLUSTER


def test_qemu_takes_it(tmp_path: Path) -> None:
    if not shutil.which("qemu-system-x86_64"):
        pytest.skip("no QEMU here")
    below = tmp_path / "below"
    below.write_bytes(b"\0" * (1 << 20))
    middle = qcow2.create(tmp_path / "middle", below, "raw", 8 << 30)
    top = qcow2.create(tmp_path / "top", middle, "qcow2", 8 << 30)
    command = ["qemu-system-x86_64", "-M", "none", "-nodefaults", "-display", "none", "-monitor", "stdio"]
    done = subprocess.run(
        [*command, "-drive", f"if=none,id=d,file={top},format=qcow2"],
        input=b'info block\nqemu-io d "read 0 4k"\nqemu-io d "write 5G 64k"\nquit\n',
        capture_output=True,
        timeout=60,
    )
    assert done.returncode == 0, done.stderr
    assert b"read 4096/4096" in done.stdout and b"wrote 65536/65536" in done.stdout
    assert below.stat().st_size == 1 << 20
