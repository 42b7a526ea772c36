"""Detach keys: Docker's way to leave an attached terminal without ending what runs in it.

Text form (``docker attach --detach-keys``): single characters, or ``ctrl-`` and one of a-z @ [ \\ ] ^ _, with commas.
"""

DEFAULT = "ctrl-p,ctrl-q"
_CONTROL = "@abcdefghijklmnopqrstuvwxyz[\\]^_"


def parse(text: str) -> bytes:
    """The bytes that ``text`` names; "" gives b"" (never detach). Raises ValueError, naming the unknown key."""
    keys = bytearray()
    for part in text.split(",") if text else ():
        if part.startswith("ctrl-") and len(part) == 6 and part[5].lower() in _CONTROL:
            keys.append(_CONTROL.index(part[5].lower()))
        elif len(part) == 1 and part.isascii():
            keys.append(ord(part))
        else:
            raise ValueError(f"Unknown character: '{part}'")
    return bytes(keys)


class Detector:
    """Looks for the keys in a client's input, also when they come in several reads.

    What may be their beginning is held back until the next read shows that it is not.
    """

    __slots__ = ("_held", "_keys")

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._held = b""

    def feed(self, data: bytes) -> "tuple[bytes, bool]":
        """(what goes to the program, whether the keys are complete). After True nothing more is fed."""
        if not self._keys:
            return data, False
        data = self._held + data
        found = data.find(self._keys)
        if found >= 0:
            self._held = b""
            return data[:found], True
        held = min(len(self._keys) - 1, len(data))
        while held and not data.endswith(self._keys[:held]):
            held -= 1
        cut = len(data) - held
        self._held = data[cut:]
        return data[:cut], False

    def rest(self) -> bytes:
        """What is held back when the client's input ends."""
        held, self._held = self._held, b""
        return held
