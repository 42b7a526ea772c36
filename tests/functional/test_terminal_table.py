"""The terminal and pipe table: each line shows the same bytes, exit code and terminal modes here as on dockerd."""

from __future__ import annotations

import hashlib

import pytest

from support.box import IMAGE, Box
from support.lines import LINES
from support.terminal import Line, alike, both


@pytest.mark.peer
@pytest.mark.parametrize("line", [line for line in LINES if line.pipe], ids=lambda line: line.name)
def test_in_a_pipe(line: Line, docker_box: Box, proa_box: Box) -> None:
    alike(line, *both(line, docker_box, proa_box, terminal=False))


@pytest.mark.peer
@pytest.mark.parametrize("line", [line for line in LINES if line.tty], ids=lambda line: line.name)
def test_in_a_terminal(line: Line, docker_box: Box, proa_box: Box) -> None:
    alike(line, *both(line, docker_box, proa_box, terminal=True))


@pytest.mark.slow
def test_two_hundred_megabytes_of_stdin(box: Box) -> None:
    block = hashlib.sha256(b"seed").digest() * 32768  # 1 MiB
    data = block * 200
    result = box.run("-i", IMAGE, "sha256sum", input=data, timeout=120)
    assert result.text == f"{hashlib.sha256(data).hexdigest()}  -"
