"""Detach keys: ``ctrl-p,ctrl-q``. The engine's side acts on them; here they are only recognised, as they are sent."""

from .. import NAME
from ..errors import InvalidRequest

DEFAULT = "ctrl-p,ctrl-q"
_SPECIAL = {"@": 0, "[": 27, "\\": 28, "]": 29, "^": 30, "_": 31}


def told() -> int:
    """Say that the keys were typed, as docker does where it counts as a failure (attach, exec); the exit code."""
    from .output import complain

    complain("read escape sequence")
    return 1


def sequence(text: str) -> bytes:
    """The bytes that ``text`` names. Raises InvalidRequest."""
    return bytes(_byte(key, text) for key in (text or DEFAULT).split(","))


def _byte(key: str, text: str) -> int:
    if len(key) == 1 and ord(key) < 128:
        return ord(key)
    letter = key[5:].lower() if key.startswith("ctrl-") and len(key) == 6 else ""
    if "a" <= letter <= "z":
        return ord(letter) - ord("a") + 1
    if letter in _SPECIAL and letter:
        return _SPECIAL[letter]
    raise InvalidRequest(
        f"invalid detach keys: unknown key {key!r} in {text!r}",
        code="invalid-detach-keys",
        input=text,
        next_step=f"{NAME} attach --detach-keys ctrl-x,x CONTAINER",
    )


class Watch:
    """Whether the sequence has gone by; fed with what is typed, in any pieces."""

    __slots__ = ("_at", "_keys", "seen")

    def __init__(self, keys: bytes) -> None:
        self._keys = keys
        self._at = 0
        self.seen = False

    def feed(self, data: bytes) -> None:
        """Look at the next bytes."""
        for byte in data:
            if byte == self._keys[self._at]:
                self._at += 1
            else:
                self._at = 1 if byte == self._keys[0] else 0
            if self._at == len(self._keys):
                self.seen = True
                self._at = 0
