"""``make test`` plays every test in exactly one of its parts."""

from __future__ import annotations

from pathlib import Path

import pytest

import lanes
from support import hulls

TESTS = Path(__file__).parents[1]


def test_every_folder_has_a_part() -> None:
    folders = {path.relative_to(TESTS).parts[0] for path in TESTS.rglob("test_*.py")}
    assert folders == {folder for part in lanes.PARTS for folder in part.folders}


@pytest.mark.parametrize("hull", ["", *hulls.ALL])
def test_every_hull_of_a_folder_has_one(hull: str) -> None:
    marks = {f"on_{name}": name == hull for name in hulls.ALL}
    played = [folder for part in lanes.PARTS if eval(part.marks or "True", marks) for folder in part.folders]
    assert len(played) == len(set(played))
    assert set(played) == {folder for part in lanes.PARTS for folder in part.folders}
