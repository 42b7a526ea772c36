"""JSON bodies into Docker's types, as dockerd reads them: null, missing and zero are alike, unknown fields ignored."""

from typing import Any, TypeVar

import msgspec

from ..errors import InvalidRequest

T = TypeVar("T")
INT64 = 1 << 63


def without_nulls(value: Any) -> Any:
    """``value`` without the members that are null, at every depth of objects (lists keep theirs). Raises
    ValidationError for a number that Docker's types, int64 at most, cannot hold."""
    if isinstance(value, dict):
        return {key: without_nulls(item) for key, item in value.items() if item is not None}
    if isinstance(value, list):
        return [without_nulls(item) for item in value]
    if type(value) is int and not -INT64 <= value < INT64:
        raise msgspec.ValidationError(f"{value} is out of range")
    return value


def decode(body: bytes, type: type[T]) -> T:
    """``body`` as ``type``; an empty body counts as ``{}``. Raises InvalidRequest (``invalid-json``)."""
    try:
        raw = msgspec.json.decode(body) if body.strip() else {}
        return msgspec.convert(without_nulls(raw), type)
    except (msgspec.ValidationError, msgspec.DecodeError, RecursionError, UnicodeDecodeError) as problem:
        text = "nested too deeply" if isinstance(problem, RecursionError) else str(problem)
        raise InvalidRequest(f"invalid JSON: {text}", code="invalid-json") from problem


def encode(value: object) -> bytes:
    """``value`` as JSON; text that is no UTF-8 (surrogate escapes from images) is shown with replacement marks."""
    try:
        return msgspec.json.encode(value)
    except UnicodeEncodeError:
        return msgspec.json.encode(_printable(msgspec.to_builtins(value)))


def _printable(value: Any) -> Any:
    if isinstance(value, str):
        return value.encode("utf-8", "surrogateescape").decode("utf-8", "replace")
    if isinstance(value, dict):
        return {_printable(key): _printable(item) for key, item in value.items()}
    if isinstance(value, list):
        return [_printable(item) for item in value]
    return value
