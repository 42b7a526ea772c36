"""One line on standard error that says how far something is; only where a person sees it, and gone afterwards."""

import posix
import time

from .output import BrokenPipe, encode, write

_PAUSE = 0.1  # s between two updates
_CLEAR = "\r\x1b[K"


class Progress:
    """``with Progress("importing", total) as told: told(bytes) …``. ``total`` 0: not known."""

    def __init__(self, what: str, total: int = 0, after: str = "") -> None:
        """``after``: what is told once ``total`` is reached and the answer is waited for."""
        self._what, self._total, self._after = what, total, after
        self._shown = posix.isatty(2)
        self._done = 0
        self._next = 0.0

    def __enter__(self) -> "Progress":
        return self

    def __call__(self, count: int) -> None:
        """So many bytes more."""
        self._done += count
        if self._shown and time.monotonic() >= self._next:
            self._next = time.monotonic() + _PAUSE
            self._show(self._text())

    def sent(self) -> None:
        """All of it is on its way."""
        if self._shown:
            self._show(f"{self._what}: {self._after}")

    def __exit__(self, *problem: object) -> None:
        if self._shown and self._next:
            self._show("")

    def _text(self) -> str:
        from .quantities import human_size

        done = human_size(self._done)
        if not self._total:
            return f"{self._what}: {done}"
        percent = min(100, self._done * 100 // self._total)
        return f"{self._what}: {done} of {human_size(self._total)} ({percent}%)"

    def _show(self, text: str) -> None:
        try:
            write(2, encode(_CLEAR + text))
        except BrokenPipe:
            self._shown = False
