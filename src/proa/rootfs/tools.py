"""Where the program is that makes empty file systems: on the host, else among the fetched parts.

Fetched parts are unpacked packages that were never installed: ``<parts>/<set>/root/`` with ``<set>/complete`` beside
it. Their binaries run through their own dynamic loader and their own libraries, so that they neither need nor touch
the host's.
"""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from ..errors import HostCannot

if TYPE_CHECKING:
    from ..places import Places

SETS = {"mke2fs": "e2fsprogs", "debugfs": "e2fsprogs"}
SHARED = "/var/lib/proa/parts"
PATH = ("/usr/local/sbin", "/usr/local/bin", "/usr/sbin", "/usr/bin", "/sbin", "/bin")
_DIRECTORIES = ("usr/sbin", "usr/bin", "sbin", "bin")
_LOADERS = {
    "x86_64": ("lib64/ld-linux-x86-64.so.2", "usr/lib64/ld-linux-x86-64.so.2", "lib/x86_64-linux-gnu"),
    "aarch64": ("lib/ld-linux-aarch64.so.1", "usr/lib/ld-linux-aarch64.so.1", "lib/aarch64-linux-gnu"),
}


def find(name: str, places: Places) -> list[str]:
    """The start of a command line that runs ``name``. Raises HostCannot (``missing-tool``)."""
    for directory in PATH:
        if os.access(f"{directory}/{name}", os.X_OK):
            return [f"{directory}/{name}"]
    for parts in (places.state + "/parts", SHARED):
        where = f"{parts}/{SETS[name]}"
        if os.path.exists(where + "/complete") and (found := _unpacked(where + "/root", name)):
            return found
    raise HostCannot(
        f"{name} is not on this host: a virtual machine's disk cannot be made without it",
        hull="vm",
        missing=SETS[name],
        code="missing-tool",
        input=name,
        next_step="proa setup" if os.geteuid() == 0 else "proa setup --user",
    )


def _unpacked(root: str, name: str) -> list[str]:
    program = next((p for d in _DIRECTORIES if os.access(p := f"{root}/{d}/{name}", os.X_OK)), "")
    *loaders, libraries = _LOADERS.get(os.uname().machine, ("",))
    loader = next((p for one in loaders if os.path.exists(p := f"{root}/{one}")), "")
    if not program or not loader:
        return [program] if program else []
    return [loader, "--library-path", f"{root}/{libraries}:{root}/usr/{libraries}", program]
