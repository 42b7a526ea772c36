"""The order that starts a VM's program, written on the host as far as the host can: emulated, each line costs more."""

import os

from ... import jsontext
from ...runtime import defaults, messages, validate
from . import standard
from .guest import nodes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ..bundle import Bundle, File

_FILTER_MAX = 1 << 20


def make(bundle: "Bundle", template: str) -> "dict[str, Any]":
    """The fields of a run message (see port) for a machine restored from the directory ``template``.

    Raises StartFailure, OSError: the filter cannot be read.
    """
    files = bundle.get("files", [])
    validate.spec(bundle["spec"])
    spec = standard.use(standard.inside(bundle["spec"], files))
    filter = _read(bundle["seccomp"])
    order = messages.order(spec, seccomp=filter, init=bundle["init"], nofile=bundle["nofile"], hierarchies=[""])
    if filter and filter == _read(f"{template}/{standard.FILTER}"):
        order["seccomp"] = standard.FILTER
    return {
        "order": jsontext.dumps(order).decode(),
        "terminal": bool(spec["process"].get("terminal")),
        "devices": nodes.every(spec),
        "resources": _resources(spec),
        "files": [_inside(file) for file in files],
    }


def _resources(spec: "Any") -> "dict[str, Any]":
    """What the guest has to set: Docker's rules for devices hold there already."""
    asked = dict(spec.get("linux", {}).get("resources", {}))
    if asked.get("devices") == defaults.DEVICE_RULES:
        del asked["devices"]
    return asked


def _inside(file: "File") -> "dict[str, Any]":
    """What a guest needs of a file, and no path of the host's."""
    return {"destination": file["destination"], "text": file["text"], "readonly": file["readonly"]}


def _read(path: str) -> bytes:
    if not path:
        return b""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, _FILTER_MAX)
    finally:
        os.close(fd)
