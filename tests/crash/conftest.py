"""What every crash test uses: an engine of each hull, and someone who plays on it. The seed is told at the end."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from leaks import check
from support.box import IMAGE, Box, Unplayable, proa

from . import judge
from .plan import SEED, Round
from .player import Player


@pytest.fixture(scope="package")
def shared(request: pytest.FixtureRequest, image_tar: Path) -> Iterator[Box]:
    """One engine of the hull ``request.param`` (see ``plan.on``), which is warm; the leak check is its end."""
    before = set(check.pids())
    try:
        with proa(image_tar, request.param) as box:
            box.cli("run", "--rm", *box.flags, IMAGE, "true", timeout=120).ok()
            status, body = box.api("GET", "/proa/v1/engine")
            assert status == 200
            yield replace(box, extra={"before": before, "engine": body["Id"]})
    except Unplayable as problem:
        pytest.skip(str(problem))


@pytest.fixture
def player(shared: Box) -> Iterator[Player]:
    """Someone who plays, in a calm engine; afterwards nothing is left, of him neither."""
    player = Player(shared, Round(0, "moment", "engine", 7, 0, False))
    try:
        player.calm()
        yield player
    finally:
        player.close()
    assert judge.settled(shared) == []


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Printed, so that a run can be repeated."""
    terminalreporter.write_line(f"kill test: PROA_KILL_SEED={SEED}")
