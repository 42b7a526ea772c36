"""Removing an image: what no other image uses goes, blobs, trees and block image."""

from __future__ import annotations

from typing import TYPE_CHECKING

from . import content, derived, unpack

if TYPE_CHECKING:
    from collections.abc import Iterable

    from ..places import Places
    from .store import ImageRecord


def remove(record: ImageRecord, places: Places, still_used: Iterable[ImageRecord]) -> None:
    """Delete what only ``record`` uses. ``still_used``: every image that stays, and those of all containers: nothing
    checks here whether one runs. The caller holds the lock under which he also commits imports. Safe to repeat."""
    others = list(still_used)
    if any(other.manifest == record.manifest for other in others):
        return
    blobs = {name for other in others for name in (other.manifest, other.id, *other.layers)}
    chains = {chain for other in others for chain in other.chain_ids}
    roots = {other.root for other in others}
    for name in (record.manifest, record.id, *record.layers):  # the manifest first: without it nothing is an image
        if name not in blobs:
            content.remove(places, name)
    for chain in record.chain_ids:
        if chain not in chains:
            derived.forget(unpack.place(places, chain))
    if record.root not in roots:
        derived.forget(unpack.block_place(places, record.root))


def discard_unfinished(places: Places) -> None:
    """At the engine's start: remove what was being written when an earlier one was killed."""
    content.discard_unfinished(places)
    derived.discard_unfinished(unpack.directory(places))
    derived.discard_unfinished(unpack.blocks(places))


def sweep(places: Places, used: Iterable[ImageRecord]) -> int:
    """Remove everything that none of ``used`` (all images there are) needs, and return how many things that were: an
    engine that is killed between an image's blobs and its row leaves such. The caller holds the lock of ``remove``."""
    records = list(used)
    blobs = {name for record in records for name in (record.manifest, record.id, *record.layers)}
    trees = {unpack.place(places, chain) for record in records for chain in record.chain_ids}
    blocks = {unpack.block_place(places, record.root) for record in records}
    orphans = [name for name in content.names(places) if name not in blobs]
    for name in orphans:
        content.remove(places, name)
    derivatives = set(derived.places(unpack.directory(places))) - trees
    derivatives |= {place for place in derived.places(unpack.blocks(places)) if place.endswith(".squashfs")} - blocks
    for place in derivatives:
        derived.forget(place)
    return len(orphans) + len(derivatives)


def settle(places: Places) -> int:
    """When idle, in a thread: let trees and block images reach the disk, so that a power cut does not cost them."""
    return derived.settle(unpack.directory(places)) + derived.settle(unpack.blocks(places))
