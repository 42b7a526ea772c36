"""Where docker's client shows something else on our engine than on dockerd, and why. The tests read this table."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """``masks``: what is blanked on both sides before the rest is compared; without any only exit codes are.

    ``code``: our exit code, where even that differs.
    """

    reason: str
    masks: tuple[str, ...] = ()
    code: int | None = None


ALWAYS = (
    (rb"\b[0-9a-f]{64}\b", b"<ID>"),
    (rb"\b[0-9a-f]{12}\b", b"<id>"),
    (rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", b"<TIME>"),
    (rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? \+0000 UTC", b"<TIME>"),
    (rb"Less than a second|1 second|\d+ seconds|About a minute|\d+ minutes", b"<AGO>"),
    (rb" {2,}", b"  "),
)
"""Never alike, on two runs of the same engine."""

DIFFERENCES: dict[str, Difference] = {}


def blank(text: bytes, difference: Difference | None) -> bytes:
    """``text`` without what may differ."""
    for pattern, shown in ALWAYS:
        text = re.sub(pattern, shown, text)
    for mask in difference.masks if difference else ():
        text = re.sub(mask.encode(), b"", text, flags=re.MULTILINE)
    return text
