"""Archives for tests: written by the standard library (a second implementation), and by hand where it refuses."""

from __future__ import annotations

import io
import tarfile
from dataclasses import dataclass, field

from proa.image import layer, tar
from proa.image.index import Index
from proa.image.member import Limits

END = bytes(10240)


@dataclass
class E:
    """One entry. ``kind`` as tarfile has it."""

    name: str
    data: bytes = b""
    kind: bytes = tarfile.REGTYPE
    link: str = ""
    mode: int = 0o644
    uid: int = 0
    gid: int = 0
    mtime: float = 1_700_000_000
    device: tuple[int, int] = (0, 0)
    pax: dict[str, str] = field(default_factory=dict)


def directory(name: str, mode: int = 0o755, **more: object) -> E:
    return E(name, kind=tarfile.DIRTYPE, mode=mode, **more)  # type: ignore[arg-type]


def symlink(name: str, link: str) -> E:
    return E(name, kind=tarfile.SYMTYPE, link=link, mode=0o777)


def hardlink(name: str, link: str) -> E:
    return E(name, kind=tarfile.LNKTYPE, link=link)


def device(name: str, major: int, minor: int) -> E:
    return E(name, kind=tarfile.CHRTYPE, device=(major, minor), mode=0o666)


def make(*entries: E, form: int = tarfile.PAX_FORMAT) -> bytes:
    """A whole archive."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=form) as archive:
        for entry in entries:
            info = tarfile.TarInfo(entry.name)
            info.type, info.size, info.mode = entry.kind, len(entry.data), entry.mode
            info.uid, info.gid, info.mtime = entry.uid, entry.gid, entry.mtime
            info.linkname, info.pax_headers = entry.link, entry.pax
            info.devmajor, info.devminor = entry.device
            archive.addfile(info, io.BytesIO(entry.data))
    return out.getvalue()


def header(name: bytes, kind: bytes = b"0", size: int | bytes = 0, link: bytes = b"", **fields: bytes) -> bytes:
    """One raw ustar header; ``fields`` overwrite: uid, gid, mode, mtime, devmajor, checksum, prefix, magic."""
    stated = size if isinstance(size, bytes) else b"%011o\0" % size
    parts = [
        name[:100].ljust(100, b"\0"),
        fields.get("mode", b"0000644\0"),
        fields.get("uid", b"0000000\0"),
        fields.get("gid", b"0000000\0"),
        stated,
        fields.get("mtime", b"00000000000\0"),
        b" " * 8,
        kind,
        link[:100].ljust(100, b"\0"),
        fields.get("magic", b"ustar\x0000"),
        bytes(64),
        fields.get("devmajor", b"0000000\0"),
        b"0000000\0",
        fields.get("prefix", b"").ljust(155, b"\0"),
        bytes(12),
    ]
    block = b"".join(parts)
    checksum = fields.get("checksum", b"%06o\0 " % sum(block))
    return block[:148] + checksum + block[156:]


def padded(data: bytes) -> bytes:
    return data + bytes(-len(data) % 512)


def pax(*records: tuple[bytes, bytes]) -> bytes:
    """A raw pax header block with its records."""
    body = b""
    for key, value in records:
        rest = b" " + key + b"=" + value + b"\n"
        length = len(rest) + 1
        while len(str(length)) + len(rest) != length:
            length = len(str(length)) + len(rest)
        body += b"%d" % length + rest
    return header(b"pax", b"x", len(body)) + padded(body)


def read(data: bytes, limits: Limits | None = None) -> Index:
    """The tree of an archive in memory."""
    return layer.read(tar.Stream(io.BytesIO(data)), limits or Limits())


def paths(index: Index) -> list[str]:
    """Every path of a tree, in order."""
    found: list[str] = []

    def walk(node: object, prefix: str) -> None:
        for name, child in node.children.items():  # type: ignore[attr-defined]
            found.append(prefix + name.decode())
            if hasattr(child, "children"):
                walk(child, prefix + name.decode() + "/")

    walk(index.root, "")
    return found
