"""A container in Docker's JSON: inspect and one row of the list."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

import msgspec

from ..engine import binds, hostfiles, spec, times
from ..engine.launch import log_path

if TYPE_CHECKING:
    from ..engine.container import Container
    from ..engine.wiring import Engine

NETWORKS = {
    "IPAMConfig": None,
    "Links": None,
    "Aliases": None,
    "MacAddress": "",
    "NetworkID": "",
    "EndpointID": "",
    "Gateway": "",
    "IPAddress": "",
    "IPPrefixLen": 0,
    "IPv6Gateway": "",
    "GlobalIPv6Address": "",
    "GlobalIPv6PrefixLen": 0,
    "DriverOpts": None,
}


def inspect(engine: Engine, container: Container) -> dict[str, Any]:
    """``docker inspect``, API 1.45, with ``Hull`` beside it."""
    record, state = container.record, container.state
    words = spec.args(record)
    directory = engine.places.container(record.id)
    return {
        "Id": record.id,
        "Created": times.rfc3339(record.created),
        "Path": words[0] if words else "",
        "Args": words[1:],
        "State": _state(container),
        "Image": record.image_id,
        "ResolvConfPath": _own_file(container, directory, hostfiles.RESOLV_CONF),
        "HostnamePath": _own_file(container, directory, hostfiles.HOSTNAME),
        "HostsPath": _own_file(container, directory, hostfiles.HOSTS),
        "LogPath": log_path(engine.places, record.id),
        "Name": "/" + container.name,
        "RestartCount": state.restarts,
        "Driver": "overlay",
        "Platform": "linux",
        "MountLabel": "",
        "ProcessLabel": "",
        "AppArmorProfile": "",
        "ExecIDs": engine.execs.of(container) or None,
        "HostConfig": _host_config(container),
        "GraphDriver": {
            "Data": {
                "MergedDir": directory + "/work",
                "UpperDir": directory + "/upper",
                "WorkDir": directory + "/work",
            },
            "Name": "overlay",
        },
        "Mounts": binds.points(record.host),
        "Config": record.config,
        "NetworkSettings": _network_settings(container),
        "Hull": _hull(container),
    }


def _own_file(container: Container, directory: str, name: str) -> str:
    """The path of one of the engine's files; "" before the first start, as dockerd has it."""
    return f"{directory}/{name}" if container.state.started else ""


def _host_config(container: Container) -> dict[str, Any]:
    host: dict[str, Any] = msgspec.to_builtins(container.record.host)
    host["MaskedPaths"] = spec.masked_paths(container.record.host)
    host["ReadonlyPaths"] = spec.readonly_paths(container.record.host)
    return host


def _state(container: Container) -> dict[str, Any]:
    state = container.state
    status = container.status
    return {
        "Status": status,
        "Running": container.alive,
        "Paused": state.status == "paused",
        "Restarting": False,
        "OOMKilled": state.oom,
        "Dead": False,
        "Pid": state.pid,
        "ExitCode": state.exit_code,
        "Error": state.error,
        "StartedAt": times.rfc3339(state.started),
        "FinishedAt": times.rfc3339(state.finished),
    }


def _hull(container: Container) -> dict[str, Any]:
    return {"Kind": container.record.hull, **container.state.hull}


def _network_settings(container: Container) -> dict[str, Any]:
    mode = container.record.host.network_mode
    name = "bridge" if mode == "default" else mode
    return {
        "Bridge": "",
        "SandboxID": "",
        "SandboxKey": "",
        "Ports": {},
        "HairpinMode": False,
        "LinkLocalIPv6Address": "",
        "LinkLocalIPv6PrefixLen": 0,
        "SecondaryIPAddresses": None,
        "SecondaryIPv6Addresses": None,
        "EndpointID": "",
        "Gateway": "",
        "GlobalIPv6Address": "",
        "GlobalIPv6PrefixLen": 0,
        "IPAddress": "",
        "IPPrefixLen": 0,
        "IPv6Gateway": "",
        "MacAddress": "",
        "Networks": {name: {**NETWORKS, "DNSNames": None}},
    }


def row(engine: Engine, container: Container) -> dict[str, Any]:
    """One row of ``docker ps``."""
    record = container.record
    mode = record.host.network_mode
    return {
        "Id": record.id,
        "Names": ["/" + container.name],
        "Image": _image_name(engine, container),
        "ImageID": record.image_id,
        "Command": command(spec.args(record)),
        "Created": record.created // 1_000_000_000,
        "Ports": [],
        "Labels": record.config.labels,
        "State": container.status,
        "Status": status(container),
        "HostConfig": {"NetworkMode": mode},
        "NetworkSettings": {"Networks": {"bridge" if mode == "default" else mode: NETWORKS}},
        "Mounts": binds.points(record.host),
        "Hull": {"Kind": record.hull},
    }


def _image_name(engine: Engine, container: Container) -> str:
    """What was asked for while it still means that image, else the image's id, as dockerd does."""
    record = container.record
    return record.image if engine.images.means(record.image, record.image_id) else record.image_id


def command(words: list[str]) -> str:
    """The program with its arguments as dockerd prints them: an argument with a space is quoted."""
    return " ".join(f"'{word}'" if " " in word else word for word in words)


def size(engine: Engine, container: Container) -> int:
    """Bytes that the container wrote, each inode's once. Blocks."""
    total, seen = 0, set[int]()
    pending = [engine.places.container(container.id) + "/upper"]
    while pending:
        try:
            with os.scandir(pending.pop()) as entries:
                for entry in entries:
                    if entry.is_dir(follow_symlinks=False):
                        pending.append(entry.path)
                    elif entry.inode() not in seen:
                        seen.add(entry.inode())
                        total += entry.stat(follow_symlinks=False).st_size
        except OSError:
            continue
    return total


def status(container: Container) -> str:
    """``Up 3 minutes``, ``Exited (0) 2 hours ago``, ``Created``."""
    state = container.state
    if container.removing:
        return "Removal In Progress"
    if state.status == "created":
        return "Created"
    if container.alive:
        return f"Up {ago(time.time_ns() - state.started)}" + (" (Paused)" if state.status == "paused" else "")
    return f"Exited ({state.exit_code}) {ago(time.time_ns() - state.finished)} ago"


def ago(ns: int) -> str:
    """go-units' HumanDuration."""
    seconds = ns // 1_000_000_000
    if seconds < 1:
        return "Less than a second"
    if seconds == 1:
        return "1 second"
    if seconds < 60:
        return f"{seconds} seconds"
    minutes = seconds // 60
    if minutes == 1:
        return "About a minute"
    if minutes < 60:
        return f"{minutes} minutes"
    hours = (seconds + 1800) // 3600
    if hours == 1:
        return "About an hour"
    if hours < 48:
        return f"{hours} hours"
    if hours < 24 * 7 * 2:
        return f"{hours // 24} days"
    if hours < 24 * 30 * 2:
        return f"{hours // 24 // 7} weeks"
    if hours < 24 * 365 * 2:
        return f"{hours // 24 // 30} months"
    return f"{seconds // 86400 // 365} years"
