"""Kernels: told from other files, unpacked from a bzImage once."""

from __future__ import annotations

import gzip
import lzma
import struct
from pathlib import Path

import pytest

from proa.errors import InvalidRequest
from proa.hull.vm import kernel

ELF = b"\x7fELF" + bytes(range(256)) * 40


def bzimage(payload: bytes, release: bytes = b"6.1.0-test (builder@host) #1") -> bytes:
    """A file laid out as Documentation/arch/x86/boot.rst says, with two sectors of set-up code."""
    image = bytearray(3 * 512)
    image[0x1F1] = 2
    image[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", image, 0x20E, 0x300 - 0x200)
    image[0x300 : 0x300 + len(release) + 1] = release + b"\0"
    struct.pack_into("<II", image, 0x248, 64, len(payload))
    return bytes(image) + bytes(64) + payload + bytes(32)


def size(data: bytes) -> bytes:
    return struct.pack("<I", len(data))


def lz4(data: bytes) -> bytes:
    """LZ4's legacy frame of one block of literals."""
    count, token = len(data) - 15, bytearray(b"\xf0")
    while count >= 255:
        token.append(255)
        count -= 255
    token.append(count)
    block = bytes(token) + data
    return b"\x02\x21\x4c\x18" + struct.pack("<I", len(block)) + block + size(data)


@pytest.mark.parametrize(
    "payload", [gzip.compress(ELF) + size(ELF), lzma.compress(ELF) + size(ELF), lz4(ELF)], ids=["gzip", "xz", "lz4"]
)
def test_the_elf_image_is_unpacked_once(tmp_path: Path, payload: bytes) -> None:
    if payload.startswith(b"\x02") and kernel._liblz4() is None:
        pytest.skip("this host has no liblz4")
    path = tmp_path / "vmlinuz"
    path.write_bytes(bzimage(payload))
    found = kernel.prepare(str(path), str(tmp_path / "cache"))
    assert Path(found.image).read_bytes() == ELF
    assert found.release == "6.1.0-test"
    before = Path(found.image).stat().st_mtime_ns
    assert kernel.prepare(str(path), str(tmp_path / "cache")) == found
    assert Path(found.image).stat().st_mtime_ns == before
    assert Path(found.image).stat().st_mode & 0o777 == 0o444


def test_a_kernel_is_read_again_once_it_was_touched(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path, cache = tmp_path / "vmlinuz", str(tmp_path / "cache")
    path.write_bytes(bzimage(gzip.compress(ELF) + size(ELF)))
    read: list[str] = []
    real = kernel._read
    monkeypatch.setattr(kernel, "_read", lambda path: read.append(path) or real(path))
    first = kernel.prepare(str(path), cache)
    assert kernel.prepare(str(path), cache) == first and len(read) == 1
    path.write_bytes(bzimage(gzip.compress(ELF + b"2") + size(ELF + b"2")))
    assert kernel.prepare(str(path), cache).digest != first.digest
    Path(kernel.prepare(str(path), cache).image).unlink()
    assert Path(kernel.prepare(str(path), cache).image).exists()


def test_an_unknown_compressor_leaves_the_bzimage(tmp_path: Path) -> None:
    path = tmp_path / "vmlinuz"
    path.write_bytes(bzimage(b"\x28\xb5\x2f\xfdzstd"))
    assert kernel.prepare(str(path), str(tmp_path / "cache")).image == str(path)


@pytest.mark.parametrize("data", [b"", b"#!/bin/sh\n", ELF])
def test_another_file_is_refused_with_words(tmp_path: Path, data: bytes) -> None:
    path = tmp_path / "notes.txt"
    path.write_bytes(data)
    with pytest.raises(InvalidRequest, match="not a Linux kernel") as raised:
        kernel.prepare(str(path), str(tmp_path))
    assert raised.value.code == "not-a-kernel"


@pytest.mark.parametrize(
    ("config", "wanted"),
    [
        ("\nCONFIG_MODULE_SIG=y\n# CONFIG_MODULE_SIG_FORCE is not set\n", False),
        ("\nCONFIG_MODULE_SIG_FORCE=y\n", True),
        (None, True),
    ],
)
def test_modules_stay_signed_unless_the_kernel_does_without(tmp_path: Path, config: str | None, wanted: bool) -> None:
    if config is not None:
        (tmp_path / "config-6.1").write_text(config)
    assert kernel.wants_signatures(str(tmp_path / "vmlinuz-6.1"), "6.1") is wanted
