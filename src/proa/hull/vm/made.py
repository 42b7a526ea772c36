"""Finished templates on disk: whether one is whole, and whether it is what a recipe would make again.

To know a template's key one has to pack the boot image, a second's work. So each template remembers what it was made
from, and which files went in: as long as these are untouched, an engine that starts anew only loads its memory.
"""

from __future__ import annotations

import contextlib
import json
import os
import sys
import zlib
from collections.abc import Iterable
from typing import TYPE_CHECKING, Any

from ... import program
from .recipe import Meta

if TYPE_CHECKING:
    from .recipe import Recipe

VERSION = 2
_ORIGIN = "made-from.json"


def find(directory: str) -> Meta | None:
    """The template in ``directory``; None if there is none, or it was cut off, or is of another version."""
    try:
        with open(f"{directory}/meta.json", encoding="utf-8") as file:
            meta = Meta(**json.load(file))
        with open(f"{directory}/state", "rb") as binary:
            state = binary.read()
        whole = meta.version == VERSION and zlib.crc32(state) == meta.state_checksum
        return meta if whole and os.stat(f"{directory}/ram").st_size == meta.ram_size else None
    except (OSError, ValueError, TypeError):
        return None


def remember(directory: str, recipe: Recipe, inputs: Iterable[str]) -> None:
    """Note what the template in ``directory`` is made from. Raises OSError: an input is gone already."""
    note(f"{directory}/{_ORIGIN}", _maker(recipe), inputs)


def known(recipe: Recipe) -> tuple[str, Meta] | None:
    """(directory, what is known of it) of the template that ``recipe`` would make again; None: nobody knows."""
    home = f"{recipe.cache}/templates"
    names = []
    with contextlib.suppress(FileNotFoundError):
        names = os.listdir(home)
    for name in names:
        directory = f"{home}/{name}"
        if noted(f"{directory}/{_ORIGIN}", _maker(recipe)) and (meta := find(directory)) is not None:
            return directory, meta
    return None


def note(place: str, maker: list[str], inputs: Iterable[str], result: object = None) -> None:
    """Write down at ``place`` what came of ``maker`` and the files ``inputs``. Raises OSError."""
    stamps = {path: _stamp(path) for path in inputs}
    temporary = f"{place}.{os.getpid()}.tmp"
    with open(temporary, "w", encoding="utf-8") as file:
        json.dump({"maker": maker, "inputs": stamps, "result": result}, file)
    os.rename(temporary, place)


def noted(place: str, maker: list[str]) -> dict[str, Any] | None:
    """What ``note`` has written, if ``maker`` is the same and no input was touched."""
    try:
        with open(place, encoding="utf-8") as file:
            found: dict[str, Any] = json.load(file)
        same = found["maker"] == maker and all(_stamp(path) == stamp for path, stamp in found["inputs"].items())
        return found if same else None
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        return None


def _maker(recipe: Recipe) -> list[str]:
    return [recipe.dump(), program.SITE, sys.executable]


def _stamp(path: str) -> list[int]:
    found = os.stat(path)
    return [found.st_dev, found.st_ino, found.st_size, found.st_mtime_ns, found.st_ctime_ns]
