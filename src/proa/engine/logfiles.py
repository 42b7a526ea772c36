"""A container's json-file log as a chain of files, read in whole lines, from the oldest to the one being written.

Blocking: for threads. A file that was begun is held open, so that rotation loses nothing while it is read.
"""

from __future__ import annotations

import os

BLOCK = 256 << 10
LINE_MAX = 1 << 20
"""A line of the log holds 16 KiB of output, six bytes an escape at most."""

GAP = 2
"""While a rotation is at work one number may be free: two in a row are the end."""

Identity = tuple[int, int]
"""Device and inode."""


class LogFiles:
    """``read`` gives whole lines until there are no more for now; ``behind`` says whether more may be there."""

    def __init__(self, path: str) -> None:
        self._path = path
        self._fd = -1
        self._rest = b""

    def close(self) -> None:
        """Let go of the file at hand."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1

    def begin(self, tail: int) -> None:
        """Stand before the last ``tail`` lines (negative: at the very beginning)."""
        paths = self._paths()
        if tail < 0:
            self._open(paths[0] if paths else "")
            return
        for path in reversed(paths):
            self._open(path)
            if self._fd < 0:
                return
            tail = self._seek_back(tail)
            if tail <= 0:
                return
        self._open(paths[0] if paths else "")

    def _paths(self) -> list[str]:
        """Every file there is, oldest first."""
        paths = [self._path]
        while os.path.exists(f"{self._path}.{len(paths)}"):
            paths.append(f"{self._path}.{len(paths)}")
        return paths[::-1] if os.path.exists(self._path) else paths[:0:-1]

    def _open(self, path: str) -> None:
        self.close()
        self._rest = b""
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW) if path else -1
        except FileNotFoundError:
            self._fd = -1

    def _seek_back(self, lines: int) -> int:
        """Stand before the last ``lines`` lines of the file at hand; how many it lacks."""
        position = os.fstat(self._fd).st_size
        if not lines:
            os.lseek(self._fd, position, os.SEEK_SET)
            return 0
        last = position
        while position:
            start = max(0, position - BLOCK)
            block = os.pread(self._fd, position - start, start)
            end = len(block) - (1 if position == last and block.endswith(b"\n") else 0)
            while (end := block.rfind(b"\n", 0, end)) >= 0:
                lines -= 1
                if not lines:
                    os.lseek(self._fd, start + end + 1, os.SEEK_SET)
                    return 0
            position = start
        os.lseek(self._fd, 0, os.SEEK_SET)
        return lines - 1 if last else lines

    def read(self) -> bytes:
        """Some whole lines, b"" when there are none for now."""
        while True:
            if self._fd < 0:
                self.begin(-1)
                if self._fd < 0:
                    return b""
            data = os.read(self._fd, BLOCK)
            if data:
                lines = self._whole(data)
                if lines:
                    return lines
            elif not self._turn():
                return b""

    def _whole(self, data: bytes) -> bytes:
        data = self._rest + data
        end = data.rfind(b"\n") + 1
        self._rest = data[end:] if len(data) - end <= LINE_MAX else b""
        return data[:end]

    def _turn(self) -> bool:
        """The file at hand is read to its end: go on to the next newer one, if it was rotated away."""
        mine = _identity(self._fd)
        while True:
            number = self._number(mine)
            if number == 0:
                return False
            if os.pread(self._fd, 1, os.lseek(self._fd, 0, os.SEEK_CUR)):
                return True  # it grew between our read and its rotation
            newer = self._oldest() if number is None else number - 1
            fd = self._try(newer)
            if fd < 0 and newer == 0:
                return False  # rotated just now: the next file is not made yet
            # files move to higher numbers only: ours still being there proves that this is the one behind it
            if fd >= 0 and _identity(fd) != mine and (number is None or self._is(newer + 1, mine)):
                os.close(self._fd)
                self._fd, self._rest = fd, b""
                return True
            if fd >= 0:
                os.close(fd)

    def _path_of(self, number: int) -> str:
        return f"{self._path}.{number}" if number else self._path

    def _number(self, file: Identity) -> int | None:
        """Which number ``file`` has now, None if it is gone. Looked for upwards, the way files move: never missed."""
        number = missing = 0
        while missing < GAP:
            try:
                if _identity(self._path_of(number)) == file:
                    return number
                missing = 0
            except FileNotFoundError:
                missing += 1
            number += 1
        return None

    def _is(self, number: int, file: Identity) -> bool:
        try:
            return _identity(self._path_of(number)) == file
        except FileNotFoundError:
            return False

    def _oldest(self) -> int:
        found = number = 0
        while number - found < GAP:
            number += 1
            if os.path.exists(self._path_of(number)):
                found = number
        return found

    def _try(self, number: int) -> int:
        try:
            return os.open(self._path_of(number), os.O_RDONLY | os.O_CLOEXEC | os.O_NOFOLLOW)
        except FileNotFoundError:
            return -1

    @property
    def behind(self) -> bool:
        """Whether there may be something to read. Cheap: for the loop."""
        if self._fd < 0:
            return os.path.exists(self._path)
        try:
            if _identity(self._path) != _identity(self._fd):
                return True
        except FileNotFoundError:
            return False
        return os.fstat(self._fd).st_size > os.lseek(self._fd, 0, os.SEEK_CUR)


def _identity(file: str | int) -> Identity:
    found = os.stat(file)
    return found.st_dev, found.st_ino
