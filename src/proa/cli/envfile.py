"""Environment variables and labels as the command line and files give them: ``K=V``, or ``K`` taken from our own."""

import posix

from .. import NAME
from ..errors import InvalidRequest

_FILE_MAX = 16 << 20


def read(path: str) -> bytes:
    """The bytes of a file that an option names. Raises InvalidRequest."""
    try:
        fd = posix.open(path, posix.O_RDONLY | posix.O_CLOEXEC)
        try:
            pieces = []
            while data := posix.read(fd, 1 << 16):
                pieces.append(data)
                if sum(map(len, pieces)) > _FILE_MAX:
                    raise InvalidRequest(f"{path} is too large", code="file-too-large", input=path, exit=125)
        finally:
            posix.close(fd)
    except OSError as problem:
        what = f"open {path}: {(problem.strerror or str(problem)).lower()}"
        raise InvalidRequest(what, code="cannot-read", input=path, exit=125) from problem
    return b"".join(pieces)


def lines(path: str, own: bool) -> "list[str]":
    """The entries of a file; ``own``: a bare name takes our variable, and is left out where we have none."""
    found: list[str] = []
    text = read(path).removeprefix(b"\xef\xbb\xbf").decode("utf-8", "surrogateescape")
    for line in text.split("\n"):
        line = line.rstrip("\r").lstrip(" \t")
        if not line or line.startswith("#"):
            continue
        name = line.partition("=")[0]
        if not name or " " in name or "\t" in name:
            what = f"invalid environment file: {path}: variable {name!r} contains whitespaces"
            raise InvalidRequest(what, code="invalid-env-file", input=line, exit=125)
        found.append(line)
    return resolve(found) if own else found


def resolve(entries: "list[str]") -> "list[str]":
    """``K`` becomes ``K=V`` of our own environment, or goes where we have no such variable. Raises InvalidRequest."""
    out = []
    for entry in entries:
        name, equals, _ = entry.partition("=")
        if not name:
            what = f"invalid environment variable: {entry}"
            raise InvalidRequest(
                what, code="invalid-env", input=entry, next_step=f"{NAME} run -e NAME=VALUE …", exit=125
            )
        if equals:
            out.append(entry)
            continue
        value = posix.environ.get(name.encode("utf-8", "surrogateescape"))
        if value is not None:
            out.append(f"{name}={value.decode('utf-8', 'surrogateescape')}")
    return out


def pairs(entries: "list[str]") -> "dict[str, str]":
    """Labels and the like: ``k=v`` or ``k``."""
    return {name: value for name, _, value in (entry.partition("=") for entry in entries)}
