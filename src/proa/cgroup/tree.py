"""Directories of cgroups: made on demand below one parent of ours, removed with patience."""

import errno
import os
import time

_PATIENCE = 2.0
_STEPS = (0.0005, 0.001, 0.002, 0.005, 0.01, 0.02, 0.05)


def make(base: str, parent: str, name: str) -> str:
    """Make base/parent/name, and ``parent`` where missing (its removal may be under way). Returns the path."""
    path = f"{base}/{parent}/{name}"
    for _ in range(8):
        try:
            os.mkdir(path, 0o755)
            return path
        except FileNotFoundError:
            make_one(f"{base}/{parent}")
    os.mkdir(path, 0o755)
    return path


def make_one(path: str) -> None:
    """Make one directory; there already is fine."""
    try:
        os.mkdir(path, 0o755)
    except FileExistsError:
        return


def remove(path: str) -> None:
    """Remove a cgroup; the kernel lets go of the last process a little after its end (EBUSY). Gone already is fine."""
    end = time.monotonic() + _PATIENCE
    tries = 0
    while True:
        try:
            os.rmdir(path)
            return
        except FileNotFoundError:
            return
        except OSError as problem:
            if problem.errno != errno.EBUSY or time.monotonic() > end:
                raise
        if not _remove_below(path):
            time.sleep(_STEPS[min(tries, len(_STEPS) - 1)])
            tries += 1


def _remove_below(path: str) -> bool:
    """Remove cgroups that were made inside (a container with a writable cgroup may). Whether there were any."""
    try:
        names = [entry.path for entry in os.scandir(path) if entry.is_dir(follow_symlinks=False)]
    except FileNotFoundError:
        return False
    for name in names:
        remove(name)
    return bool(names)
