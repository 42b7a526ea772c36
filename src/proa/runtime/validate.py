"""Checks of a spec before anything is done with it: shapes that later code relies on, and things that must be refused.

What the OCI specification says to ignore is ignored: unknown fields, unknown capabilities. Raises StartFailure
(``invalid``) that names the field.
"""

from ..linux.namespaces import FLAGS
from ..linux.rlimit import NUMBERS
from .messages import StartFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    from ..oci.runtime import Linux, Process, Spec

ID_MAX = (1 << 32) - 2
NAME_MAX = 64
_DEVICE_TYPES = ("c", "b", "u", "p")
_SYSCTLS = {
    "ipc": (
        "kernel.msgmax",
        "kernel.msgmnb",
        "kernel.msgmni",
        "kernel.sem",
        "kernel.shmall",
        "kernel.shmmax",
        "kernel.shmmni",
        "kernel.shm_rmid_forced",
        "fs.mqueue.",
    ),
    "network": ("net.",),
    "uts": ("kernel.domainname",),
}
"""Kernel parameters that a namespace of the container's own makes its own."""


def _need(true: object, what: str) -> None:
    if not true:
        raise StartFailure("invalid", f"invalid specification: {what}")


def spec(value: "Spec") -> None:
    """Check a whole spec."""
    _guarded(_spec, value)


def process(value: "Process") -> None:
    """Check a process, a container's first one or another."""
    _guarded(_process, value)


def _guarded(check: "Callable[[Any], None]", value: object) -> None:
    try:
        check(value)
    except (AttributeError, KeyError, TypeError, ValueError) as problem:  # a shape that no check foresaw
        raise StartFailure("invalid", f"invalid specification: {problem}") from problem


def _spec(value: "Spec") -> None:
    _need(isinstance(value, dict), "not an object")
    root = _object(value, "root")
    _need(_absolute(root.get("path")), "root.path must be an absolute path")
    _process(_object(value, "process"))
    for name in ("hostname", "domainname"):
        text = value.get(name, "")
        _need(isinstance(text, str) and len(text.encode("utf-8", "surrogateescape")) <= NAME_MAX, f"{name} is too long")
    for mount in _objects(value, "mounts"):
        where = mount.get("destination", "")
        _need(_absolute(where) and where.strip("/"), "a mount's destination must be an absolute path below /")
        _need(_strings(mount.get("options", [])), "a mount's options must be strings")
        _need(_strings([mount.get("source", ""), mount.get("type", "")]), "a mount's source and type must be strings")
    if "linux" in value:
        _linux(value["linux"])


def _process(value: "Any") -> None:
    _need(isinstance(value, dict), "process must be an object")
    args = value.get("args")
    _need(args and _strings(args), "process.args must be a list of strings, at least one")
    _need(_strings(value.get("env", [])), "process.env must be a list of strings")
    _need(_absolute(value.get("cwd")), "process.cwd must be an absolute path")
    user = _object(value, "user")
    _need(isinstance(user.get("username", ""), str), "process.user.username must be a string")
    for number in (user.get("uid"), user.get("gid"), *user.get("additionalGids", ())):
        _need(_integer(number, 0, ID_MAX), f"process.user: {number!r} is no id")
    for limit in _objects(value, "rlimits"):
        _need(limit.get("type") in NUMBERS, f"process.rlimits: unknown limit {limit.get('type')!r}")
        _need(isinstance(limit.get("soft"), int) and isinstance(limit.get("hard"), int), "process.rlimits: no number")
    score = value.get("oomScoreAdj")
    _need(score is None or _integer(score, -1000, 1000), "process.oomScoreAdj must lie in -1000..1000")
    for name, listed in value.get("capabilities", {}).items():
        _need(_strings(listed), f"process.capabilities.{name} must be a list of strings")
    size = value.get("consoleSize")
    if size is not None:
        _need(_integer(size.get("height"), 0, 65535) and _integer(size.get("width"), 0, 65535), "process.consoleSize")


def _linux(value: "Linux") -> None:
    _need(isinstance(value, dict), "linux must be an object")
    types = [one.get("type") for one in _objects(value, "namespaces")]
    for type in types:
        _need(type in FLAGS, f"linux.namespaces: unknown type {type!r}")
        _need(types.count(type) == 1, f"linux.namespaces: {type} twice")
    for one in _objects(value, "devices"):
        _need(_absolute(one.get("path")), "a device's path must be absolute")
        _need(one.get("type") in _DEVICE_TYPES, f"linux.devices: unknown type {one.get('type')!r}")
    for name in ("maskedPaths", "readonlyPaths"):
        paths = value.get(name, [])
        _need(isinstance(paths, list) and all(map(_absolute, paths)), f"linux.{name} must be absolute paths")
    _maps(value, "user" in types)
    for name, text in value.get("sysctl", {}).items():
        _need(_sysctl(name, types), f"sysctl {name!r} is not of a namespace of the container's own")
        _need(isinstance(text, str), f"sysctl {name!r} must be a string")


def _maps(value: "Linux", wanted: bool) -> None:
    maps = [*_objects(value, "uidMappings"), *_objects(value, "gidMappings")]
    _need(wanted or not maps, "id mappings without a user namespace")
    for one in maps:
        numbers = (one.get("containerID"), one.get("hostID"), one.get("size"))
        _need(all(_integer(number, 0, ID_MAX) for number in numbers), "an id mapping must be three numbers")


def _sysctl(name: str, types: "list[Any]") -> bool:
    if not all(part and part != ".." and "/" not in part for part in name.split(".")):
        return False
    known = [prefix for type in types for prefix in _SYSCTLS.get(type, ())]
    return any(name == prefix or (prefix.endswith(".") and name.startswith(prefix)) for prefix in known)


def _object(value: "Any", name: str) -> "dict[str, Any]":
    found = value.get(name)
    _need(isinstance(found, dict), f"{name} must be an object")
    return found  # type: ignore[no-any-return]  # just checked


def _objects(value: "Any", name: str) -> "list[dict[str, Any]]":
    found = value.get(name) or []
    _need(isinstance(found, list) and all(isinstance(one, dict) for one in found), f"{name} must be a list of objects")
    return found


def _strings(value: object) -> bool:
    return isinstance(value, list) and all(isinstance(one, str) and "\0" not in one for one in value)


def _absolute(value: object) -> bool:
    return isinstance(value, str) and value.startswith("/") and "\0" not in value


def _integer(value: object, least: int, most: int) -> bool:
    return isinstance(value, int) and least <= value <= most
