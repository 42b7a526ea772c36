"""The container's root while it is built: every path inside is resolved by the kernel as inside it, symlinks too."""

import errno
import os

from ..linux.openat2 import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, openat2

_INSIDE = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
_O_PATH = os.O_PATH


class Root:
    """``fd`` holds the root's directory, on the mount that will be the root. Descriptors given out are the caller's."""

    __slots__ = ("fd",)

    def __init__(self, path: str) -> None:
        self.fd = os.open(path, _O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def open(self, path: str, flags: int = _O_PATH) -> int:
        """What is at ``path``; the last component's symlink is followed, inside the root."""
        return openat2(self.fd, path, flags, resolve=_INSIDE)

    def plain(self, path: str) -> int:
        """The same where no symlink may be on the way (ELOOP)."""
        return openat2(self.fd, path, _O_PATH, resolve=RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS)

    def directory(self, path: str, mode: int = 0o755) -> int:
        """The directory at ``path``, made with its parents where missing."""
        try:
            return self.open(path, _O_PATH | os.O_DIRECTORY)
        except FileNotFoundError:
            return self._make(path, mode)

    def file(self, path: str) -> int:
        """What is at ``path``, which is made as an empty file where missing."""
        try:
            return self.open(path)
        except FileNotFoundError:
            parent, _, name = path.rstrip("/").rpartition("/")
            directory = self.directory(parent or "/")
        try:
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_CLOEXEC
            os.close(os.open(name, flags, 0o644, dir_fd=directory))
        finally:
            os.close(directory)
        return self.open(path)

    def _make(self, path: str, mode: int) -> int:
        above, done = os.dup(self.fd), ""
        try:
            for name in filter(None, path.split("/")):
                done = f"{done}/{name}"
                try:
                    below = self.open(done, _O_PATH | os.O_DIRECTORY)
                except FileNotFoundError:
                    _mkdir(name, mode, above)
                    below = self.open(done, _O_PATH | os.O_DIRECTORY)
                os.close(above)
                above = below
        except BaseException:
            os.close(above)
            raise
        return above


def _mkdir(name: str, mode: int, parent: int) -> None:
    try:
        os.mkdir(name, mode, dir_fd=parent)
    except OSError as problem:
        if problem.errno != errno.EEXIST:  # another container makes the same one in a shared folder
            raise


def path_of(fd: int) -> str:
    """A path that names what ``fd`` holds and nothing else. Needs /proc."""
    return f"/proc/self/fd/{fd}"
