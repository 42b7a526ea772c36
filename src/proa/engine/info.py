"""What ``docker info`` shows, in Docker's shape, with what is ours beside it."""

from __future__ import annotations

import asyncio
import os
import time
from typing import TYPE_CHECKING, Any

from .. import NAME, __version__
from ..errors import HostCannot, ProaError
from . import times

if TYPE_CHECKING:
    from ..places import Places
    from .hulls import Host, Hulls
    from .images import Images
    from .records import HullKind
    from .registry import Registry


PATIENCE = 3.0
"""Seconds that a client waits for what a hull tries out, once in a host's boot; it goes on, and the next is told."""
_MEMSW = "memory.memsw.limit_in_bytes"


class Info:
    """Gathers when asked."""

    def __init__(
        self, engine_id: str, places: Places, host: Host, hulls: Hulls, containers: Registry, images: Images
    ) -> None:
        self._engine_id = engine_id
        self._places = places
        self.host = host
        self._hulls = hulls
        self._containers = containers
        self._images = images
        self._asked: dict[HullKind, asyncio.Future[dict[str, Any]]] = {}

    async def gather(self) -> dict[str, Any]:
        """Everything."""
        return {
            **self._counts(),
            **self._machine(),
            **self._limits(),
            **self._constants(),
            "Hulls": await self._hull_facts(),
        }

    def _counts(self) -> dict[str, Any]:
        states = [container.state.status for container in self._containers]
        running, paused = states.count("running"), states.count("paused")
        return {
            "ID": self._engine_id,
            "Containers": len(states),
            "ContainersRunning": running,
            "ContainersPaused": paused,
            "ContainersStopped": len(states) - running - paused,
            "Images": len(self._images),
        }

    def _machine(self) -> dict[str, Any]:
        kernel = os.uname()
        return {
            "Name": kernel.nodename,
            "KernelVersion": kernel.release,
            "OperatingSystem": _operating_system(),
            "OSVersion": "",
            "OSType": "linux",
            "Architecture": kernel.machine,
            "NCPU": self.host.cpus,
            "MemTotal": self.host.memory,
            "SystemTime": times.rfc3339(time.time_ns()),
            "DockerRootDir": self._places.state,
            "ServerVersion": __version__,
        }

    def _limits(self) -> dict[str, Any]:
        version = self.host.cgroup["version"]
        mounts = self.host.cgroup["mounts"]

        def has(name: str) -> bool:
            return version == 2 or name in mounts

        return {
            "CgroupDriver": "cgroupfs" if version else "none",
            "CgroupVersion": str(version or 1),
            "MemoryLimit": bool(version) and has("memory"),
            "SwapLimit": version == 1 and has("memory") and os.path.exists(f"{mounts['memory']}/{_MEMSW}"),
            "CpuCfsPeriod": bool(version) and has("cpu"),
            "CpuCfsQuota": bool(version) and has("cpu"),
            "CPUShares": bool(version) and has("cpu"),
            "CPUSet": False,
            "PidsLimit": bool(version) and has("pids"),
            "OomKillDisable": False,
        }

    def _constants(self) -> dict[str, Any]:
        return {
            "Driver": "overlay",
            "DriverStatus": [],
            "Plugins": {"Volume": [], "Network": ["none", "host"], "Authorization": None, "Log": ["json-file"]},
            "IPv4Forwarding": _on("net/ipv4/ip_forward"),
            "BridgeNfIptables": _on("net/bridge/bridge-nf-call-iptables"),
            "BridgeNfIp6tables": _on("net/bridge/bridge-nf-call-ip6tables"),
            "Debug": False,
            "NFd": len(os.listdir("/proc/self/fd")),
            "NGoroutines": 1,
            "NEventsListener": 0,
            "LoggingDriver": "json-file",
            "IndexServerAddress": "",
            "RegistryConfig": {"InsecureRegistryCIDRs": [], "IndexConfigs": {}, "Mirrors": None},
            "GenericResources": None,
            "HttpProxy": "",
            "HttpsProxy": "",
            "NoProxy": "",
            "Labels": [],
            "ExperimentalBuild": False,
            "Runtimes": {NAME: {"path": ""}, "vm": {"path": ""}},
            "DefaultRuntime": NAME,
            "Swarm": {
                "LocalNodeState": "inactive",
                "NodeID": "",
                "NodeAddr": "",
                "ControlAvailable": False,
                "Error": "",
                "RemoteManagers": None,
            },
            "LiveRestoreEnabled": True,
            "Isolation": "",
            "InitBinary": NAME,
            "ContainerdCommit": {"ID": "", "Expected": ""},
            "RuncCommit": {"ID": "", "Expected": ""},
            "InitCommit": {"ID": "", "Expected": ""},
            "SecurityOptions": ["name=seccomp,profile=builtin"],
            "Warnings": [],
        }

    async def _hull_facts(self) -> list[dict[str, Any]]:
        """Each hull: whether this host can have it, or what is missing."""
        found = []
        for kind in self._hulls.ways:
            try:
                needs = await self._hulls.needs(kind)
            except HostCannot as problem:
                found.append(
                    {
                        "Kind": kind,
                        "Available": False,
                        "Why": problem.what,
                        "Missing": problem.missing,
                        "Next": problem.next_step,
                    }
                )
            else:
                found.append({"Kind": kind, "Available": True, "Root": needs.root, **await self._more(kind)})
        return found

    async def _more(self, kind: HullKind) -> dict[str, Any]:
        """What a hull says of itself on this host (a VM: accelerator, why, boundary), if it says anything."""
        say = getattr(self._hulls.way(kind).hull, "host_facts", None)
        if say is None:
            return {}
        asked = self._asked.get(kind) or asyncio.ensure_future(say())
        self._asked[kind] = asked
        await asyncio.wait({asked}, timeout=PATIENCE)
        if not asked.done():
            return {"Why": "still being tried out: ask again"}
        del self._asked[kind]
        try:
            return dict(asked.result())
        except ProaError as problem:
            return {"Why": problem.what}


def _on(name: str) -> bool:
    """Whether a kernel parameter is there and not 0."""
    try:
        with open(f"/proc/sys/{name}", encoding="ascii") as file:
            return file.read().strip() != "0"
    except OSError:
        return False


def _operating_system() -> str:
    try:
        with open("/etc/os-release", encoding="utf-8", errors="replace") as file:
            for line in file:
                if line.startswith("PRETTY_NAME="):
                    return line.partition("=")[2].strip().strip('"')
    except OSError:
        pass
    return "Linux"
