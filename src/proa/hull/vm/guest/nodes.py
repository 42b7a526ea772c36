"""The machine's own devices, for a privileged program: all there are but the ones that process 1 lives by."""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ....oci.runtime import Device

_DEV = "/dev"
_OURS = ("console", "ptmx", "tty", "fd", "stdin", "stdout", "stderr")
_PORT = "vport"
_S_IFMT, _S_IFCHR, _S_IFBLK = 0o170000, 0o020000, 0o060000


def add(spec: "Any") -> "Any":
    """The spec with the machine's nodes, if its rules allow every device."""
    linux = spec.get("linux", {})
    if not every(spec):
        return spec
    asked = linux.get("devices", [])
    paths = {device["path"] for device in asked}
    return {**spec, "linux": {**linux, "devices": [*asked, *(node for node in _nodes() if node["path"] not in paths)]}}


def every(spec: "Any") -> bool:
    """Whether the program may use every device."""
    rules = spec.get("linux", {}).get("resources", {}).get("devices") or [{}]
    return bool(rules[-1].get("allow")) and rules[-1].get("type", "a") == "a"


def _nodes() -> "list[Device]":
    found: "list[Device]" = []
    for name in sorted(os.listdir(_DEV)):
        if name in _OURS or name.startswith(_PORT):
            continue
        status = os.lstat(f"{_DEV}/{name}")
        kind = {_S_IFCHR: "c", _S_IFBLK: "b"}.get(status.st_mode & _S_IFMT)
        if kind is not None:
            found.append(
                {
                    "type": kind,
                    "path": f"{_DEV}/{name}",
                    "major": os.major(status.st_rdev),
                    "minor": os.minor(status.st_rdev),
                    "fileMode": status.st_mode & 0o7777,
                    "uid": status.st_uid,
                    "gid": status.st_gid,
                }
            )
    return found
