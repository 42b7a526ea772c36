"""Docker's command line against our engine: the same bytes and exit codes as against dockerd."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from outside.clients import NAMES
from outside.conftest import Client
from outside.differences import DIFFERENCES, IN_A_VM, allowed, blank
from outside.lines import LINES, TABLE
from support.hulls import HULLS, played
from support.terminal import Line

pytestmark = pytest.mark.peer
Cases = Iterator[tuple[str, Line]]


def _cases(lines: list[Line], hull: str) -> Cases:
    """Each line through both clients as a container; in a VM the core through both, the others through one of them in
    turn; on the floor, whose machine is the same, the core through one of them in turn.
    """
    for number, line in enumerate(lines):
        for client in NAMES:
            turn = NAMES[number % len(NAMES)] == client
            if hull == "container" or (line.core and hull == "vm") or (turn and (line.core or hull != "floor")):
                yield client, line


def _alike(client: Client, line: Line, terminal: bool) -> None:
    wanted, found = client.both(line, terminal)
    difference = allowed(line.name, client.proa.is_vm)
    code = wanted.code if difference is None or difference.code is None else difference.code
    if difference is None or difference.masks:
        assert blank(found.out, difference) == blank(wanted.out, difference)
        assert blank(found.err, difference) == blank(wanted.err, difference)
    assert found.code == code
    assert found.modes and wanted.modes


@played("name line", lambda hull: _cases(LINES, hull))
def test_a_line(line: Line, client: Client) -> None:
    _alike(client, line, terminal=False)


@played("name line", lambda hull: _cases([line for line in TABLE if line.pipe], hull))
def test_the_table_in_a_pipe(line: Line, client: Client) -> None:
    _alike(client, line, terminal=False)


@played("name line", lambda hull: _cases([line for line in TABLE if line.tty], hull))
def test_the_table_in_a_terminal(line: Line, client: Client) -> None:
    _alike(client, line, terminal=True)


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


@pytest.mark.parametrize("shared_box", HULLS[:1], indirect=True)
@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("command", LATER)
def test_what_comes_later_is_refused_by_name(command: str, client: Client, image_tar: Path) -> None:
    """No hull has a say in it."""
    client.proa.create("--name", "later", "bb", "true")
    words = [word.replace("NAME", "later").replace("IMAGE", str(image_tar)) for word in LATER[command]]
    result = client.proa.cli(*words)
    assert result.code == 1
    assert f"{command}: not supported yet" in result.error
