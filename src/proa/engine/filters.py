"""Docker's ``filters`` parameter: JSON of ``{key: {value: true}}`` or ``{key: [value]}``.

Values of one key are alternatives, except ``label``: each must match. Keys must all match.
"""

from __future__ import annotations

import re
import time
from collections.abc import Iterable, Mapping

import msgspec

from ..errors import InvalidRequest
from . import times

Filters = dict[str, list[str]]
_YES, _NO = frozenset(("1", "true")), frozenset(("0", "false"))
_NUMBER = re.compile("-?[0-9]{1,10}")


def parse(text: str, allowed: Iterable[str]) -> Filters:
    """Raises InvalidRequest for what is no such JSON, and ``invalid filter`` for a key not in ``allowed``."""
    if not text:
        return {}
    try:
        raw = msgspec.json.decode(text, type=dict[str, dict[str, bool] | list[str]])
    except msgspec.DecodeError as problem:
        raise InvalidRequest("invalid filter: not JSON of the expected form", code="invalid-filter", input=text) from (
            problem
        )
    known = frozenset(allowed)
    for key in raw:
        if key not in known:
            raise InvalidRequest(f"invalid filter '{key}'", code="invalid-filter", input=key)
    return {
        key: list(values) if isinstance(values, list) else [value for value, on in values.items() if on]
        for key, values in raw.items()
        if values
    }


def only(filters: Filters, key: str, values: Iterable[str]) -> None:
    """Raises InvalidRequest unless each such filter is one of ``values``."""
    for one in filters.get(key, ()):
        if one not in values:
            raise InvalidRequest(f"invalid filter '{key}={one}'", code="invalid-filter", input=one)


def flag(filters: Filters, key: str) -> bool | None:
    """What a filter that is a yes or a no says; None if it is not set. Raises InvalidRequest."""
    wanted = set(filters.get(key, ()))
    if not wanted:
        return None
    if not (wanted <= _YES or wanted <= _NO):
        shown = " ".join(filters[key])
        raise InvalidRequest(f"invalid filter '{key}=[{shown}]'", code="invalid-filter", input=shown)
    return wanted <= _YES


def numbers(filters: Filters, key: str) -> None:
    """Raises InvalidRequest unless each such filter is a number."""
    for one in filters.get(key, ()):
        if not _NUMBER.fullmatch(one):
            raise InvalidRequest(f"invalid filter '{key}={one}'", code="invalid-filter", input=one)


def labels_match(filters: Filters, labels: Mapping[str, str]) -> bool:
    """Whether every ``label`` filter holds: ``key`` alone, or ``key=value``; and no ``label!`` does."""
    return all(_has(labels, wanted) for wanted in filters.get("label", ())) and not any(
        _has(labels, wanted) for wanted in filters.get("label!", ())
    )


def _has(labels: Mapping[str, str], wanted: str) -> bool:
    key, equals, value = wanted.partition("=")
    return key in labels and (not equals or labels[key] == value)


def until(filters: Filters) -> int | None:
    """The moment (ns) that ``until`` names, as such or as an age as Go writes it (24h); None if it is not set. Raises
    InvalidRequest."""
    wanted = filters.get("until", [])
    if len(wanted) > 1:
        raise InvalidRequest("more than one until filter specified", code="invalid-filter")
    if not wanted:
        return None
    age = times.duration(wanted[0])
    return times.parse(wanted[0]) if age is None else time.time_ns() - age


def any_of(filters: Filters, key: str, *values: str) -> bool:
    """Whether no such filter is set, or one of its values is among ``values``."""
    wanted = filters.get(key)
    return not wanted or any(value in wanted for value in values)


def prefix(filters: Filters, key: str, value: str) -> bool:
    """Whether no such filter is set, or ``value`` begins with one of its values."""
    wanted = filters.get(key)
    return not wanted or any(value.startswith(one) for one in wanted)


Patterns = list[re.Pattern[str]]


def patterns(filters: Filters, key: str) -> Patterns:
    """The values of a filter that are regular expressions. Raises InvalidRequest."""
    found = []
    for one in filters.get(key, ()):
        if not _quick(one):
            raise InvalidRequest(
                f"invalid filter '{key}={one}': too many repetitions, or one of a group",
                code="invalid-filter",
                input=one,
            )
        try:
            found.append(re.compile(one))
        except (re.error, OverflowError, RecursionError) as problem:
            raise InvalidRequest(f"invalid filter '{key}={one}': {problem}", code="invalid-filter", input=one) from (
                problem
            )
    return found


def found(wanted: Patterns, *values: str) -> bool:
    """Whether there are no patterns, or one is found in one of ``values``."""
    return not wanted or any(pattern.search(value) for pattern in wanted for value in values)


_REPETITION = re.compile(r"(?<!\\)[*+?{]")
_REPEATED_GROUP = re.compile(r"\)\s*[*+?{]")
PATTERN_MAX, REPETITIONS_MAX = 256, 3


def _quick(one: str) -> bool:
    """Whether a search takes bounded time. ``re`` backtracks, holds up the whole engine, and anyone may send a filter:
    repeated groups take exponential time, many repetitions a high power of the name's length."""
    short = len(one) <= PATTERN_MAX and len(_REPETITION.findall(one)) <= REPETITIONS_MAX
    return short and not _REPEATED_GROUP.search(one)
