"""A Python interpreter as files: what must be packed so that the same interpreter runs inside a guest.

Interpreters lie in many places and shapes (one binary, a shared libpython, a private prefix), so all files keep the
paths that they have on the host, and their libraries are read from their own ELF headers.
"""

from __future__ import annotations

import os
import sys
from typing import NamedTuple

from ...errors import HostCannot
from . import elf


class Interpreter(NamedTuple):
    """``executable``: its real path; ``library``: the directory of its standard library."""

    executable: str
    library: str


def own() -> Interpreter:
    """The interpreter that runs this (a venv's: the one behind it). Raises HostCannot where it cannot be packed."""
    executable = os.path.realpath(getattr(sys, "_base_executable", "") or sys.executable)
    loader = elf.read(executable).interpreter
    if "ld-linux" not in loader:
        raise HostCannot(
            f"the Python at {executable} cannot be packed for a guest: it is not linked against glibc",
            hull="vm",
            missing="a Python linked against glibc",
            code="interpreter-unsuitable",
        )
    return Interpreter(executable, os.path.dirname(os.__file__))


def files(python: Interpreter, extensions: list[str]) -> list[str]:
    """The executable, the extension modules and every library that any of them is loaded with."""
    found, absent = elf.closure([python.executable, *extensions])
    if absent:
        raise HostCannot(
            f"libraries of {python.executable} were not found: {', '.join(absent)}",
            hull="vm",
            missing=", ".join(absent),
            code="interpreter-unsuitable",
        )
    return list(found)
