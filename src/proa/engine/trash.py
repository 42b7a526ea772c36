"""A removed container's directory: renamed away at once, emptied behind the answer, or at the next start."""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from ..places import Places

PREFIX = ".removed-"


def throw(places: Places, id: str) -> str:
    """Rename STATE/containers/ID away; its new path, "" if there was none."""
    path = f"{places.state}/containers/{PREFIX}{id}"
    try:
        os.rename(places.container(id), path)
    except FileNotFoundError:
        return ""
    return path


async def empty(remove: Callable[[str], None], path: str) -> None:
    """Remove what was thrown away, in a thread."""
    await asyncio.to_thread(remove, path)


def leftovers(places: Places, known: set[str]) -> list[str]:
    """Directories below STATE/containers that belong to nobody in ``known``."""
    parent = f"{places.state}/containers"
    try:
        names = os.listdir(parent)
    except FileNotFoundError:
        return []
    return [f"{parent}/{name}" for name in names if name not in known]
