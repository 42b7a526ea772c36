"""The container's root while it is built: every path inside is resolved by the kernel as inside it, symlinks too."""

import errno
import os

from ..linux.openat2 import RESOLVE_IN_ROOT, RESOLVE_NO_MAGICLINKS, RESOLVE_NO_SYMLINKS, openat2

_INSIDE = RESOLVE_IN_ROOT | RESOLVE_NO_MAGICLINKS
_O_PATH = os.O_PATH
_LINKS_MAX = 16


class Root:
    """``fd`` holds the root's directory, on the mount that will be the root; ``proc`` is the device number of the
    procfs mounted inside, -1 before. Descriptors given out are the caller's."""

    __slots__ = ("fd", "proc")

    def __init__(self, path: str) -> None:
        self.proc = -1
        self.fd = os.open(path, _O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)

    def open(self, path: str, flags: int = _O_PATH) -> int:
        """What is at ``path``; the last component's symlink is followed, inside the root."""
        return openat2(self.fd, path, flags, resolve=_INSIDE)

    def plain(self, path: str) -> int:
        """The same where no symlink may be on the way (ELOOP)."""
        return openat2(self.fd, path, _O_PATH, resolve=RESOLVE_IN_ROOT | RESOLVE_NO_SYMLINKS)

    def directory(self, path: str, mode: int = 0o755) -> int:
        """The directory at ``path``, made with its parents where missing; a dangling symlink's target is made too."""
        try:
            return self.open(path, _O_PATH | os.O_DIRECTORY)
        except FileNotFoundError:
            return self._make(path, mode, _LINKS_MAX)

    def file(self, path: str, links: int = _LINKS_MAX) -> int:
        """What is at ``path``, which is made as an empty file where missing; the same for dangling symlinks."""
        try:
            return self.open(path)
        except FileNotFoundError:
            above, _, name = path.rstrip("/").rpartition("/")
            parent = self.directory(above or "/")
        try:
            flags = os.O_CREAT | os.O_EXCL | os.O_WRONLY | os.O_NOFOLLOW | os.O_CLOEXEC
            os.close(os.open(name, flags, 0o644, dir_fd=parent))
        except FileExistsError:
            target = _target(above, name, parent, links)
            return self.file(target, links - 1) if target else self.open(path)
        finally:
            os.close(parent)
        return self.open(path)

    def _make(self, path: str, mode: int, links: int) -> int:
        above, done = os.dup(self.fd), ""
        try:
            for name in filter(None, path.split("/")):
                below = self._step(above, done, name, mode, links)
                os.close(above)
                above, done = below, f"{done}/{name}"
        except BaseException:
            os.close(above)
            raise
        return above

    def _step(self, above: int, done: str, name: str, mode: int, links: int) -> int:
        """One directory further than ``above``, which is at ``done``."""
        path, flags = f"{done}/{name}", _O_PATH | os.O_DIRECTORY
        try:
            return self.open(path, flags)
        except FileNotFoundError:
            pass
        try:
            os.mkdir(name, mode, dir_fd=above)
        except FileExistsError:  # a dangling symlink, or another container was faster in a shared folder
            target = _target(done, name, above, links)
            if target:
                return self._make(target, mode, links - 1)
        return self.open(path, flags)


def _target(above: str, name: str, parent: int, links: int) -> str:
    """Where the symlink ``name`` in ``parent`` (which is at ``above``) points; "" if it is none."""
    if not links:
        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name)
    try:
        target = os.readlink(name, dir_fd=parent)
    except OSError:
        return ""
    return target if target.startswith("/") else f"{above}/{target}"


def path_of(fd: int) -> str:
    """A path that names what ``fd`` holds and nothing else. Needs /proc."""
    return f"/proc/self/fd/{fd}"
