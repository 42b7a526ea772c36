"""The hulls this engine has, each with what goes with it: the root's forms, the cgroup version seen inside."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from ..errors import HostCannot

if TYPE_CHECKING:
    from ..hull.bundle import Cgroup, May
    from ..hull.contract import Hull, Needs
    from ..hull.spawn import Spawner
    from ..rootfs.contract import Rootfs
    from .images import Form
    from .records import HullKind


@dataclass(frozen=True, slots=True)
class Host:
    """What this host is and lets us do, probed once. ``memory`` in bytes; ``nofile``: [soft, hard] for programs."""

    architecture: str
    cpus: int
    memory: int
    cgroup: Cgroup
    nofile: list[int]


@dataclass(frozen=True, slots=True)
class Way:
    """A hull, and the version of the cgroups that its programs see."""

    hull: Hull
    cgroup_version: int


class Hulls:
    """By kind."""

    def __init__(self, ways: dict[HullKind, Way], rootfs: dict[Form, Rootfs], spawner: Spawner) -> None:
        self.ways = ways
        self.rootfs = rootfs
        self.spawner = spawner

    def may(self, cgroup: Cgroup) -> May:
        """What programs may be set up with here; known once the spawner runs."""
        found = self.spawner.findings["may"]
        return {
            "mknod": bool(found.get("mknod")),
            "mount": bool(found.get("mount")),
            "setuid": bool(found.get("setuid")),
            "cgroup": cgroup["version"] > 0,
        }

    def way(self, kind: HullKind) -> Way:
        """Raises HostCannot for a hull that this engine was built without."""
        way = self.ways.get(kind)
        if way is None:
            raise HostCannot(
                f"this engine has no {kind} hull", hull=kind, missing=f"the {kind} hull", code="no-such-hull"
            )
        return way

    async def needs(self, kind: HullKind) -> Needs:
        """What a root must look like. Raises HostCannot: this host cannot have that hull."""
        await self.spawner.start()
        return self.way(kind).hull.needs()
