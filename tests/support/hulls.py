"""The hulls that this run asks for, and which of them a test with a choice of its own is played on."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterable
from typing import Any

import pytest

HULLS = os.environ.get("PROA_TEST_HULLS", "container").replace(",", " ").split()
"""PROA_TEST_HULLS. ``docker`` is the judge."""
ALL = ("docker", "container", "vm", "floor")


def played(names: str, choose: Callable[[str], Iterable[tuple[Any, ...]]]) -> pytest.MarkDecorator:
    """Parametrize ``shared_box`` and ``names`` by what ``choose`` says for each hull; the last one has a name."""
    cases = [
        pytest.param(hull, *case, id="-".join([hull, *map(str, case[:-1]), case[-1].name]))
        for hull in HULLS
        for case in choose(hull)
    ]
    arguments = ["shared_box", *names.split()]
    return pytest.mark.parametrize(arguments, cases, indirect=["shared_box"], scope="session")


def of(item: pytest.Item) -> str:
    """The hull that a test is played on, "" if it has none to choose."""
    callspec = getattr(item, "callspec", None)
    values = callspec.params.values() if callspec else ()
    return next((value for value in values if isinstance(value, str) and value in ALL), "")
