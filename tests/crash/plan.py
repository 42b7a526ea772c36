"""The plan of a kill test: which step, who is killed, and every random choice of a round. A seed gives it again."""

from __future__ import annotations

import os
import random
from dataclasses import dataclass

import pytest

SEED = int(os.environ.get("PROA_KILL_SEED") or random.SystemRandom().randrange(1 << 32))
ROUNDS = {"container": 30, "vm": 12, "floor": 4}
HULLS = (
    os.environ.get("PROA_KILL_HULLS", os.environ.get("PROA_TEST_HULLS", "container vm floor")).replace(",", " ").split()
)

STEPS = {
    "after create": ("engine", "spawner", "shim"),
    "in start, before exec": ("engine", "spawner", "shim"),
    "in start, after exec": ("engine", "spawner", "shim"),
    "mid-output": ("engine", "spawner", "shim"),
    "in exit": ("engine", "spawner", "shim"),
    "in delete": ("engine", "spawner", "shim"),
    "exec and attached client open": ("engine", "spawner", "shim"),
    "engine down at the end": ("engine", "shim"),
}
"""Who is killed at each step. A shim ``after create`` is one that waits for a container; ``shim`` with the engine down
is killed behind the engine."""


@dataclass(frozen=True)
class Round:
    """``code``: the program's exit code; ``delay``: 0 to 1, a share of the step's span; ``remove``: with --rm."""

    number: int
    step: str
    victim: str
    code: int
    delay: float
    remove: bool

    @property
    def name(self) -> str:
        return f"round{self.number}"

    def __str__(self) -> str:
        rm = " --rm" if self.remove else ""
        return f"{self.number} {self.step}: {self.victim}{rm}, exit {self.code}, delay {self.delay:.3f}"


def on(*hulls: str) -> pytest.MarkDecorator:
    """The tests so marked run on these hulls, as far as they are asked for."""
    return pytest.mark.parametrize("shared", [hull for hull in hulls if hull in HULLS], indirect=True, scope="package")


def plan(seed: int, rounds: int) -> list[Round]:
    """Every pair of step and victim once, if there are rounds enough, else every step, else some; in random order."""
    dice = random.Random(seed)
    every = [(step, victim) for step, victims in STEPS.items() for victim in victims]
    steps = [(step, dice.choice(victims)) for step, victims in STEPS.items()]
    chosen = every if rounds >= len(every) else dice.sample(steps, min(rounds, len(steps)))
    chosen += [dice.choice(every) for _ in range(rounds - len(chosen))]
    dice.shuffle(chosen)
    return [
        Round(number, step, victim, dice.randrange(1, 120), dice.random(), dice.random() < 0.3)
        for number, (step, victim) in enumerate(chosen)
    ]
