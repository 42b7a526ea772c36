"""A container's record as an OCI spec: Docker's defaults, nothing of the host but values handed in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from msgspec import UNSET

from ..runtime import defaults
from . import binds, capabilities, limits

if TYPE_CHECKING:
    from ..dockerapi.containers import HostConfig
    from ..oci.runtime import Capabilities, Linux, Mount, Namespace, Process, Rlimit, Spec, User
    from .records import Exec, Record

PATH = "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_NAMESPACES = ("mount", "pid", "uts", "ipc")


def spec(record: Record, root: str, cgroup_version: int) -> Spec:
    """The whole spec of ``record``; ``root``: the host path its root will be mounted on."""
    config, host = record.config, record.host
    made: Spec = {
        "ociVersion": "1.2.0",
        "process": _process(record),
        "root": {"path": root, "readonly": host.readonly_rootfs},
        "hostname": config.hostname,
        "mounts": _mounts(host, cgroup_version),
        "linux": _linux(host),
    }
    if config.domainname:
        made["domainname"] = config.domainname
    if host.annotations is not UNSET and host.annotations:
        made["annotations"] = host.annotations
    return made


def words(value: list[str] | str | None) -> list[str]:
    """Docker's string-or-list-or-null as a list."""
    return [value] if isinstance(value, str) else list(value or [])


def args(record: Record) -> list[str]:
    """The program and its arguments."""
    return words(record.config.entrypoint) + words(record.config.cmd)


def _process(record: Record) -> Process:
    config, host = record.config, record.host
    process: Process = {
        "args": args(record),
        "cwd": config.working_dir or "/",
        "user": _user(config.user, host.group_add),
        "env": environment(config.env or [], hostname=config.hostname, terminal=config.tty),
        "terminal": config.tty,
        "capabilities": _capabilities(chosen_capabilities(host)),
        "rlimits": _rlimits(host),
        "noNewPrivileges": no_new_privileges(host),
        "oomScoreAdj": host.oom_score_adj,
    }
    if config.tty and any(host.console_size):
        process["consoleSize"] = {"height": host.console_size[0], "width": host.console_size[1]}
    return process


def exec_process(exec: Exec, record: Record, console_size: tuple[int, int]) -> Process:
    """One more program beside ``record``'s own: its user, directory and environment unless asked otherwise."""
    config, host = record.config, record.host
    given = {entry.partition("=")[0] for entry in exec.env}
    env = [entry for entry in config.env or [] if entry.partition("=")[0] not in given]
    chosen = list(capabilities.ALL) if exec.privileged else chosen_capabilities(host)
    process: Process = {
        "args": exec.args,
        "cwd": exec.cwd or config.working_dir or "/",
        "user": _user(exec.user or config.user, host.group_add),
        "env": environment([*env, *exec.env], hostname=config.hostname, terminal=exec.tty),
        "terminal": exec.tty,
        "capabilities": _capabilities(chosen),
        "rlimits": _rlimits(host),
        "noNewPrivileges": no_new_privileges(host),
        "oomScoreAdj": host.oom_score_adj,
    }
    if exec.tty and any(console_size):
        process["consoleSize"] = {"height": console_size[0], "width": console_size[1]}
    return process


def environment(asked: list[str], *, hostname: str, terminal: bool) -> list[str]:
    """Docker's order: PATH, HOSTNAME, TERM with a terminal, unless given; then what was asked. ``NAME`` unsets."""
    given = {entry.partition("=")[0] for entry in asked}
    base = [PATH, f"HOSTNAME={hostname}"] + (["TERM=xterm"] if terminal else [])
    return [entry for entry in base if entry.partition("=")[0] not in given] + [e for e in asked if "=" in e]


def _user(text: str, groups: list[str] | None) -> User:
    user: User = {"uid": 0, "gid": 0, "username": text}  # "" too: root's further groups are the image's to say
    numbers = [int(group) for group in groups or [] if group.isdecimal()]
    if numbers:
        user["additionalGids"] = numbers
    return user


def chosen_capabilities(host: HostConfig) -> list[str]:
    """The capabilities of the container's programs."""
    return capabilities.choose(
        list(defaults.CAPABILITIES), host.cap_add or [], host.cap_drop or [], privileged=host.privileged
    )


def _capabilities(names: list[str]) -> Capabilities:
    # as dockerd since 2022 (CVE-2022-24769): nothing inheritable, nothing ambient
    return {"bounding": names, "effective": names, "permitted": names, "inheritable": [], "ambient": []}


def _rlimits(host: HostConfig) -> list[Rlimit]:
    return [{"type": f"RLIMIT_{one.name.upper()}", "soft": one.soft, "hard": one.hard} for one in host.ulimits or []]


def security(host: HostConfig) -> dict[str, str]:
    """``--security-opt`` by key."""
    pairs = (option.replace(":", "=", 1).partition("=") for option in host.security_opt or [])
    return {key: value for key, _, value in pairs}


def no_new_privileges(host: HostConfig) -> bool:
    """Whether setuid programs inside gain nothing."""
    return security(host).get("no-new-privileges", "false") in ("", "true")


def wants_seccomp(host: HostConfig) -> bool:
    """Whether the default filter applies."""
    return not host.privileged and security(host).get("seccomp") != "unconfined"


def _mounts(host: HostConfig, cgroup_version: int) -> list[Mount]:
    asked = binds.mounts(host)
    covered = {mount["destination"] for mount in asked}
    base = defaults.mounts(cgroup_version, privileged=host.privileged, shm_size=host.shm_size)
    return [mount for mount in base if mount["destination"] not in covered] + asked


def _linux(host: HostConfig) -> Linux:
    kinds = [*_NAMESPACES]
    if host.network_mode != "host":
        kinds.append("network")
    if host.cgroupns_mode != "host":
        kinds.append("cgroup")
    namespaces: list[Namespace] = [{"type": kind} for kind in kinds]
    resources = limits.resources(host)
    resources["devices"] = list(defaults.ALL_DEVICES) if host.privileged else list(defaults.DEVICE_RULES)
    made: Linux = {
        "namespaces": namespaces,
        "resources": resources,
        "devices": list(defaults.DEVICES),
        "maskedPaths": masked_paths(host),
        "readonlyPaths": readonly_paths(host),
    }
    if host.sysctls is not UNSET and host.sysctls:
        made["sysctl"] = host.sysctls
    return made


def _unconfined_paths(host: HostConfig) -> bool:
    return host.privileged or security(host).get("systempaths") == "unconfined"


def masked_paths(host: HostConfig) -> list[str]:
    """Paths hidden from the program."""
    if host.masked_paths is not None:
        return host.masked_paths
    return [] if _unconfined_paths(host) else list(defaults.MASKED)


def readonly_paths(host: HostConfig) -> list[str]:
    """Paths that the program cannot write."""
    if host.readonly_paths is not None:
        return host.readonly_paths
    return [] if _unconfined_paths(host) else list(defaults.READONLY)
