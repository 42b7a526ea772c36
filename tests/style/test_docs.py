"""What the documents promise is there: each error code, each command, each make target."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from style import codes
from support.box import command

ROOT = Path(__file__).parents[2]


def test_each_error_code_is_documented() -> None:
    listed = set(re.findall(r"^\| `([a-z0-9-]+)` \|", (ROOT / "docs/errors.md").read_text(), re.MULTILINE))
    found = set(codes.collect())
    assert found - listed == set(), "run make docs"
    assert listed - found == set(), "run make docs"


def test_codes_are_found_at_all() -> None:
    assert {"container-not-running", "start-not-found", "socket-path-too-long", "internal"} <= set(codes.collect())


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md"])
def test_links_lead_somewhere(page: str) -> None:
    for target in re.findall(r"\]\((?!http)([^)#]+)", (ROOT / page).read_text()):
        assert (ROOT / target).exists(), target


@pytest.mark.parametrize("page", ["README.md", "README.zh-CN.md"])
def test_commands_of_the_readme_exist(page: str) -> None:
    text = (ROOT / page).read_text()
    known = subprocess.run([*command(), "--help"], capture_output=True, text=True).stdout
    for name in set(re.findall(r"\bproa ([a-z]+)", text)):
        assert re.search(rf"\b{name}\b", known), name
    targets = re.findall(r"^([a-z]+):", (ROOT / "Makefile").read_text(), re.MULTILINE)
    for name in set(re.findall(r"\bmake ([a-z]+)", text)):
        assert name in targets
