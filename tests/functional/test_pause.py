"""pause and unpause: a program stands still, and goes on."""

from __future__ import annotations

import time

from support.box import IMAGE, Box


def _lines(box: Box) -> int:
    return len(box.cli("logs", "c1").lines)


def test_pause_stops_and_unpause_goes_on(box: Box) -> None:
    box.detached("--name", "c1", IMAGE, "sh", "-c", "while :; do echo tick; sleep 0.02; done")
    box.until(lambda: _lines(box) > 3)
    assert box.cli("pause", "c1").ok().text == "c1"
    assert box.inspect("c1", "{{.State.Status}} {{.State.Paused}} {{.State.Running}}") == "paused true true"
    time.sleep(0.3)
    standing = _lines(box)
    time.sleep(0.5)
    assert _lines(box) == standing
    assert box.cli("unpause", "c1").ok().text == "c1"
    assert box.inspect("c1", "{{.State.Status}}") == "running"
    box.until(lambda: _lines(box) > standing + 3)


def test_pause_twice(box: Box) -> None:
    box.detached("--name", "c1", IMAGE, "sleep", "600")
    box.cli("pause", "c1").ok()
    result = box.cli("pause", "c1")
    assert result.code == 1
    assert "is already paused" in result.error


def test_unpause_one_that_runs(box: Box) -> None:
    box.detached("--name", "c1", IMAGE, "sleep", "600")
    result = box.cli("unpause", "c1")
    assert result.code == 1
    assert "is not paused" in result.error


def test_pause_one_that_does_not_run(box: Box) -> None:
    box.create("--name", "c1", IMAGE, "true")
    result = box.cli("pause", "c1")
    assert result.code == 1
    assert "is not running" in result.error


def test_a_paused_one_can_be_removed(box: Box) -> None:
    box.detached("--name", "c1", IMAGE, "sleep", "600")
    box.cli("pause", "c1").ok()
    box.cli("rm", "-f", "c1").ok()
    assert box.cli("ps", "-aq").text == ""


def test_a_paused_one_can_be_killed(box: Box) -> None:
    box.detached("--name", "c1", IMAGE, "sleep", "600")
    box.cli("pause", "c1").ok()
    box.cli("kill", "c1")
    box.cli("unpause", "c1")
    assert box.wait("c1") == 137
