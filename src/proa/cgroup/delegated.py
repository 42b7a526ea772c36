"""Room in a delegated subtree of version 2, whose top we are in ourselves.

The kernel hands controllers down only from a group that has no processes of its own; the root of the whole tree alone
may have both. So where our place is below that root (systemd's Delegate=yes, a container's own view of the tree), the
processes there, this one among them, move into a leaf beside our parent:

    place/                      the controllers are handed down from here
        proa-<id>.engine/       who was in the place: the engine, its shims, a shell that shares the scope
        proa-<id>/<container>   groups as everywhere
"""

import os

from . import tree
from .contract import read, write
from .v2 import CONTROLLERS

TYPE_CHECKING = False
if TYPE_CHECKING:
    from .choose import Value

ENGINE = ".engine"
_TRIES = 16  # somebody forks while we move


def make_room(value: "Value") -> None:
    """Have the controllers handed down in our place, moving its processes out of the way if they are in it.

    Does nothing where that is not needed. What cannot be had is told when a limit asks for it.
    """
    place = value["mounts"].get("", "") if value["version"] == 2 else ""
    if not place or not os.path.exists(place + "/cgroup.type") or not _missing(place):
        return
    if _hand_down(place):
        return
    leaf = _leaf(value)
    try:
        tree.make_one(leaf)
        _move(place, leaf)
    except OSError:
        _discard(leaf)
        return
    _hand_down(place)


def give_back(value: "Value") -> None:
    """Undo ``make_room`` at an engine's end, once nothing of ours is left below."""
    leaf = _leaf(value) if value["version"] == 2 else ""
    if not os.path.isdir(leaf) or os.path.isdir(leaf.removesuffix(ENGINE)):
        return
    place = value["mounts"][""]
    try:
        write(place + "/cgroup.subtree_control", " ".join("-" + name for name in _handed(place)))
        _move(leaf, place)
        tree.remove(leaf)
    except OSError:
        return


def _discard(leaf: str) -> None:
    """A leaf that nobody could be moved into."""
    try:
        os.rmdir(leaf)
    except OSError:
        return


def _leaf(value: "Value") -> str:
    return f"{value['mounts']['']}/{value['parent']}{ENGINE}"


def _missing(place: str) -> "list[str]":
    have = read(place + "/cgroup.controllers").split()
    handed = _handed(place)
    return [name for name in CONTROLLERS if name in have and name not in handed]


def _handed(place: str) -> "list[str]":
    return read(place + "/cgroup.subtree_control").split()


def _hand_down(place: str) -> bool:
    try:
        write(place + "/cgroup.subtree_control", " ".join("+" + name for name in _missing(place)))
    except OSError:
        return False
    return True


def _move(source: str, target: str) -> None:
    """All processes of a group into another. Raises OSError: one may not be moved."""
    for _ in range(_TRIES):
        pids = read(source + "/cgroup.procs").split()
        if not pids:
            return
        for pid in pids:
            try:
                write(target + "/cgroup.procs", pid)
            except ProcessLookupError:
                continue  # it has ended
