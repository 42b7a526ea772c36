"""A template's guest memory: a sparse file at rest, a sealed memfd in use. No QEMU can ever write to either.

The file holds only the pages that were touched, so a copy moves about 100 MB whatever the size of the machine.
"""

import errno
import fcntl
import os
import zlib

_F_ADD_SEALS, _F_GET_SEALS = 1033, 1034
_SEAL_SEAL, _SEAL_SHRINK, _SEAL_GROW, _SEAL_WRITE = 1, 2, 4, 8
_SEALS = _SEAL_SEAL | _SEAL_SHRINK | _SEAL_GROW | _SEAL_WRITE
_CHUNK = 4 << 20


def create(size: int) -> int:
    """A memfd of ``size`` bytes that can be sealed later."""
    fd = os.memfd_create("proa-ram", os.MFD_CLOEXEC | os.MFD_ALLOW_SEALING)
    os.ftruncate(fd, size)
    return fd


def copy(source: int, target: int) -> int:
    """Copy the data of one sparse file into another, holes left out; returns a checksum of what was copied."""
    checksum = 0
    for start, end in extents(source):
        while start < end:
            data = os.pread(source, min(_CHUNK, end - start), start)
            if not data:
                break
            checksum = zlib.crc32(data, checksum)
            os.pwrite(target, data, start)
            start += len(data)
    return checksum


def extents(fd: int) -> "list[tuple[int, int]]":
    """(start, end) of each run of data in a sparse file (lseek(2), SEEK_DATA)."""
    found: "list[tuple[int, int]]" = []
    at = 0
    while True:
        try:
            start = os.lseek(fd, at, os.SEEK_DATA)
        except OSError as problem:
            if problem.errno == errno.ENXIO:
                return found
            raise
        at = os.lseek(fd, start, os.SEEK_HOLE)
        found.append((start, at))


def seal(fd: int) -> None:
    """Nobody can write, grow, shrink or map it shared for writing from now on. Raises OSError: somebody still may."""
    fcntl.fcntl(fd, _F_ADD_SEALS, _SEALS)


def sealed(fd: int) -> bool:
    """Whether ``seal`` was done."""
    return fcntl.fcntl(fd, _F_GET_SEALS) & _SEALS == _SEALS


def load(path: str, size: int, checksum: int) -> int:
    """A sealed memfd with the content of a template's RAM file. Raises OSError, ValueError: the file is damaged."""
    source = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        if os.fstat(source).st_size != size:
            raise ValueError(f"{path} is damaged: its size is not {size}")
        target = create(size)
        try:
            if copy(source, target) != checksum:
                raise ValueError(f"{path} is damaged: its checksum is wrong")
            seal(target)
        except BaseException:
            os.close(target)
            raise
    finally:
        os.close(source)
    return target
