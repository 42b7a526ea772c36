"""Room kept free on STATE's file system, so that what ends can be recorded and what is removed can be forgotten on a
full disk too: that is what makes room again."""

from __future__ import annotations

import contextlib
import os

SIZE = 1 << 20
"""Bytes; a removal's transaction takes some tens of KiB of SQLite's log."""


class Reserve:
    """A file of no content at ``path``: allocated while there is room, given up when there is none."""

    def __init__(self, path: str) -> None:
        self.path = path
        self._held = False

    def fill(self) -> None:
        """Allocate it, unless it is; without room for twice as much it stays given up."""
        if self._held or self._room() < 2 * SIZE:
            return
        try:
            fd = os.open(self.path, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
            try:
                os.posix_fallocate(fd, 0, SIZE)
            finally:
                os.close(fd)
            self._held = True
        except OSError:
            self.release()

    def spend(self) -> None:
        """Make room for one more transaction, if there is too little."""
        if self._held and self._room() < SIZE:
            self.release()

    def release(self) -> None:
        """Give it up: at the engine's end too, as the room is nobody's then."""
        self._held = False
        with contextlib.suppress(OSError):
            os.unlink(self.path)

    def _room(self) -> int:
        """Bytes that may still be written."""
        try:
            found = os.statvfs(os.path.dirname(self.path))
        except OSError:
            return 0
        return found.f_bavail * found.f_frsize
