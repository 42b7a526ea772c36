"""A create request into a Record: checked, merged with the image's config, normalised. Decides, touches nothing."""

from __future__ import annotations

import os
import time
from typing import TYPE_CHECKING, Any

from msgspec import UNSET, structs

from .. import NAME
from ..dockerapi.containers import Config, CreateBody, HostConfig, LogConfig, RestartPolicy
from ..errors import HostCannot, InvalidRequest
from . import binds, capabilities, hostfiles, limits, logoptions, names, signals, texts, unsupported
from .records import HullKind, Record

if TYPE_CHECKING:
    from ..image.store import ImageRecord

_ISOLATIONS: dict[str, HullKind] = {
    "": "container",
    "default": "container",
    "process": "container",
    "vm": "vm",
    "hyperv": "vm",
}
_RUNTIMES: dict[str, HullKind | None] = {
    "": None,
    NAME: None,
    "runc": None,
    "io.containerd.runc.v2": None,
    "vm": "vm",
}
_LEFT_OUT = ("exposed_ports", "network_disabled", "args_escaped", "mac_address", "stop_signal", "shell")
"""Fields of Config that dockerd leaves out of its replies while they say nothing."""
SHM_SIZE = 64 << 20
_RESTARTS = ("no", "always", "on-failure", "unless-stopped")


def record(body: CreateBody, image: ImageRecord, cpus: int) -> tuple[Record, list[str]]:
    """The container that ``body`` asks for, and warnings. Raises InvalidRequest, HostCannot."""
    hull = hull_kind(body.host_config)
    config = _merge(body, image.defaults)
    id = names.new_id()
    if not config.hostname:
        own = os.uname().nodename if body.host_config.network_mode == "host" else id[:12]
        config = structs.replace(config, hostname=own)
    _check_config(config)
    texts.check(config, body.host_config)
    host, warnings = _host(body.host_config, hull)
    if config.healthcheck is not UNSET:
        limits.check_health(config.healthcheck)
    if config.healthcheck is not UNSET and config.healthcheck.test not in ([], ["NONE"]):
        warnings.append("Health checks are kept but not run yet")
    limits.check(host, cpus)
    limits.check_ids([*config.user.split(":"), *(host.group_add or [])])
    unsupported.check(config, host, hull)
    _check_parts(config, host)
    made = Record(
        id=id,
        created=time.time_ns(),
        hull=hull,
        image=body.image,
        image_id=image.id,
        config=config,
        host=host,
        networking=body.networking_config,
    )
    return made, warnings


def _check_parts(config: Config, host: HostConfig) -> None:
    """What would fail at the start is refused now, in the same words."""
    signals.number(stop_signal(config))
    capabilities.choose([], host.cap_add or [], host.cap_drop or [], privileged=host.privileged)
    binds.mounts(host)
    binds.check_sources(host)
    logoptions.log("", host.log_config)
    hostfiles.check(host)


def hull_kind(host: HostConfig) -> HullKind:
    """Which hull Isolation and Runtime name. Raises InvalidRequest."""
    kind = _ISOLATIONS.get(host.isolation.lower())
    if kind is None:
        raise InvalidRequest(
            f'invalid isolation "{host.isolation}": use default, process or vm',
            code="invalid-isolation",
            input=host.isolation,
        )
    if host.runtime not in _RUNTIMES:
        raise InvalidRequest(
            f"unknown or invalid runtime name: {host.runtime}", code="unknown-runtime", input=host.runtime
        )
    return _RUNTIMES[host.runtime] or kind


def _merge(body: CreateBody, image: dict[str, Any]) -> Config:
    """Docker's rule: what was asked wins; environment and labels are united; Entrypoint given drops the image's Cmd."""
    asked = Config(**{name: getattr(body, name) for name in Config.__struct_fields__})
    entrypoint, cmd = _words(asked.entrypoint), _words(asked.cmd)
    if entrypoint is None:
        cmd = cmd or _words(image.get("Cmd"))
        entrypoint = _words(image.get("Entrypoint"))
    if entrypoint == [""]:
        entrypoint = None
    changes: dict[str, Any] = {
        "entrypoint": entrypoint,
        "cmd": cmd,
        "env": _environment(asked.env or [], image.get("Env") or []) or None,
        "labels": {**(image.get("Labels") or {}), **asked.labels},
        "user": asked.user or image.get("User") or "",
        "working_dir": asked.working_dir or image.get("WorkingDir") or "",
    }
    if not asked.volumes:
        changes["volumes"] = None
    changes.update({name: UNSET for name in _LEFT_OUT if not getattr(asked, name)})
    for field, key in (("exposed_ports", "ExposedPorts"), ("stop_signal", "StopSignal"), ("volumes", "Volumes")):
        if not getattr(asked, field) and image.get(key):
            changes[field] = image[key]
    return structs.replace(asked, **changes)


def _words(value: Any) -> list[str] | None:
    """Docker's string-or-list; an empty list counts as none."""
    if isinstance(value, str):
        return [value]
    return list(value) if value else None


def _environment(asked: list[str], image: list[str]) -> list[str]:
    """``image``'s variables that were not asked otherwise, behind those that were. ``NAME`` alone unsets one."""
    for entry in asked:
        if not entry or entry.startswith("="):
            raise InvalidRequest(f"invalid environment variable: {entry}", code="invalid-env", input=entry)
    given = {entry.partition("=")[0] for entry in asked}
    return [*asked, *(entry for entry in image if entry.partition("=")[0] not in given)]


def _check_config(config: Config) -> None:
    if not config.cmd and not config.entrypoint:
        raise InvalidRequest("no command specified", code="no-command")
    if config.working_dir and not config.working_dir.startswith("/"):
        raise InvalidRequest(
            f"the working directory '{config.working_dir}' is invalid, it needs to be an absolute path",
            code="invalid-workdir",
            input=config.working_dir,
        )


def _host(host: HostConfig, hull: HullKind) -> tuple[HostConfig, list[str]]:
    """HostConfig with dockerd's defaults written in, and what is not as asked."""
    warnings = []
    mode = host.network_mode or "default"
    if mode in ("default", "bridge"):
        warnings.append(f'Network "{mode}" is not there yet: the container has no network (as --network none)')
    elif mode == "host" and hull == "vm":
        raise HostCannot(
            "a virtual machine cannot share the host's network",
            hull="vm",
            missing="a network of the host's in a virtual machine",
            code="vm-network-host",
            input="host",
            next_step=f"{NAME} run --isolation vm --network none …",
        )
    if host.port_bindings or host.publish_all_ports:
        warnings.append("Published ports are not there yet: nothing listens on the host")
    restart = host.restart_policy.name or "no"
    if restart not in _RESTARTS:
        raise InvalidRequest(f"invalid restart policy: unknown policy '{restart}'", code="invalid-restart-policy")
    limits.check_restart(host.restart_policy)
    if restart != "no" and host.auto_remove:
        raise InvalidRequest(
            "can't create 'AutoRemove' container with restart policy", code="auto-remove-with-restart-policy"
        )
    if restart != "no":
        warnings.append(f'Restart policy "{restart}" is kept but not acted on yet')
    changes = {
        "network_mode": mode,
        "restart_policy": RestartPolicy(restart, host.restart_policy.maximum_retry_count),
        "log_config": LogConfig(host.log_config.type or "json-file", host.log_config.config),
        "shm_size": host.shm_size or SHM_SIZE,
        "ipc_mode": host.ipc_mode or "private",
        "cgroupns_mode": host.cgroupns_mode or "private",
        "runtime": host.runtime or NAME,
        "memory_swap": host.memory_swap or host.memory * 2,
        "memory_swappiness": None if host.memory_swappiness == -1 else host.memory_swappiness,
        "pids_limit": host.pids_limit or None,
        "oom_kill_disable": host.oom_kill_disable or False,
    }
    return structs.replace(host, **changes), warnings


def stop_signal(config: Config) -> str:
    """The signal that asks the program to end."""
    return config.stop_signal if config.stop_signal is not UNSET and config.stop_signal else "SIGTERM"
