"""What host and guest both know of a program's surroundings inside the machine: where its root is, what lies ready.

Docker's own set of mounts is the same for nearly every program, so the guest builds it before the machine is saved
(guest/ready.py). A spec that asks for exactly that gets it bound into its root; any other has its own built.
"""

from ...runtime import defaults

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Any

    from ...oci.runtime import Mount
    from ..bundle import File

ROOT = "/run/root"
READY = "/run/ready"
FILES = "/run"
MACHINE_ID = "machine-id"
FILTER = "filter"
"""The name of Docker's own system call filter: in the boot image, in a template's directory, in an order."""
_TOPS = ("/proc", "/dev", "/sys")
_NAMESPACES = ("pid", "mount", "uts", "ipc", "cgroup")


def inside(spec: "Any", files: "Sequence[File]") -> "Any":
    """The spec as it holds inside the machine: the guest's root, its files, and the machine's own network."""
    linux = spec.get("linux", {})
    mounts = [_bind(MACHINE_ID, "/etc/machine-id", readonly=True)]
    mounts += [_bind(name_of(n), file["destination"], readonly=file["readonly"]) for n, file in enumerate(files)]
    return {
        **spec,
        "root": {**spec["root"], "path": ROOT},
        "mounts": [*spec.get("mounts", []), *mounts],
        "linux": {**linux, "namespaces": [{"type": name} for name in _NAMESPACES]},
    }


def name_of(number: int) -> str:
    """The engine's file ``number`` as the guest names it."""
    return f"file-{number}"


def use(spec: "Any") -> "Any":
    """The spec with the ready set in place of what it asks for, if that is the same."""
    linux = spec.get("linux", {})
    standard = defaults.mounts(2)
    asked = spec.get("mounts", [])
    if (
        asked[: len(standard)] != standard
        or linux.get("maskedPaths") != defaults.MASKED
        or linux.get("readonlyPaths") != defaults.READONLY
        or linux.get("devices", []) not in ([], defaults.DEVICES)
    ):
        return spec
    rest = {**linux, "maskedPaths": [], "readonlyPaths": [], "devices": []}
    return {**spec, "mounts": [*_bound(), *asked[len(standard) :]], "linux": rest}


def undo(spec: "Any") -> "Any":
    """The spec that asks for what ``use`` has put in its place."""
    bound = _bound()
    if spec.get("mounts", [])[: len(bound)] != bound:
        return spec
    paths = {"maskedPaths": list(defaults.MASKED), "readonlyPaths": list(defaults.READONLY)}
    linux = {**spec["linux"], **paths, "devices": list(defaults.DEVICES)}
    return {**spec, "mounts": [*defaults.mounts(2), *spec["mounts"][len(bound) :]], "linux": linux}


def _bound() -> "list[Mount]":
    return [{"destination": path, "type": "bind", "source": READY + path, "options": ["rbind"]} for path in _TOPS]


def _bind(name: str, destination: str, *, readonly: bool) -> "Mount":
    options = ["bind", "ro"] if readonly else ["bind"]
    return {"destination": destination, "type": "bind", "source": f"{FILES}/{name}", "options": options}
