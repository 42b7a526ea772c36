"""Removing a directory that a stranger filled: relative to descriptors, never through a link, whatever its modes.

Depth costs no descriptors: ``_DEPTH`` below the top a directory is moved up and removed from there, so neither a
million nested directories nor a path longer than the kernel takes can stop a removal.
"""

from __future__ import annotations

import contextlib
import errno
import fcntl
import os
import stat
import struct

_OPEN = os.O_RDONLY | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC
_DEPTH = 32
_GETFLAGS, _SETFLAGS = 0x80086601, 0x40086602
_PROTECTED = 0x10 | 0x20


def remove(place: str) -> None:
    """Remove ``place``, a file or a directory with all that is below it. Gone already is fine. Raises OSError."""
    try:
        os.unlink(place)
        return
    except FileNotFoundError:
        return
    except OSError as problem:
        if problem.errno not in (errno.EISDIR, errno.EPERM):
            raise
    parent = os.open(os.path.dirname(place) or ".", os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        _remove_top(parent, os.path.basename(place))
    finally:
        os.close(parent)


def _remove_top(parent: int, name: str) -> None:
    with contextlib.suppress(FileNotFoundError):
        fd = _enter(parent, name)
        try:
            while _empty(fd, fd, 0):
                pass
        finally:
            os.close(fd)
        _rmdir(parent, name)


def _empty(fd: int, top: int, depth: int) -> int:
    """Remove what is in ``fd``; returns how many directories were moved to ``top`` instead."""
    lifted = 0
    with os.scandir(fd) as entries:
        found = [(entry.name, entry.is_dir(follow_symlinks=False)) for entry in entries]
    for name, is_directory in found:
        with contextlib.suppress(FileNotFoundError):
            if not is_directory:
                _unlink(fd, name)
            elif depth < _DEPTH:
                lifted += _remove_directory(fd, name, top, depth + 1)
            else:
                _lift(fd, name, top)
                lifted += 1
    return lifted


def _remove_directory(parent: int, name: str, top: int, depth: int) -> int:
    with contextlib.suppress(OSError):
        os.rmdir(name, dir_fd=parent)  # most are empty, or made so below
        return 0
    fd = _enter(parent, name)
    try:
        lifted = _empty(fd, top, depth)
    finally:
        os.close(fd)
    _rmdir(parent, name)
    return lifted


def _rmdir(parent: int, name: str) -> None:
    try:
        os.rmdir(name, dir_fd=parent)
    except PermissionError:
        _unprotect(parent, ".")
        _unprotect(parent, name)
        os.rmdir(name, dir_fd=parent)


def _unlink(fd: int, name: str) -> None:
    try:
        os.unlink(name, dir_fd=fd)
    except PermissionError:
        _unprotect(fd, ".")
        _unprotect(fd, name)
        os.unlink(name, dir_fd=fd)


def _unprotect(fd: int, name: str) -> None:
    """Take the flags immutable and append-only away (ioctl_iflags(2)), which a privileged container may have set."""
    with contextlib.suppress(OSError):
        file = os.open(name, os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK | os.O_CLOEXEC, dir_fd=fd)
        try:
            flags = struct.unpack("i", fcntl.ioctl(file, _GETFLAGS, bytes(4)))[0]
            fcntl.ioctl(file, _SETFLAGS, struct.pack("i", flags & ~_PROTECTED))
        finally:
            os.close(file)


def _lift(fd: int, name: str, top: int) -> None:
    os.close(_enter(fd, name))  # so that its mode lets it be moved
    os.rename(name, f".lifted-{os.urandom(8).hex()}", src_dir_fd=fd, dst_dir_fd=top)


def _enter(parent: int, name: str) -> int:
    """Open a directory whose mode may forbid it to its owner, and let him in."""
    handle = os.open(name, os.O_PATH | os.O_DIRECTORY | os.O_NOFOLLOW | os.O_CLOEXEC, dir_fd=parent)
    try:
        if os.geteuid() and os.fstat(handle).st_mode & stat.S_IRWXU != stat.S_IRWXU:
            os.chmod(f"/proc/self/fd/{handle}", 0o700)
        return os.open(".", _OPEN, dir_fd=handle)
    finally:
        os.close(handle)
