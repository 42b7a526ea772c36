"""What can be asked for by Docker's API and cannot be had yet: refused by name, never left out in silence."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from msgspec import UNSET

from .. import NAME
from ..errors import HostCannot, InvalidRequest
from ..hull.vm import machine

if TYPE_CHECKING:
    from ..dockerapi.containers import Config, HostConfig
    from .records import HullKind

_NETWORKS = ("none", "host", "default", "bridge")
_SECURITY = ("no-new-privileges", "seccomp", "label", "apparmor", "systempaths")


def check(config: Config, host: HostConfig, hull: HullKind) -> None:
    """Raises HostCannot or InvalidRequest naming the first thing that cannot be had."""
    _network(host)
    _namespaces(host)
    _security(host)
    _storage(host, hull)
    if hull == "vm":
        _memory(host)
    for group in host.group_add or []:
        if not group.isdecimal():
            raise not_yet(f"groups by name (--group-add {group})", hull)
    for value, what in (
        (host.device_requests, "device requests (--gpus)"),
        (host.devices, "devices of the host (--device)"),
        (host.device_cgroup_rules, "device cgroup rules (--device-cgroup-rule)"),
        (host.cgroup_parent, "a cgroup parent of your own (--cgroup-parent)"),
        (host.links, "links (--link)"),
        (host.blkio_weight, "block I/O weight (--blkio-weight)"),
        (
            host.blkio_weight_device
            or host.blkio_device_read_bps
            or host.blkio_device_write_bps
            or host.blkio_device_read_iops
            or host.blkio_device_write_iops,
            "limits on a device (--blkio-weight-device, --device-read-bps, --device-write-iops …)",
        ),
        (host.cpu_realtime_runtime, "realtime CPU time (--cpu-rt-runtime)"),
        (host.cpuset_cpus or host.cpuset_mems, "CPU sets (--cpuset-cpus, --cpuset-mems)"),
        (host.oom_kill_disable, "disabling the OOM killer (--oom-kill-disable)"),
        (host.log_config.type != "json-file" and host.log_config.type, f'log driver "{host.log_config.type}"'),
    ):
        if value:
            raise not_yet(what, hull)


def _memory(host: HostConfig) -> None:
    """A limit may be as large as one likes; a machine's RAM must be there."""
    wanted = machine.memory(host.memory)
    there = os.sysconf("SC_PHYS_PAGES") * os.sysconf("SC_PAGE_SIZE") >> 20
    if wanted > there:
        raise HostCannot(
            f"a virtual machine for a program with {host.memory} bytes has {wanted} MiB of RAM, this host {there}",
            hull="vm",
            missing="memory",
            code="vm-memory",
            input=str(host.memory),
            next_step=f"{NAME} run --isolation vm -m {there // 4}m …",
        )


def not_yet(what: str, hull: HullKind, next_step: str = "") -> HostCannot:
    """The error for something that this version does not do."""
    return HostCannot(
        f"{what}: not supported yet", hull=hull, missing=what, code="not-supported-yet", next_step=next_step
    )


def _network(host: HostConfig) -> None:
    if host.network_mode in _NETWORKS:
        return
    if host.network_mode.startswith("container:"):
        raise not_yet("sharing another container's network", "container")
    raise InvalidRequest(
        f"network {host.network_mode} not found",
        code="no-such-network",
        input=host.network_mode,
        next_step=f"{NAME} run --network none …",
    )


def _namespaces(host: HostConfig) -> None:
    for value, private, flag in (
        (host.pid_mode, ("",), "--pid"),
        (host.ipc_mode, ("", "private", "shareable", "none"), "--ipc"),
        (host.uts_mode, ("",), "--uts"),
        (host.userns_mode, ("", "host"), "--userns"),
        (host.cgroupns_mode, ("", "private", "host"), "--cgroupns"),
    ):
        if value not in private:
            raise not_yet(f"{flag} {value}", "container")


def _security(host: HostConfig) -> None:
    for option in host.security_opt or []:
        key, _, value = option.replace(":", "=", 1).partition("=")
        if key not in _SECURITY:
            raise InvalidRequest(f'invalid --security-opt: "{option}"', code="invalid-security-opt", input=option)
        if key == "seccomp" and value not in ("unconfined", "builtin", "default"):
            raise not_yet("a seccomp profile of your own (--security-opt seccomp=…)", "container")
        if key == "apparmor" and value not in ("unconfined", ""):
            raise not_yet("an AppArmor profile (--security-opt apparmor=…)", "container")
        if key == "label" and value != "disable":
            raise not_yet("SELinux labels (--security-opt label=…)", "container")


def _storage(host: HostConfig, hull: HullKind) -> None:
    if host.volumes_from:
        raise not_yet("--volumes-from", hull)
    if host.storage_opt is not UNSET and host.storage_opt:
        raise not_yet("storage options (--storage-opt)", hull)
    mounts = [] if host.mounts is UNSET else host.mounts
    for mount in mounts:
        if mount.type not in ("bind", "tmpfs"):
            raise not_yet(f'mounts of type "{mount.type}"', hull)
    binds = host.binds or any(mount.type == "bind" for mount in mounts)
    if binds and hull == "vm":
        raise HostCannot(
            "folders of the host in a virtual machine (-v, --mount type=bind): not supported yet",
            hull="vm",
            missing="folder sharing with a virtual machine",
            code="vm-folders",
            next_step=f"{NAME} run --isolation process -v …",
        )
