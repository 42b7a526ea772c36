"""Who the program runs as: Docker's USER text, looked up in the container's own /etc/passwd and /etc/group.

The rules are moby's (sys/user, GetExecUser): a number need not be listed; a name must; the first match wins;
supplementary groups are those that list the user, unless a group was given. Runs with the container's root as root.
"""

import os

from .messages import StartFailure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ..oci.runtime import User

ID_MAX = (1 << 31) - 1
FILE_MAX = 8 << 20
"""Bytes of passwd or group that are read: an image must not fill the memory of who reads it."""

_S_IFMT, _S_IFREG = 0o170000, 0o100000


class Identity:
    """``uid``, ``gid``, ``groups`` (supplementary; the primary one first, as Docker does since 20.10.18), ``home``."""

    __slots__ = ("gid", "groups", "home", "uid")

    def __init__(self, uid: int, gid: int, groups: "list[int]", home: str) -> None:
        self.uid = uid
        self.gid = gid
        self.groups = groups
        self.home = home


def read(path: str) -> "list[list[str]]":
    """The fields of a passwd or group file; nothing for what is missing, no regular file, or too large."""
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError:
        return []
    try:
        info = os.fstat(fd)
        if info.st_mode & _S_IFMT != _S_IFREG or info.st_size > FILE_MAX:
            return []
        text = os.read(fd, info.st_size).decode("utf-8", "surrogateescape")
    except OSError:
        return []
    finally:
        os.close(fd)
    return [line.split(":") for line in text.split("\n") if line and line[0] != "#"]


def find(user: "User", *, need_home: bool, read: "Callable[[str], list[list[str]]]" = read) -> Identity:
    """The identity that a spec's user means. Raises StartFailure (``invalid``)."""
    extra = user.get("additionalGids", [])
    if "username" not in user:
        home = _home(read("/etc/passwd"), user["uid"]) if need_home else ""
        return Identity(user["uid"], user["gid"], _unique([user["gid"], *extra]), home)
    who, _, group = user["username"].partition(":")
    uid, gid, name, home = _who(who or str(user["uid"]), read("/etc/passwd"), user["gid"], given=bool(who))
    groups: list[int] = []
    if group:
        gid = _group(group, read("/etc/group"))
    elif name:
        groups = [_checked(number) for number in map(_gid, _listing(read("/etc/group"), name)) if number is not None]
    return Identity(uid, gid, _unique([gid, *groups, *extra]), home)


def _who(who: str, passwd: "list[list[str]]", gid: int, given: bool) -> "tuple[int, int, str, str]":
    """(uid, gid, name or "" when it is not listed, home)."""
    number = _number(who)
    for row in passwd:
        listed = _number(row[2]) if len(row) > 3 else None
        if listed is None or (row[0] != who if number is None else listed != number):
            continue
        return _checked(listed), _checked(_number(row[3]) or 0), row[0], row[5] if len(row) > 5 else ""
    if number is None:
        raise StartFailure("invalid", f"unable to find user {who}: no matching entries in passwd file")
    return _checked(number), gid if not given else 0, "", ""


def _group(group: str, rows: "list[list[str]]") -> int:
    number = _number(group)
    for row in rows:
        listed = _gid(row)
        if listed is not None and (row[0] == group if number is None else listed == number):
            return _checked(listed)
    if number is None:
        raise StartFailure("invalid", f"unable to find group {group}: no matching entries in group file")
    return _checked(number)


def _checked(number: int) -> int:
    """An id that may be set. -1 would leave the program the one that we have: setresuid(2)."""
    if not 0 <= number <= ID_MAX:
        raise StartFailure("invalid", f"uids and gids must be in range 0-{ID_MAX}")
    return number


def _listing(rows: "list[list[str]]", name: str) -> "list[list[str]]":
    return [row for row in rows if len(row) > 3 and name in row[3].split(",")]


def _gid(row: "list[str]") -> "int | None":
    return _number(row[2]) if len(row) > 2 else None


def _home(passwd: "list[list[str]]", uid: int) -> str:
    for row in passwd:
        if len(row) > 5 and _number(row[2]) == uid:
            return row[5]
    return ""


def _number(text: str) -> "int | None":
    digits = text[1:] if text[:1] in ("-", "+") else text
    return int(text) if digits.isascii() and digits.isdigit() and len(digits) < 20 else None


def _unique(numbers: "list[int]") -> "list[int]":
    return list(dict.fromkeys(numbers))
