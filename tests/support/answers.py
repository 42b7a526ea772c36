"""What dockerd showed for a command line, asked once: every hull is compared with it, in this process or another."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Callable
from dataclasses import asdict
from pathlib import Path

from .box import Box
from .terminal import Line, Seen, shown


class Answers:
    """The judge's answers, kept as files in ``folder``. ``judge`` starts it for the first that is missing."""

    def __init__(self, folder: Path, judge: Callable[[], Box]) -> None:
        self.folder = folder
        self.judge = judge

    def seen(
        self, line: Line, terminal: bool, client: str = "debian", through: Callable[[Box], Box] | None = None
    ) -> Seen:
        """What ``client`` showed. ``through`` points another client than Debian's at the judge."""
        asked = (client, terminal, line.arguments, line.before, line.stdin, line.keys, line.shell)
        path = self.folder / hashlib.sha256(repr(asked).encode()).hexdigest()
        if not path.exists():
            judge = self.judge()
            _keep(path, shown(through(judge) if through else judge, line, terminal))
        return _load(path)


def _keep(path: Path, seen: Seen) -> None:
    part = path.with_suffix(f".{os.getpid()}")
    words = {**asdict(seen), "out": seen.out.decode("latin-1"), "err": seen.err.decode("latin-1")}
    part.write_text(json.dumps(words))
    part.rename(path)


def _load(path: Path) -> Seen:
    words = json.loads(path.read_text())
    return Seen(**{**words, "out": words["out"].encode("latin-1"), "err": words["err"].encode("latin-1")})
