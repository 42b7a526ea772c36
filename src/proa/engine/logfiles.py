"""A container's json-file log as a chain of files, read in whole lines, from the oldest to the one being written.

Blocking: for threads. A file that was begun is held open, so that rotation loses nothing while it is read.
"""

from __future__ import annotations

import os

BLOCK = 256 << 10
LINE_MAX = 1 << 20
"""A line of the log holds 16 KiB of output, six bytes an escape at most."""


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
        mine = os.fstat(self._fd)
        paths = self._paths()
        files = [_identity(path) for path in paths]
        here = (mine.st_dev, mine.st_ino)
        if not files or files[-1] == here:
            return False
        if os.pread(self._fd, 1, os.lseek(self._fd, 0, os.SEEK_CUR)):
            return True  # it grew between our read and its rotation
        index = files.index(here) + 1 if here in files else 0
        self._open(paths[index])
        return True

    @property
    def behind(self) -> bool:
        """Whether there may be something to read. Cheap: for the loop."""
        if self._fd < 0:
            return os.path.exists(self._path)
        try:
            now = os.stat(self._path)
        except FileNotFoundError:
            return False
        mine = os.fstat(self._fd)
        return (now.st_dev, now.st_ino) != (mine.st_dev, mine.st_ino) or mine.st_size > os.lseek(
            self._fd, 0, os.SEEK_CUR
        )


def _identity(path: str) -> tuple[int, int]:
    try:
        found = os.stat(path)
    except FileNotFoundError:
        return (0, 0)
    return found.st_dev, found.st_ino
