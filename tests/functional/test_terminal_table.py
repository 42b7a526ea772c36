"""The terminal and pipe table: each line shows the same bytes, exit code and terminal modes here as on dockerd."""

from __future__ import annotations

import hashlib

import pytest

from support.answers import Answers
from support.box import IMAGE, Box
from support.hulls import HULLS, played
from support.lines import LINES
from support.terminal import Line, alike, shown

Cases = list[tuple[Line]]


def _pipe(hull: str) -> Cases:
    return [(line,) for line in LINES if line.pipe and (line.core or hull != "floor")]


def _terminal(hull: str) -> Cases:
    """The floor's machine is the VM's, and its command is started through two more programs: a part of the table."""
    return [(line,) for line in LINES if line.tty and (line.core or hull != "floor")]


@pytest.mark.peer
@played("line", _pipe)
def test_in_a_pipe(line: Line, answers: Answers, proa_box: Box) -> None:
    alike(line, answers.seen(line, terminal=False), shown(proa_box, line, terminal=False))


@pytest.mark.peer
@played("line", _terminal)
def test_in_a_terminal(line: Line, answers: Answers, proa_box: Box) -> None:
    alike(line, answers.seen(line, terminal=True), shown(proa_box, line, terminal=True))


@pytest.mark.slow
@pytest.mark.parametrize("shared_box", [hull for hull in HULLS if hull != "floor"], indirect=True)
def test_two_hundred_megabytes_of_stdin(box: Box) -> None:
    block = hashlib.sha256(b"seed").digest() * 32768  # 1 MiB
    data = block * 200
    result = box.run("-i", IMAGE, "sha256sum", input=data, timeout=120)
    assert result.text == f"{hashlib.sha256(data).hexdigest()}  -"
