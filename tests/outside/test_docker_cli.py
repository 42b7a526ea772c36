"""Docker's command line against our engine: the same bytes and exit codes as against dockerd."""

from __future__ import annotations

from pathlib import Path

import pytest

from outside.conftest import Pair
from outside.differences import DIFFERENCES, IN_A_VM, blank
from outside.lines import LINES, TABLE
from support.terminal import Line, Seen, in_pipe, in_terminal, prepare

pytestmark = pytest.mark.peer


def _seen(pair: Pair, line: Line, terminal: bool) -> tuple[Seen, Seen]:
    seen = []
    for box in (pair.docker, pair.proa):
        prepare(box, line)
        seen.append(in_terminal(box, line) if terminal else in_pipe(box, line))
        box.clean()
    return seen[0], seen[1]


def _alike(pair: Pair, line: Line, terminal: bool) -> None:
    wanted, found = _seen(pair, line, terminal)
    difference = DIFFERENCES.get(line.name) or (IN_A_VM.get(line.name) if pair.proa.is_vm else None)
    code = wanted.code if difference is None or difference.code is None else difference.code
    if difference is None or difference.masks:
        assert blank(found.out, difference) == blank(wanted.out, difference)
        assert blank(found.err, difference) == blank(wanted.err, difference)
    assert found.code == code
    assert found.modes and wanted.modes


@pytest.mark.parametrize("line", LINES, ids=lambda line: line.name)
def test_a_line(line: Line, pair: Pair) -> None:
    _alike(pair, line, terminal=False)


@pytest.mark.parametrize("line", [line for line in TABLE if line.pipe], ids=lambda line: line.name)
def test_the_table_in_a_pipe(line: Line, pair: Pair) -> None:
    _alike(pair, line, terminal=False)


@pytest.mark.parametrize("line", [line for line in TABLE if line.tty], ids=lambda line: line.name)
def test_the_table_in_a_terminal(line: Line, pair: Pair) -> None:
    _alike(pair, line, terminal=True)


def test_each_difference_is_of_a_line() -> None:
    assert {*DIFFERENCES, *IN_A_VM} <= {line.name for line in [*LINES, *TABLE]}


LATER = {
    "cp": ["cp", "NAME:/etc/passwd", "-"],
    "top": ["top", "NAME"],
    "stats": ["stats", "--no-stream", "NAME"],
    "diff": ["diff", "NAME"],
    "commit": ["commit", "NAME", "new"],
    "update": ["update", "-m", "100m", "NAME"],
    "system df": ["system", "df"],
    "search": ["search", "x"],
    "load": ["load", "-i", "IMAGE"],
    "push": ["push", "bb"],
    "login": ["login", "-u", "a", "-p", "b", "localhost:1"],
    "network create": ["network", "create", "x"],
    "volume create": ["volume", "create", "x"],
}


@pytest.mark.parametrize("command", LATER)
def test_what_comes_later_is_refused_by_name(command: str, pair: Pair, image_tar: Path) -> None:
    pair.proa.create("--name", "later", "bb", "true")
    words = [word.replace("NAME", "later").replace("IMAGE", str(image_tar)) for word in LATER[command]]
    result = pair.proa.cli(*words)
    assert result.code == 1
    assert f"{command}: not supported yet" in result.error
