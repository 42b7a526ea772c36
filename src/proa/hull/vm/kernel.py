"""A Linux kernel as QEMU boots it fastest: the bare ELF image that lies compressed inside a distribution's bzImage.

Unpacking it once saves 0.2 to 0.4 s of every cold boot under emulation. Where the compressor is not at hand the bzImage
itself is booted. The layout is Documentation/arch/x86/boot.rst's.
"""

from __future__ import annotations

import ctypes
import hashlib
import lzma
import os
import struct
import zlib
from collections.abc import Callable
from typing import NamedTuple

from ...errors import InvalidRequest
from . import made

IMAGE_MAX = 256 << 20
UNPACKED_MAX = 1 << 30


class Kernel(NamedTuple):
    """``image``: what QEMU's -kernel gets; ``release``: as uname -r; ``digest``: sha256 of the file it came from."""

    image: str
    release: str
    digest: str


def prepare(path: str, cache: str) -> Kernel:
    """The kernel at ``path``, unpacked once into the directory ``cache``. Raises InvalidRequest: it is not a kernel.

    Read again only if the file was touched.
    """
    place = f"{cache}/latest.json"
    known = made.noted(place, [path])
    if known is not None and os.path.exists(known["result"][0]):
        return Kernel(*known["result"])
    os.makedirs(cache, mode=0o700, exist_ok=True)
    kernel = _prepare(path, cache)
    if kernel.image != path:
        made.note(place, [path], [path], kernel)
    return kernel


def _prepare(path: str, cache: str) -> Kernel:
    data = _read(path)
    release = release_of(data, path)
    digest = hashlib.sha256(data).hexdigest()
    target = f"{cache}/{digest[:24]}.vmlinux"
    if not os.path.exists(target):
        image = unpack(data)
        if not image:
            return Kernel(path, release, digest)
        _store(target, image)
    return Kernel(target, release, digest)


def release_of(data: bytes, path: str = "") -> str:
    """The release that a bzImage carries in its set-up header. Raises InvalidRequest."""
    if data[0x202:0x206] != b"HdrS":
        raise InvalidRequest(
            f"{path} is not a Linux kernel image (bzImage)",
            code="not-a-kernel",
            input=path,
            next_step="proa setup",
        )
    offset = struct.unpack_from("<H", data, 0x20E)[0] + 0x200
    return data[offset : data.find(b"\0", offset)].split(b" ")[0].decode("ascii", "replace")


def wants_signatures(path: str, version: str) -> bool:
    """Whether the kernel at ``path`` may refuse a module that is not signed: its configuration, which distributions
    put beside it, says that it does not."""
    try:
        with open(f"{os.path.dirname(path)}/config-{version}", "rb") as file:
            return b"\nCONFIG_MODULE_SIG_FORCE=y" in file.read(IMAGE_MAX)
    except OSError:
        return True


def unpack(data: bytes) -> bytes:
    """The ELF image inside a bzImage, or b"" if its compressor is not known here."""
    setup = data[0x1F1] or 4
    start, length = struct.unpack_from("<II", data, 0x248)
    start += (setup + 1) * 512
    payload = data[start : start + length]
    for magic, decompress in _COMPRESSORS:
        if payload.startswith(magic):
            image = decompress(payload)
            return image if image.startswith(b"\x7fELF") else b""
    return b""


def _gzip(payload: bytes) -> bytes:
    return zlib.decompressobj(31).decompress(payload, UNPACKED_MAX)


def _xz(payload: bytes) -> bytes:
    # the payload ends with the unpacked size in 4 bytes, which lzma.decompress would take for a second stream
    return lzma.LZMADecompressor().decompress(payload, UNPACKED_MAX)


def _lz4(payload: bytes) -> bytes:
    """LZ4's legacy frames: a magic number, then {size u32, block}, each block 8 MiB of output at most."""
    library = _liblz4()
    if library is None:
        return b""
    out, at, block = bytearray(), 4, ctypes.create_string_buffer(8 << 20)
    end = len(payload) - 4  # the unpacked size stands behind the blocks
    while at < end:
        size = struct.unpack_from("<I", payload, at)[0]
        count = library.LZ4_decompress_safe(payload[at + 4 : at + 4 + size], block, size, len(block))
        if count < 0:
            return b""
        out += memoryview(block)[:count]
        at += 4 + size
    return bytes(out)


def _liblz4() -> ctypes.CDLL | None:
    try:
        library = ctypes.CDLL("liblz4.so.1")
    except OSError:
        return None
    library.LZ4_decompress_safe.argtypes = [ctypes.c_char_p, ctypes.c_char_p, ctypes.c_int, ctypes.c_int]
    library.LZ4_decompress_safe.restype = ctypes.c_int
    return library


_COMPRESSORS: tuple[tuple[bytes, Callable[[bytes], bytes]], ...] = (
    (b"\x02\x21\x4c\x18", _lz4),
    (b"\x1f\x8b", _gzip),
    (b"\xfd7zXZ\0", _xz),
)


def _read(path: str) -> bytes:
    with open(path, "rb") as file:
        return file.read(IMAGE_MAX)


def _store(target: str, data: bytes) -> None:
    temporary = f"{target}.{os.getpid()}.tmp"
    try:
        with open(temporary, "wb") as file:
            file.write(data)
        os.chmod(temporary, 0o444)  # a jailed QEMU reads it as a user of its own
        os.rename(temporary, target)
    except BaseException:
        if os.path.exists(temporary):
            os.unlink(temporary)
        raise
