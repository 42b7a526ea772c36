"""Is this file a kernel that a VM can boot, and which one? Documentation/arch/x86/boot.rst, elf(5).

A wrong file given to QEMU ends in silence or in a guest that never speaks: it is refused here, with a sentence.
"""

from __future__ import annotations

import os
import platform
import re
import struct
from dataclasses import dataclass

from ...errors import InvalidRequest
from . import elf

_SETUP_MAGIC = 0x202  # "HdrS"
_VERSION_POINTER = 0x20E
_ARM64_MAGIC = 56
_BANNER = re.compile(rb"Linux version (\d+\.\d+[^ \0]*) ")


@dataclass(frozen=True, slots=True)
class KernelFile:
    """``format``: "bzImage", "vmlinux" or "Image"; ``version``: as uname -r gives it, "" if the file does not say."""

    format: str
    version: str


def check(path: str) -> KernelFile:
    """What kernel ``path`` is. Raises InvalidRequest (``not-a-kernel``), also for what cannot be read."""
    try:
        with open(path, "rb") as file:
            head = file.read(0x10000)
            size = os.fstat(file.fileno()).st_size
    except OSError as problem:
        raise _refuse(path, f"cannot be read: {problem.strerror}") from problem
    if size < 1 << 20:
        raise _refuse(path, f"is not a kernel: it has only {size} bytes")
    if head[_SETUP_MAGIC : _SETUP_MAGIC + 4] == b"HdrS":
        found = KernelFile("bzImage", _setup_version(head))
        expected = "x86_64"
    elif head[_ARM64_MAGIC : _ARM64_MAGIC + 4] == b"ARM\x64":
        found, expected = KernelFile("Image", ""), "aarch64"
    elif head[:4] == b"\x7fELF":
        found, expected = _vmlinux(path)
    else:
        raise _refuse(path, "is not a kernel: neither a bzImage nor a vmlinux")
    if expected != platform.machine():
        raise _refuse(path, f"is a kernel for {expected}; this host is {platform.machine()}")
    return found


def _vmlinux(path: str) -> tuple[KernelFile, str]:
    try:
        image = elf.read(path)
    except elf.NotElf as problem:
        raise _refuse(path, "is not a kernel: a damaged ELF file") from problem
    if image.interpreter or image.needed:
        raise _refuse(path, "is not a kernel: a program or a library")
    with open(path, "rb") as file:
        banner = _BANNER.search(file.read(128 << 20))
    if not banner:
        raise _refuse(path, "is not a Linux kernel: an ELF file without its banner")
    return KernelFile("vmlinux", banner[1].decode()), image.machine


def _setup_version(head: bytes) -> str:
    (pointer,) = struct.unpack_from("<H", head, _VERSION_POINTER)
    if not pointer:
        return ""
    start = pointer + 0x200
    return head[start : start + 256].split(b"\0")[0].split(b" ")[0].decode("ascii", "replace")


def _refuse(path: str, why: str) -> InvalidRequest:
    return InvalidRequest(f"{path} {why}", code="not-a-kernel", input=path, exit=125)
