"""HEALTHCHECK: its text as Docker's ``Healthcheck`` object, durations in ns."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Callable

_UNITS = {"ns": 1, "us": 10**3, "µs": 10**3, "ms": 10**6, "s": 10**9, "m": 60 * 10**9, "h": 3600 * 10**9}
_piece = re.compile(r"(\d{1,12}(?:\.\d{1,9})?)(ns|us|µs|ms|s|m|h)")
_OPTIONS = {
    "interval": "Interval",
    "timeout": "Timeout",
    "start-period": "StartPeriod",
    "start-interval": "StartInterval",
}


def parse(text: str, command: Callable[[str], list[str]]) -> dict[str, Any]:
    """``[--interval=30s …] CMD command`` or ``NONE``. ``command`` reads exec and shell form. Raises ValueError."""
    result: dict[str, Any] = {}
    while text.startswith("--"):
        option, _, text = text.partition(" ")
        name, _, value = option[2:].partition("=")
        if name == "retries" and value.isdigit():
            result["Retries"] = int(value)
        elif name in _OPTIONS:
            result[_OPTIONS[name]] = duration(value)
        else:
            raise ValueError(f"invalid option {option}")
        text = text.strip()
    kind, _, rest = text.partition(" ")
    if kind.upper() == "NONE" and not rest.strip():
        return {"Test": ["NONE"]}
    if kind.upper() != "CMD" or not rest.strip():
        raise ValueError("HEALTHCHECK wants NONE or CMD and a command")
    words = command(rest.strip())
    in_shell = words[-1:] == [rest.strip()]  # the shell form keeps its text
    return {"Test": ["CMD-SHELL", words[-1]] if in_shell else ["CMD", *words], **result}


def duration(text: str) -> int:
    """Go's duration (``1m30s``) in ns. Raises ValueError."""
    total, at = 0.0, 0
    while match := _piece.match(text, at):
        total += float(match[1]) * _UNITS[match[2]]
        at = match.end()
    if at != len(text) or not text:
        raise ValueError(f"invalid duration {text!r}")
    return round(total)
