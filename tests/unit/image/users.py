"""Running a piece of a test as an ordinary user: what the floor would do, without its seccomp filter."""

from __future__ import annotations

import contextlib
import os
import shutil
import tempfile
import traceback
from collections.abc import Callable, Iterator

NOBODY = 65534


@contextlib.contextmanager
def open_directory() -> Iterator[str]:
    """A directory that everybody may write (pytest's own are closed to others)."""
    place = tempfile.mkdtemp(prefix="proa-test-", dir="/tmp")
    try:
        os.chmod(place, 0o777)
        yield place
    finally:
        shutil.rmtree(place)


def as_nobody(work: Callable[[], None]) -> None:
    """Run ``work`` in a child of uid 65534 without capabilities; its failure fails the test."""
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            if os.getuid() == 0:
                os.setgroups([])
                os.setresgid(NOBODY, NOBODY, NOBODY)
                os.setresuid(NOBODY, NOBODY, NOBODY)
            work()
            status = 0
        except BaseException:  # it must not run on into pytest's frames
            traceback.print_exc()
        finally:
            os._exit(status)
    _, status = os.waitpid(pid, 0)
    assert status == 0, "failed as an ordinary user (its traceback is in the captured output)"
