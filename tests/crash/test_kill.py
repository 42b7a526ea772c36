"""Kill test: SIGKILL to engine, spawner or shim at any step; afterwards the record is right and nothing is lost.

The seed is printed, and with it the plan of each round; PROA_KILL_SEED=N repeats a run. PROA_KILL_HULLS picks hulls.
"""

from __future__ import annotations

import pytest

from support.box import Box

from .plan import HULLS, ROUNDS, SEED, STEPS, Round, plan
from .player import Player

CASES = [(hull, one) for hull in HULLS if hull in ROUNDS for one in plan(SEED, ROUNDS[hull])]

pytestmark = pytest.mark.slow


@pytest.mark.parametrize(
    ("shared", "round"),
    CASES,
    indirect=["shared"],
    scope="package",
    ids=[f"{hull}-{one.number}-{one.step}-{one.victim}" for hull, one in CASES],
)
def test_round(shared: Box, round: Round) -> None:
    print(f"PROA_KILL_SEED={SEED} {round}")
    player = Player(shared, round)
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
