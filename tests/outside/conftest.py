"""Our engine seen through each docker client; what dockerd showed to the same client is the measure."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from outside import clients
from support import peers
from support.answers import Answers
from support.box import Box
from support.terminal import Line, Seen, shown


@dataclass(frozen=True)
class Client:
    """One docker client. ``proa``: our engine, driven by it."""

    name: str
    proa: Box
    answers: Answers
    home: Path

    def both(self, line: Line, terminal: bool) -> tuple[Seen, Seen]:
        """What it shows on dockerd, which is right, and on our engine."""
        wanted = self.answers.seen(line, terminal, self.name, lambda box: clients.through(self.name, box, self.home))
        return wanted, shown(self.proa, line, terminal)


@pytest.fixture
def client(name: str, proa_box: Box, answers: Answers, tmp_path: Path) -> Iterator[Client]:
    """Our engine without a container before and after."""
    try:
        proa = clients.through(name, proa_box, tmp_path)
    except peers.Missing as problem:
        pytest.skip(str(problem))
    yield Client(name, proa, answers, tmp_path)
