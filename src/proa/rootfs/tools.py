"""Where the programs are that make block images: on the host, else among the fetched parts.

Fetched parts are unpacked packages that were never installed: ``<parts>/<set>/root/`` with ``<set>/complete`` beside
it. Their binaries run through their own dynamic loader and their own libraries, so that they neither need nor touch
the host's.
"""

from __future__ import annotations

import glob
import os
import shutil
from typing import TYPE_CHECKING

from ..errors import HostCannot

if TYPE_CHECKING:
    from ..places import Places

SETS = {"sqfstar": "squashfs-tools", "mke2fs": "e2fsprogs"}
SHARED = "/var/lib/proa/parts"
_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin"
_DIRECTORIES = ("usr/bin", "usr/sbin", "bin", "sbin")
_LOADERS = (
    "lib64/ld-linux-x86-64.so.2",
    "lib/ld-linux-aarch64.so.1",
    "usr/lib*/ld-linux-*.so.*",
    "usr/lib/*/ld-linux-*.so.*",
)


def find(name: str, places: Places) -> list[str]:
    """The start of a command line that runs ``name``. Raises HostCannot (``missing-tool``)."""
    on_host = shutil.which(name, path=_PATH)
    if on_host:
        return [on_host]
    for parts in (places.state + "/parts", SHARED):
        root = f"{parts}/{SETS[name]}/root"
        if os.path.exists(f"{parts}/{SETS[name]}/complete"):
            found = _unpacked(root, name)
            if found:
                return found
    raise HostCannot(
        f"{name} is not on this host: a virtual machine's disks cannot be made without it",
        hull="vm",
        missing=SETS[name],
        code="missing-tool",
        input=name,
        next_step="proa setup" if os.geteuid() == 0 else "proa setup --user",
    )


def _unpacked(root: str, name: str) -> list[str]:
    program = next((p for d in _DIRECTORIES if os.access(p := f"{root}/{d}/{name}", os.X_OK)), "")
    if not program:
        return []
    loader = next((p for pattern in _LOADERS for p in sorted(glob.glob(f"{glob.escape(root)}/{pattern}"))), "")
    if not loader:
        return [program]
    libraries = [p for pattern in ("lib/*-linux-gnu", "usr/lib/*-linux-gnu", "usr/lib64", "lib64")
                 for p in sorted(glob.glob(f"{glob.escape(root)}/{pattern}"))]  # fmt: skip
    return [loader, "--library-path", ":".join(libraries), program]
