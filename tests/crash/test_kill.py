"""Kill test: SIGKILL to engine, spawner or shim at any step; afterwards the record is right and nothing is lost.

The seed is printed, and with it the plan of each round; PROA_KILL_SEED=N repeats a run. PROA_KILL_HULLS picks hulls.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from leaks import check
from support.box import Box, proa

from .floor import floor, playable
from .plan import ROUNDS, SEED, STEPS, Round, plan
from .player import Player

HULLS = (
    os.environ.get("PROA_KILL_HULLS", os.environ.get("PROA_TEST_HULLS", "container vm floor")).replace(",", " ").split()
)
CASES = [(hull, one) for hull in HULLS if hull in ROUNDS for one in plan(SEED, ROUNDS[hull])]

pytestmark = pytest.mark.slow


@pytest.fixture(scope="module")
def killed(request: pytest.FixtureRequest, image_tar: Path) -> Iterator[Box]:
    """One engine for all rounds of a hull, which is warm; the leak check is its end."""
    hull = request.param
    if hull == "floor" and playable():
        pytest.skip(playable())
    before = set(check.pids())
    with floor(image_tar) if hull == "floor" else proa(image_tar, hull) as box:
        warm = box.cli("run", "--rm", *box.flags, "bb", "true", timeout=120)
        if warm.code and "setup" in warm.error:
            pytest.skip(warm.error)
        warm.ok()
        status, body = box.api("GET", "/proa/v1/engine")
        assert status == 200
        yield replace(box, extra={"before": before, "engine": body["Id"]})


@pytest.mark.parametrize(
    ("killed", "round"),
    CASES,
    indirect=["killed"],
    ids=[f"{hull}-{one.number}-{one.step}-{one.victim}" for hull, one in CASES],
)
def test_round(killed: Box, round: Round) -> None:
    print(f"PROA_KILL_SEED={SEED} {round}")
    player = Player(killed, round)
    try:
        player.play()
    finally:
        print(player.note)
        player.close()


def test_the_plan_has_every_step() -> None:
    pairs = {(step, victim) for step, victims in STEPS.items() for victim in victims}
    assert {(one.step, one.victim) for one in plan(1, ROUNDS["container"])} == pairs
    assert {one.step for one in plan(1, ROUNDS["vm"])} == set(STEPS)
    assert plan(7, 30) == plan(7, 30)
