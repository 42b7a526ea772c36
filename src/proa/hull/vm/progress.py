"""Progress on a terminal: one line that is written over; elsewhere one line a step."""

from __future__ import annotations

import time
from typing import TextIO

_INTERVAL = 0.1  # seconds between two drawings


class Progress:
    """Tells a person what goes on (``stream``) and what came of it (``results``). ``quiet`` says nothing at all."""

    def __init__(self, stream: TextIO, results: TextIO, *, quiet: bool = False) -> None:
        self.stream, self.results, self.quiet = stream, results, quiet
        self.terminal = stream.isatty()
        self._step, self._drawn, self._width = "", 0.0, 0

    def step(self, text: str, share: float | None = None) -> None:
        """A new step begins; ``share`` when it has a measurable length."""
        self._step = text
        if self.quiet:
            return
        if self.terminal:
            self._draw(text if share is None else f"{text} {share:4.0%}")
        else:
            print(text, file=self.stream, flush=True)

    def share(self, share: float) -> None:
        """How much of the step is done, 0 to 1."""
        now = time.monotonic()
        if self.terminal and not self.quiet and now - self._drawn >= _INTERVAL:
            self._drawn = now
            self._draw(f"{self._step} {share:4.0%}")

    def done(self, text: str) -> None:
        """A result, which stays."""
        if self.quiet:
            return
        if self.terminal:
            self._draw("")
        print(text, file=self.results, flush=True)

    def _draw(self, text: str) -> None:
        print("\r" + text.ljust(self._width) + ("" if text else "\r"), end="", file=self.stream, flush=True)
        self._width = len(text)
