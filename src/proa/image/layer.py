"""A layer as a tree: read from any tar stream, or from the blob that it was stored as, then verified by its digest."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..oci.digest import VerifyingReader
from . import content, tar
from .index import Index
from .refusal import refuse

if TYPE_CHECKING:
    from collections.abc import Callable

    from ..places import Places
    from .member import Limits


def index(places: Places, diff_id: str, limits: Limits, source: int = 0) -> Index:
    """The tree of a stored, uncompressed layer. Raises NotFound, InvalidRequest (``content-corrupt``)."""
    with content.opened(places, diff_id) as file:
        verified = VerifyingReader(file, diff_id, os.fstat(file.fileno()).st_size)
        return read(tar.Stream(verified), limits, source)


def read(
    stream: tar.Stream, limits: Limits, source: int = 0, expect: Callable[[int], None] = lambda size: None
) -> Index:
    """The tree of all entries of an archive, each checked. ``expect`` is told the size of what comes next."""
    found = Index(limits, source)
    try:
        for member in tar.members(stream, limits):
            found.add(member)
            expect(member.size)
        stream.finish(limits.tail)
    except MemoryError as problem:
        raise refuse("tar-too-many", "the archive's entries do not fit into memory") from problem
    return found
