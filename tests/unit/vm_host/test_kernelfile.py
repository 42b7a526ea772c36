"""A file is a kernel, or one clear line says why not."""

import platform
import struct

import pytest

from proa.errors import InvalidRequest
from proa.hull.vm import kernelfile

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="the samples are x86_64's")


def bzimage(version=b"6.1.0-99-cloud-amd64 (someone@here) #1", size=2 << 20):
    data = bytearray(size)
    data[0x202:0x206] = b"HdrS"
    struct.pack_into("<H", data, 0x20E, 0x1000)
    data[0x1200 : 0x1200 + len(version)] = version
    return bytes(data)


def test_a_bzimage_says_its_version(tmp_path):
    path = tmp_path / "vmlinuz"
    path.write_bytes(bzimage())
    assert kernelfile.check(str(path)) == kernelfile.KernelFile("bzImage", "6.1.0-99-cloud-amd64")


def test_a_vmlinux_says_its_version(tmp_path):
    head = bytearray(64)
    head[:6] = b"\x7fELF\x02\x01"
    struct.pack_into("<H", head, 18, 0x3E)
    struct.pack_into("<HH", head, 54, 56, 0)
    path = tmp_path / "vmlinux"
    path.write_bytes(bytes(head) + bytes(2 << 20) + b"Linux version 6.12.1-cloud (x) \0")
    assert kernelfile.check(str(path)) == kernelfile.KernelFile("vmlinux", "6.12.1-cloud")


WRONG = {
    "nothing": b"",
    "text": b"hello\n" * 300_000,
    "too short": bzimage(size=0x2000),
    "another machine's": b"\0" * 56 + b"ARM\x64" + bytes(2 << 20),
    "elf, but no kernel": b"\x7fELF\x02\x01" + bytes(2 << 20),
}


@pytest.mark.parametrize("kind", WRONG)
def test_what_is_no_kernel(tmp_path, kind):
    path = tmp_path / "file"
    path.write_bytes(WRONG[kind])
    with pytest.raises(InvalidRequest) as refused:
        kernelfile.check(str(path))
    assert refused.value.code == "not-a-kernel"
    assert str(path) in refused.value.what
    assert "\n" not in refused.value.what


def test_a_program_is_no_kernel():
    with pytest.raises(InvalidRequest, match="program"):
        kernelfile.check("/usr/bin/python3")


@pytest.mark.parametrize("path", ["/nonexistent", "/tmp"])
def test_what_cannot_be_read(path):
    with pytest.raises(InvalidRequest, match="cannot be read"):
        kernelfile.check(path)
