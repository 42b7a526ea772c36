"""When the place where images are kept is full or cannot be written: one clear error instead of a bare errno."""

from __future__ import annotations

import contextlib
import errno
from typing import TYPE_CHECKING

from ..errors import ProaError

if TYPE_CHECKING:
    from collections.abc import Iterator

RESERVE = 64 << 20  # bytes of a file system that an import leaves free


def disk_full(place: str) -> ProaError:
    """What is left below ``place`` is not enough."""
    return ProaError(f"no space left on the device that holds {place}", code="disk-full", next_step=f"df -h {place}")


@contextlib.contextmanager
def needed(place: str) -> Iterator[None]:
    """Turns the errors of a full or read-only file system into ProaError (``disk-full``, ``state-read-only``)."""
    try:
        yield
    except OSError as problem:
        if problem.errno in (errno.ENOSPC, errno.EDQUOT):
            raise disk_full(place) from problem
        if problem.errno == errno.EROFS:
            raise ProaError(f"{place} is on a read-only file system", code="state-read-only") from problem
        raise
