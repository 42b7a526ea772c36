"""A template's memory: sparse at rest, sealed in use."""

from __future__ import annotations

import mmap
import os
from pathlib import Path

import pytest

from proa.hull.vm import memory

SIZE = 32 << 20


@pytest.fixture
def stored(tmp_path: Path) -> tuple[str, int]:
    """A RAM file of SIZE with two pages in it, and its checksum."""
    source = memory.create(SIZE)
    os.pwrite(source, b"a" * 4096, 0)
    os.pwrite(source, b"b" * 4096, 20 << 20)
    path = tmp_path / "ram"
    with open(path, "w+b") as file:
        os.ftruncate(file.fileno(), SIZE)
        checksum = memory.copy(source, file.fileno())
    os.close(source)
    return str(path), checksum


def test_holes_stay_holes(stored: tuple[str, int]) -> None:
    assert os.stat(stored[0]).st_blocks * 512 <= 64 << 10


def test_what_is_loaded_is_what_was_saved_and_can_be_written_by_nobody(stored: tuple[str, int]) -> None:
    fd = memory.load(stored[0], SIZE, stored[1])
    try:
        assert os.pread(fd, 4096, 20 << 20) == b"b" * 4096
        with pytest.raises(PermissionError):
            os.pwrite(fd, b"x", 0)
        with pytest.raises(PermissionError):
            os.ftruncate(fd, 1)
        again = os.open(f"/proc/self/fd/{fd}", os.O_RDWR)
        with pytest.raises(PermissionError):
            mmap.mmap(again, SIZE, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
        with mmap.mmap(again, SIZE, mmap.MAP_PRIVATE, mmap.PROT_READ | mmap.PROT_WRITE) as private:
            private[0:1] = b"x"
        os.close(again)
        assert os.pread(fd, 1, 0) == b"a"
    finally:
        os.close(fd)


def test_a_damaged_file_is_told(stored: tuple[str, int]) -> None:
    with open(stored[0], "r+b") as file:
        file.seek(20 << 20)
        file.write(b"c")
    with pytest.raises(ValueError, match="checksum"):
        memory.load(stored[0], SIZE, stored[1])


def test_a_shortened_file_is_told(stored: tuple[str, int]) -> None:
    os.truncate(stored[0], 4096)
    with pytest.raises(ValueError, match="size"):
        memory.load(stored[0], SIZE, stored[1])
