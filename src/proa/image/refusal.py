"""How a hostile or broken archive is refused: a stable ``tar-…`` code, and the entry named as inert text."""

from __future__ import annotations

from ..errors import InvalidRequest

SHOWN_MAX = 200


def shown(path: bytes) -> str:
    """A path from an archive, safe to print: no control characters, no escapes, no endless line."""
    text = path[:SHOWN_MAX].decode("utf-8", "backslashreplace")
    inert = "".join(c if c.isprintable() else c.encode("unicode_escape").decode() for c in text)
    return inert + ("…" if len(path) > SHOWN_MAX else "")


def refuse(code: str, what: str, path: bytes = b"") -> InvalidRequest:
    """The error to raise: ``what`` is wrong with the archive, at the entry ``path``."""
    name = shown(path)
    return InvalidRequest(f"{what}: {name}" if name else what, code=code, input=name)


def truncated(path: bytes) -> InvalidRequest:
    """The archive ends within this entry."""
    return refuse("tar-truncated", "the archive ends in the middle of an entry", path)
