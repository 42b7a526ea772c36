"""Signals by name or number, as Docker's clients write them."""

import signal

from ..errors import InvalidRequest

KILL = int(signal.SIGKILL)
TERM = int(signal.SIGTERM)
_NUMBERS = {one.name.removeprefix("SIG"): int(one) for one in signal.Signals} | {
    f"RTMIN+{offset}": int(signal.SIGRTMIN) + offset for offset in range(1, 16)
}


def number(text: str) -> int:
    """The number of ``SIGTERM``, ``term`` or ``15``. Raises InvalidRequest."""
    if text.isdecimal() and 0 < int(text) <= 64:
        return int(text)
    found = _NUMBERS.get(text.upper().removeprefix("SIG"))
    if found is None:
        raise InvalidRequest(f"invalid signal: {text}", code="invalid-signal", input=text)
    return found
