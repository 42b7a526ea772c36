"""Docker's ways of writing a moment; ours is an int, ns since the epoch."""

from __future__ import annotations

import re
import time
from calendar import timegm

from ..errors import InvalidRequest

NEVER = "0001-01-01T00:00:00Z"
_RFC3339 = re.compile(
    r"(\d{4}-\d\d-\d\d)(?:[Tt ](\d\d:\d\d(?::\d\d)?)(?:\.(\d{1,9})\d*)?)?(Z|z|[+-]\d\d:\d\d)?\Z", re.ASCII
)
_PART = re.compile(r"(\d{1,9}(?:\.\d{1,9})?)(ns|us|µs|ms|s|m|h)", re.ASCII)
_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_UNIX = re.compile(r"(-?\d{1,12})(?:\.(\d{1,9})\d*)?\Z", re.ASCII)


def rfc3339(ns: int) -> str:
    """RFC3339Nano, UTC, as Go writes it: no trailing zeros. 0 is Docker's "never"."""
    if not ns:
        return NEVER
    seconds, rest = divmod(ns, 1_000_000_000)
    text = time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds))
    fraction = f".{rest:09d}".rstrip("0") if rest else ""
    return f"{text}{fraction}Z"


def rfc3339_nine(ns: int) -> str:
    """With nine digits always: the form of log lines."""
    seconds, rest = divmod(ns, 1_000_000_000)
    return time.strftime("%Y-%m-%dT%H:%M:%S", time.gmtime(seconds)) + f".{rest:09d}Z"


def parse(text: str) -> int:
    """A since= or until= parameter: unix seconds with optional ``.nanos``, or RFC 3339. Raises InvalidRequest."""
    unix = _UNIX.match(text)
    if unix:
        return int(unix[1]) * 1_000_000_000 + int((unix[2] or "0").ljust(9, "0"))
    try:
        return parse_rfc3339(text)
    except ValueError as problem:
        raise InvalidRequest(f"invalid timestamp: {text!r}", code="invalid-timestamp", input=text) from problem


def duration(text: str) -> int | None:
    """A duration as Go writes it (``1h30m``, ``90s``) in ns; None if it is none."""
    parts = _PART.findall(text)
    if not parts or "".join(number + unit for number, unit in parts) != text:
        return None
    return sum(int(float(number) * _UNITS[unit]) for number, unit in parts)


def parse_rfc3339(text: str) -> int:
    """Raises ValueError."""
    match = _RFC3339.match(text)
    if match is None:
        raise ValueError(text)
    clock = match[2] or "00:00:00"
    clock += ":00" if len(clock) == 5 else ""
    seconds = timegm(time.strptime(f"{match[1]}T{clock}", "%Y-%m-%dT%H:%M:%S"))
    zone = match[4] or "Z"
    if zone not in "Zz":
        offset = int(zone[1:3]) * 3600 + int(zone[4:6]) * 60
        seconds -= offset if zone[0] == "+" else -offset
    return seconds * 1_000_000_000 + int((match[3] or "0").ljust(9, "0"))
