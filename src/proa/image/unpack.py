"""An image's layers as directory trees, STATE/layers/<chain id>: made once from their blobs, under a lock.

A chain id names a layer *with* what lies below it, so a tree may be shared by images, never by different stacks.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from . import content, derived, layer, tree
from .member import Limits

if TYPE_CHECKING:
    from ..places import Places
    from .index import Index
    from .store import ImageRecord

STORED = Limits(end_mark=False)
"""What is read again was checked against its digest: a missing end mark hides nothing."""


def directory(places: Places) -> str:
    """Where the trees are."""
    return places.state + "/layers"


def place(places: Places, chain_id: str) -> str:
    """Where the tree of one layer is, or would be."""
    return f"{directory(places)}/{chain_id.removeprefix('sha256:')}"


def blocks(places: Places) -> str:
    """Where the block images are."""
    return places.state + "/blocks"


def block_place(places: Places, chain_id: str) -> str:
    """Where the block image of a whole root file system is, or would be (made by rootfs/block.py)."""
    return f"{blocks(places)}/{chain_id.removeprefix('sha256:')}.squashfs"


def able(places: Places) -> bool:
    """Whether this host and user can have trees: tried."""
    os.makedirs(directory(places), mode=0o700, exist_ok=True)
    return tree.able(directory(places))


def trees(places: Places, record: ImageRecord) -> list[str]:
    """All layers' trees, lowest first, made where they are missing. Raises HostCannot, InvalidRequest, OSError."""
    pairs = zip(record.chain_ids, record.diff_ids, strict=True)
    return [_one(places, place(places, chain_id), diff_id) for chain_id, diff_id in pairs]


def _one(places: Places, where: str, diff_id: str) -> str:
    with derived.making(where) as fresh:
        if fresh is not None:
            apply(places, layer.index(places, diff_id, STORED), diff_id, fresh)
    return where


def apply(places: Places, index: Index, diff_id: str, fresh: str) -> None:
    """Make a tree of ``index``, whose data is in the blob ``diff_id``, at the path ``fresh``."""
    os.mkdir(fresh, 0o700)
    with content.opened(places, diff_id) as blob, tree.Sources([blob.fileno()]) as sources:
        tree.apply(index, sources, fresh)
