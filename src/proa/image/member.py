"""One entry of an archive, as it states itself, and the budgets of a whole one."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Limits:
    """Budgets of one archive: ``bytes`` of output, ``entries``, a path's and a component's length, bytes of one pax or
    GNU header, bytes of all extended attributes of one entry, and output per input byte once ``ratio_from`` bytes came
    out; ``depth``: components of a path; ``tail``: bytes of padding behind the end mark. ``end_mark``: an archive must
    have one, unless a digest says that it is whole."""

    bytes: int = 60 << 30
    entries: int = 1_000_000
    path: int = 4095
    component: int = 255
    header: int = 1 << 20
    xattrs: int = 64 << 10
    depth: int = 256
    ratio: int = 500
    ratio_from: int = 1 << 30
    tail: int = 1 << 20
    end_mark: bool = True


@dataclass(slots=True)
class Member:
    """One entry as the archive states it. ``kind``: a ustar type flag, one of KINDS; ``path``, ``link``: raw bytes,
    nothing resolved; ``mtime``: ns since the epoch; ``device``: (major, minor); ``offset``: of its data."""

    path: bytes
    kind: bytes
    mode: int
    uid: int
    gid: int
    size: int
    mtime: int
    link: bytes
    device: tuple[int, int]
    offset: int = 0
    xattrs: dict[bytes, bytes] = field(default_factory=dict)
