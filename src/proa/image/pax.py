"""Pax extended headers: records ``LENGTH KEY=VALUE\\n`` (POSIX pax(1)), and what they change in a tar member.

Values stay bytes: a binary extended attribute (SCHILY.xattr.security.capability) has NULs and newlines in it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from .refusal import refuse

if TYPE_CHECKING:
    from ..errors import InvalidRequest
    from .member import Member

XATTR = b"SCHILY.xattr."
_ID_MAX = (1 << 32) - 2
_SIZE_MAX = (1 << 63) - 1


def records(data: bytes) -> dict[bytes, bytes]:
    """All records of one header. Raises InvalidRequest (``tar-pax-invalid``)."""
    found: dict[bytes, bytes] = {}
    at = 0
    while at < len(data):
        space = data.find(b" ", at, at + 20)
        digits = data[at:space] if space >= 0 else b""
        if not digits.isdigit():
            raise _invalid("a record has no length")
        end = at + int(digits)
        key, equals, value = data[space + 1 : end - 1].partition(b"=")
        if end > len(data) or end <= space + 1 or data[end - 1] != 0x0A or not equals or not key:
            raise _invalid("a record is malformed")
        found[key] = value
        at = end
    return found


def apply(member: Member, known: dict[bytes, bytes], xattrs_max: int) -> None:
    """Put what the records say into ``member``; an empty value means: as the header says. Raises InvalidRequest."""
    for key, value in known.items():
        if key.startswith(XATTR):
            member.xattrs[key[len(XATTR) :]] = value
        elif key.startswith(b"GNU.sparse."):
            raise refuse(
                "tar-unsupported", "a GNU sparse file is not supported (pack it without --sparse)", member.path
            )
        elif value:
            _apply_one(member, key, value)
    if member.xattrs and sum(len(name) + len(value) for name, value in member.xattrs.items()) > xattrs_max:
        raise refuse("tar-header-too-large", f"extended attributes of more than {xattrs_max} bytes", member.path)


def _apply_one(member: Member, key: bytes, value: bytes) -> None:
    if key == b"path":
        member.path = _name(value)
    elif key == b"linkpath":
        member.link = _name(value)
    elif key == b"size":
        member.size = _number(value, _SIZE_MAX)
    elif key == b"uid":
        member.uid = _number(value, _ID_MAX)
    elif key == b"gid":
        member.gid = _number(value, _ID_MAX)
    elif key == b"mtime":
        member.mtime = _time(value)


def _name(value: bytes) -> bytes:
    if b"\0" in value:
        raise _invalid("a path has a NUL byte in it")
    return value


def _number(value: bytes, most: int) -> int:
    if not value.isdigit() or len(value) > 20 or int(value) > most:
        raise _invalid("a number is malformed or out of range")
    return int(value)


def _time(value: bytes) -> int:
    """Decimal seconds, perhaps negative or with a fraction, as ns."""
    whole, _, fraction = value.removeprefix(b"-").partition(b".")
    if not whole.isdigit() or len(whole) > 18 or (fraction and not fraction.isdigit()):
        raise _invalid("a time is malformed")
    ns = int(whole) * 1_000_000_000 + int((fraction + b"000000000")[:9])
    return -ns if value.startswith(b"-") else ns


def _invalid(why: str) -> InvalidRequest:
    return refuse("tar-pax-invalid", f"a pax header is invalid: {why}")
