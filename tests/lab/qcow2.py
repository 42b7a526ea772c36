"""An empty qcow2 file on top of another: what ``qemu-img create -b`` writes, without needing it (docs/interop/qcow2).

cluster 0  header, the format and the name of the file below     2  reference counts: these four clusters have one
cluster 1  table of reference count blocks                       3  table of tables: no cluster of its own yet
"""

from __future__ import annotations

import struct
from pathlib import Path

CLUSTER_BITS = 16
CLUSTER = 1 << CLUSTER_BITS
HEADER = struct.Struct(">4sIQIIQIIQQIIQQQQII")
BACKING_FORMAT = 0xE2792ACA
L2_COVERS = CLUSTER // 8 * CLUSTER
"""Bytes of the disk that one entry of the table of tables stands for."""


def create(path: Path, below: Path, kind: str, size: int) -> Path:
    """Write it: a disk of ``size`` bytes that shows ``below`` (``kind``: raw or qcow2) until it is written to."""
    tables = -(-size // L2_COVERS)
    assert tables * 8 <= CLUSTER
    name, format = str(below).encode(), kind.encode()
    extension = struct.pack(">II", BACKING_FORMAT, len(format)) + format.ljust(-(-len(format) // 8) * 8, b"\0")
    extension += struct.pack(">II", 0, 0)
    header = HEADER.pack(
        *(b"QFI\xfb", 3, HEADER.size + len(extension), len(name), CLUSTER_BITS, size, 0, tables, 3 * CLUSTER),
        *(CLUSTER, 1, 0, 0, 0, 0, 0, 4, HEADER.size),
    )
    clusters = [header + extension + name, struct.pack(">Q", 2 * CLUSTER), struct.pack(">4H", 1, 1, 1, 1), b""]
    path.write_bytes(b"".join(cluster.ljust(CLUSTER, b"\0") for cluster in clusters))
    return path
