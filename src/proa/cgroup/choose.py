"""Which cgroups can be had here: probed by making one, never concluded from the uid or the version."""

import os

from . import tree
from .contract import Cgroup
from .delegated import ENGINE
from .none import Nothing
from .v1 import UNIFIED, V1
from .v2 import V2

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import TypedDict

    class Value(TypedDict):
        """The bundle's ``cgroup``: see hull.bundle.Cgroup."""

        version: int
        parent: str
        mounts: dict[str, str]


_NEEDED = ("memory", "cpu", "pids", "devices")
_ACCOUNTS = ("cpuacct",)


def detect(parent: str, mountinfo: str = "/proc/self/mountinfo", own: str = "/proc/self/cgroup") -> "Value":
    """What may be made here, below directories called ``parent`` (proa-<engine id>). Version 0: nothing.

    Version 2 in full where its tree has the memory controller: the group that systemd delegated to us, else the top,
    else the group that we are in. Without it version 1 with each hierarchy that lets us.
    """
    one, two = _mounted(mountinfo)
    for base in two:
        mine = base + _own(own).removesuffix(f"/{parent}{ENGINE}")
        for place in (mine, base) if _delegated(mine) else (base, mine):
            if "memory" in _controllers(place) and _may_make(place, parent):
                return {"version": 2, "parent": parent, "mounts": {"": place}}
    found = {name: base for name, base in one.items() if name in _NEEDED and _may_make(base, parent)}
    found |= {name: base for name, base in one.items() if name in _ACCOUNTS and base in found.values()}
    if not found:
        return {"version": 0, "parent": parent, "mounts": {}}
    unified = next((base for base in two if _may_make(base, parent)), "")
    if unified:
        found[UNIFIED] = unified
    elif "freezer" in one and _may_make(one["freezer"], parent):
        found["freezer"] = one["freezer"]
    return {"version": 1, "parent": parent, "mounts": found}


def open(value: "Value", id: str) -> Cgroup:
    """The group of one container; nothing is made by asking."""
    if value["version"] == 2:
        return V2(value["mounts"][""], value["parent"], id)
    if value["version"] == 1:
        return V1(value["mounts"], value["parent"], id)
    return Nothing()


def leftovers(value: "Value") -> "list[str]":
    """The ids of all groups that exist below the parent."""
    found: dict[str, None] = {}
    for path in _parents(value):
        try:
            found.update(dict.fromkeys(entry.name for entry in os.scandir(path) if entry.is_dir(follow_symlinks=False)))
        except FileNotFoundError:
            continue
    return list(found)


def forget(value: "Value") -> None:
    """Remove the parent itself, where nothing is below it any more."""
    for path in _parents(value):
        try:
            os.rmdir(path)
        except OSError:
            continue


def _parents(value: "Value") -> "list[str]":
    return [f"{base}/{value['parent']}" for base in dict.fromkeys(value["mounts"].values())]


def _may_make(base: str, parent: str) -> bool:
    try:
        path = tree.make(base, parent, "probe-" + os.urandom(4).hex())
    except OSError:
        return False
    tree.remove(path)
    try:
        os.rmdir(f"{base}/{parent}")
    except OSError:
        return True  # in use by others of ours
    return True


def _delegated(path: str) -> bool:
    """Whether systemd leaves this group to whoever runs in it (Delegate=yes)."""
    for name in ("user.delegate", "trusted.delegate"):
        try:
            if os.getxattr(path, name) == b"1":
                return True
        except OSError:
            continue
    return False


def _controllers(path: str) -> "list[str]":
    try:
        fd = os.open(path + "/cgroup.controllers", os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return []
    try:
        return os.read(fd, 4096).decode().split()
    finally:
        os.close(fd)


def _own(path: str) -> str:
    """This process's own directory below the version 2 mount: where a delegated subtree starts."""
    for line in _lines(path):
        if line.startswith("0::"):
            return line[3:].rstrip("/")
    return ""


def _mounted(path: str) -> "tuple[dict[str, str], list[str]]":
    """({v1 controller: mount point}, [v2 mount points]) of a mountinfo file; where stacked, the last one counts."""
    one: dict[str, str] = {}
    two: list[str] = []
    for line in _lines(path):
        left, _, right = line.partition(" - ")
        point = left.split(" ")[4].encode().decode("unicode_escape")
        kind, _, options = right.split(" ", 2)
        if kind == "cgroup2":
            two.insert(0, point)
        elif kind == "cgroup":
            one |= dict.fromkeys(options.split(","), point)
    return one, two


def _lines(path: str) -> "Iterator[str]":
    try:
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_CLOEXEC), encoding="utf-8", errors="surrogateescape") as file:
            yield from (line.rstrip("\n") for line in file)
    except FileNotFoundError:
        return
