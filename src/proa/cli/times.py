"""Points in time: what ``--since`` and ``--until`` mean, and how a time is shown."""

import time

from .. import NAME
from ..errors import InvalidRequest

_UNITS = {"ns": 1e-9, "us": 1e-6, "µs": 1e-6, "ms": 1e-3, "s": 1.0, "m": 60.0, "h": 3600.0}


def point(text: str, now: float | None = None) -> str:
    """Unix seconds for the API: from ``42m`` (ago), seconds, or a date in RFC 3339 (the time zone ours where it has
    none). Raises InvalidRequest."""
    if _number(text):
        return text
    seconds = duration(text)
    if seconds is not None:
        return f"{(time.time() if now is None else now) - seconds:.9f}"
    found = _date(text)
    if found is None:
        raise InvalidRequest(
            f"invalid time: {text!r}",
            code="invalid-time",
            input=text,
            next_step=f"{NAME} events --since 10m (or 2026-01-02T15:04:05Z, or seconds since 1970)",
        )
    return found


def duration(text: str) -> float | None:
    """Seconds in Go's ``1h30m``; None for anything else."""
    total, rest = 0.0, text
    while rest:
        digits = rest[: len(rest) - len(rest.lstrip("0123456789."))]
        rest = rest[len(digits) :]
        unit = rest[: len(rest) - len(rest.lstrip("nuµmsh"))]
        rest = rest[len(unit) :]
        if not _number(digits) or unit not in _UNITS:
            return None
        total += float(digits) * _UNITS[unit]
    return total if text else None


def _number(text: str) -> bool:
    whole, _, part = text.partition(".")
    return whole.isascii() and whole.isdigit() and (not part or part.isdigit())


def _date(text: str) -> str | None:
    body, offset = _zone(text)
    body, _, part = body.partition(".")
    day, _, clock = body.replace(" ", "T").partition("T")
    try:
        year, month, date = map(int, day.split("-"))
        numbers = [int(piece) for piece in clock.split(":")] if clock else []
        hour, minute, second = [*numbers, 0, 0, 0][:3]
        if len(numbers) > 3 or not (1 <= month <= 12 and 1 <= date <= 31 and hour < 24 and minute < 60 and second < 61):
            return None
        nanos = int((part + "0" * 9)[:9]) if part else 0
    except ValueError:
        return None
    if offset is None:
        whole = int(time.mktime((year, month, date, hour, minute, second, 0, 0, -1)))
    else:
        whole = days(year, month, date) * 86400 + hour * 3600 + minute * 60 + second - offset
    return f"{whole}.{nanos:09d}"


def _zone(text: str) -> tuple[str, int | None]:
    """(the rest, seconds east of Greenwich or None where the text names no zone)."""
    if text.endswith(("Z", "z")):
        return text[:-1], 0
    if len(text) > 6 and text[-6] in "+-" and text[-3] == ":" and "T" in text:
        try:
            seconds = int(text[-5:-3]) * 3600 + int(text[-2:]) * 60
        except ValueError:
            return text, None
        return text[:-6], -seconds if text[-6] == "-" else seconds
    return text, None


def days(year: int, month: int, day: int) -> int:
    """Days from 1970-01-01 to a date of the Gregorian calendar."""
    year -= month <= 2
    era = year // 400
    of_era = year - era * 400
    of_year = (153 * (month + (-3 if month > 2 else 9)) + 2) // 5 + day - 1
    return era * 146097 + of_era * 365 + of_era // 4 - of_era // 100 + of_year - 719468


def show_local(nanoseconds: int) -> str:
    """A time in our zone, RFC 3339 with nine digits, as ``events`` prints it."""
    seconds, nanos = divmod(nanoseconds, 10**9)
    local = time.localtime(seconds)
    zone = "Z"
    if local.tm_gmtoff:
        sign, minutes = ("+" if local.tm_gmtoff > 0 else "-"), abs(local.tm_gmtoff) // 60
        zone = f"{sign}{minutes // 60:02d}:{minutes % 60:02d}"
    return time.strftime("%Y-%m-%dT%H:%M:%S", local) + f".{nanos:09d}{zone}"


def show_date(seconds: float) -> str:
    """``2026-01-02 15:04:05 +0000 UTC``: Go's String of a time, as --no-trunc tables show it."""
    local = time.localtime(seconds)
    return time.strftime("%Y-%m-%d %H:%M:%S %z ", local) + (local.tm_zone or "UTC")
