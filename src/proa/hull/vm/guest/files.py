"""Small files that the program finds in /etc: written here, bound into its root by init, never on its disk."""

import os

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ....oci.runtime import Mount
    from ...bundle import File

_PLACE = "/run"
_MACHINE_ID = "machine-id"


def set_machine_id(text: str) -> None:
    """Write machine-id(5)."""
    _write(_MACHINE_ID, 0o444, text + "\n")


def place(files: "Iterable[File]") -> "list[Mount]":
    """Write the engine's files; the mounts that show them and machine-id. Raises OSError."""
    mounts = [_bind(_MACHINE_ID, "/etc/machine-id", readonly=True)]
    for number, file in enumerate(files):
        name = f"file-{number}"
        _write(name, 0o644, file["text"])
        mounts.append(_bind(name, file["destination"], readonly=file["readonly"]))
    return mounts


def _bind(name: str, destination: str, *, readonly: bool) -> "Mount":
    options = ["bind", "ro"] if readonly else ["bind"]
    return {"destination": destination, "type": "bind", "source": f"{_PLACE}/{name}", "options": options}


def _write(name: str, mode: int, text: str) -> None:
    fd = os.open(f"{_PLACE}/{name}", os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, mode)
    try:
        os.write(fd, text.encode("utf-8", "surrogateescape"))
    finally:
        os.close(fd)
