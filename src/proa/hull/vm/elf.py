"""Which files a dynamically linked program needs: elf(5) read just far enough, and ld.so(8)'s search order.

Nothing is executed (ldd(1) runs the program's own loader). For packing the guest's interpreter and for jailing QEMU.
"""

from __future__ import annotations

import functools
import glob
import mmap
import os
import struct
from collections.abc import Iterable, Iterator
from dataclasses import dataclass

_PT_LOAD, _PT_DYNAMIC, _PT_INTERP = 1, 2, 3
_DT_NEEDED, _DT_STRTAB, _DT_RPATH, _DT_RUNPATH = 1, 5, 15, 29
MACHINES = {0x03: "i386", 0x3E: "x86_64", 0xB7: "aarch64", 0xF3: "riscv64"}


class NotElf(ValueError):
    """The file is not a 64-bit little-endian ELF file."""


@dataclass(frozen=True, slots=True)
class Image:
    """What matters of one ELF file. ``interpreter`` is "" for libraries and static programs."""

    machine: str
    interpreter: str
    needed: tuple[str, ...]
    search: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Segment:
    kind: int
    offset: int
    address: int
    size: int


def read(path: str) -> Image:
    """Parse the headers of ``path``. Raises NotElf, OSError."""
    with open(path, "rb") as file:
        if os.fstat(file.fileno()).st_size < 64:
            raise NotElf(f"{path}: not an ELF file")
        with mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ) as data:
            try:
                return _parse(data, os.path.dirname(os.path.realpath(path)))
            except (struct.error, OverflowError, UnicodeDecodeError) as problem:
                raise NotElf(f"{path}: damaged ELF file") from problem
            except NotElf as problem:
                raise NotElf(f"{path}: {problem}") from None


def _parse(data: mmap.mmap, origin: str) -> Image:
    if data[:6] != b"\x7fELF\x02\x01":
        raise NotElf("not a 64-bit ELF file")
    machine = MACHINES.get(struct.unpack_from("<H", data, 18)[0], "unknown")
    segments = list(_segments(data))
    names = [data[s.offset : s.offset + s.size].rstrip(b"\0").decode() for s in segments if s.kind == _PT_INTERP]
    needed: tuple[str, ...] = ()
    search: tuple[str, ...] = ()
    for segment in segments:
        if segment.kind == _PT_DYNAMIC:
            needed, search = _dynamic(data, segment, segments, origin)
    return Image(machine, names[0] if names else "", needed, search)


def _segments(data: mmap.mmap) -> Iterator[_Segment]:
    (table,) = struct.unpack_from("<Q", data, 32)
    size, count = struct.unpack_from("<HH", data, 54)
    for number in range(count):
        kind, _flags, offset, address, _physical, length = struct.unpack_from("<IIQQQQ", data, table + size * number)
        yield _Segment(kind, offset, address, length)


def _dynamic(
    data: mmap.mmap, segment: _Segment, segments: list[_Segment], origin: str
) -> tuple[tuple[str, ...], tuple[str, ...]]:
    raw = data[segment.offset : segment.offset + segment.size // 16 * 16]
    entries: list[tuple[int, int]] = list(struct.iter_unpack("<qQ", raw))
    table = dict(entries).get(_DT_STRTAB, 0)

    def text(offset: int) -> str:
        start = _file_offset(segments, table + offset)
        end = data.find(b"\0", start)
        if end < 0:
            raise NotElf("a string has no end")
        return data[start:end].decode()

    needed = tuple(text(value) for tag, value in entries if tag == _DT_NEEDED)
    paths = [text(value) for tag, value in entries if tag in (_DT_RPATH, _DT_RUNPATH)]
    parts = [part for path in paths for part in path.split(":") if part]
    return needed, tuple(part.replace("$ORIGIN", origin).replace("${ORIGIN}", origin) for part in parts)


def _file_offset(segments: list[_Segment], address: int) -> int:
    for segment in segments:
        if segment.kind == _PT_LOAD and segment.address <= address < segment.address + segment.size:
            return segment.offset + address - segment.address
    raise NotElf("a string lies outside of the file")


@functools.cache
def host_directories(machine: str) -> tuple[str, ...]:
    """Where this host's ld.so(8) looks, as far as files say: ld.so.conf, then the usual places."""
    triplet = f"{machine}-linux-gnu"
    usual = (f"/lib/{triplet}", f"/usr/lib/{triplet}", "/lib64", "/usr/lib64", "/lib", "/usr/lib")
    configured = _configured("/etc/ld.so.conf", 0)
    return tuple(dict.fromkeys(path for path in (*configured, *usual) if os.path.isdir(path)))


def _configured(path: str, depth: int) -> list[str]:
    try:
        with open(path, encoding="utf-8", errors="surrogateescape") as file:
            lines = [line.split("#")[0].strip() for line in file]
    except OSError:
        return []
    found = []
    for line in lines:
        if line.startswith("include ") and depth < 4:
            for name in sorted(glob.glob(os.path.join("/etc", line[8:].strip()))):
                found += _configured(name, depth + 1)
        elif line.startswith("/"):
            found.append(line)
    return found


def closure(programs: Iterable[str], directories: Iterable[str] = ()) -> tuple[tuple[str, ...], tuple[str, ...]]:
    """(files, missing): every file that the loader opens to start ``programs``, themselves and it included, by the
    names that it opens; and the names of libraries that are nowhere. ``directories`` replace the host's places.

    Raises NotElf, OSError for the programs themselves.
    """
    fixed = tuple(directories)
    found: dict[str, None] = {}
    missing: dict[str, None] = {}
    waiting = list(programs)
    while waiting:
        path = waiting.pop()
        if path in found:
            continue
        image = read(path)
        found[path] = None
        if image.interpreter and not fixed:
            found[image.interpreter] = None
        places = (*image.search, *(fixed or host_directories(image.machine)))
        for name in image.needed:
            where = name if "/" in name else _search(name, places, image.machine)
            if where:
                waiting.append(where)
            else:
                missing[name] = None
    return tuple(found), tuple(missing)


def _search(name: str, places: Iterable[str], machine: str) -> str:
    for place in places:
        path = f"{place}/{name}"
        if os.path.exists(path):
            try:
                if read(path).machine == machine:
                    return path
            except (NotElf, OSError):
                continue
    return ""
