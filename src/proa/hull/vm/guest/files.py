"""Small files that the program finds in /etc: written here, bound into its root by init, never on its disk."""

import os

from ..standard import FILES, MACHINE_ID, name_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

    from ...bundle import File

_PLACE = FILES
_EXPECTED = 3
"""How many files the engine has for nearly every program: resolv.conf, hostname, hosts."""


def prepare() -> None:
    """Make them, empty: what a restored machine need not do. Raises OSError."""
    set_machine_id("")
    for number in range(_EXPECTED):
        _write(name_of(number), 0o644, "")


def set_machine_id(text: str) -> None:
    """Write machine-id(5)."""
    _write(MACHINE_ID, 0o444, text and text + "\n")


def place(files: "Iterable[File]") -> None:
    """Write the engine's files, for the mounts that show them (``standard.inside``). Raises OSError."""
    for number, file in enumerate(files):
        _write(name_of(number), 0o644, file["text"])


def _write(name: str, mode: int, text: str) -> None:
    fd = os.open(f"{_PLACE}/{name}", os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, mode)
    try:
        if text:
            os.write(fd, text.encode("utf-8", "surrogateescape"))
    finally:
        os.close(fd)
