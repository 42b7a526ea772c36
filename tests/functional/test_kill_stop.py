"""start, stop, kill, wait, rm: the life of a container."""

from __future__ import annotations

import re
import subprocess
import time

import pytest

from support.box import IMAGE, Box

STUBBORN = "trap '' TERM; echo ready; while :; do sleep 0.05; done"
POLITE = "trap 'exit 5' TERM; echo ready; while :; do sleep 0.05; done"


def _ready(box: Box, *arguments: str) -> None:
    box.detached("--name", "c1", *arguments)
    box.until(lambda: "ready" in box.cli("logs", "c1").text)


def test_kill(box: Box) -> None:
    box.detached("--name", "c1", IMAGE, "sleep", "600")
    assert box.cli("kill", "c1").ok().text == "c1"
    assert box.wait("c1") == 137
    assert box.inspect("c1", "{{.State.Status}} {{.State.ExitCode}} {{.State.OOMKilled}}") == "exited 137 false"


@pytest.mark.parametrize("name", ["USR1", "SIGUSR1", "10"])
def test_kill_with_a_signal(box: Box, name: str) -> None:
    _ready(box, IMAGE, "sh", "-c", "trap 'exit 6' USR1; echo ready; while :; do sleep 0.05; done")
    box.cli("kill", "-s", name, "c1").ok()
    assert box.wait("c1") == 6


def test_kill_with_an_unknown_signal(box: Box) -> None:
    box.detached("--name", "c1", IMAGE, "sleep", "600")
    result = box.cli("kill", "-s", "NOPE", "c1")
    assert result.code == 1
    assert "invalid signal: nope" in result.error.lower()


def test_kill_one_that_does_not_run(box: Box) -> None:
    box.create("--name", "c1", IMAGE, "true")
    result = box.cli("kill", "c1")
    assert result.code == 1
    assert "is not running" in result.error


def test_stop_asks_first(box: Box) -> None:
    _ready(box, IMAGE, "sh", "-c", POLITE)
    assert box.cli("stop", "c1").ok().text == "c1"
    assert box.inspect("c1", "{{.State.ExitCode}}") == "5"


def test_stop_kills_after_its_time(box: Box) -> None:
    _ready(box, IMAGE, "sh", "-c", STUBBORN)
    begun = time.monotonic()
    box.cli("stop", "-t", "1", "c1").ok()
    assert 0.9 < time.monotonic() - begun < 6 * box.slow
    assert box.inspect("c1", "{{.State.ExitCode}}") == "137"


def test_stop_signal_of_the_container(box: Box) -> None:
    _ready(
        box, "--stop-signal", "USR2", IMAGE, "sh", "-c", "trap 'exit 8' USR2; echo ready; while :; do sleep 0.05; done"
    )
    box.cli("stop", "c1").ok()
    assert box.inspect("c1", "{{.State.ExitCode}}") == "8"


def test_stop_of_one_that_has_ended_is_fine(box: Box) -> None:
    box.cli("run", *box.flags, "--name", "c1", IMAGE, "true").ok()
    assert box.cli("stop", "c1").ok().text == "c1"


def test_start_again(box: Box) -> None:
    box.cli("run", *box.flags, "--name", "c1", IMAGE, "sh", "-c", "echo x >> /count; wc -l < /count").ok()
    result = box.cli("start", "-a", "c1")
    assert (result.code, result.text) == (0, "2")


def test_start_attached_gives_the_exit_code(box: Box) -> None:
    box.create("--name", "c1", IMAGE, "sh", "-c", "echo hello; exit 3")
    result = box.cli("start", "-a", "c1")
    assert (result.code, result.text) == (3, "hello")


def test_start_interactive(box: Box) -> None:
    box.create("-i", "--name", "c1", IMAGE, "cat")
    assert box.cli("start", "-ai", "c1", input=b"typed").out == b"typed"


def test_start_of_one_that_runs_is_fine(box: Box) -> None:
    box.detached("--name", "c1", IMAGE, "sleep", "600")
    assert box.cli("start", "c1").ok().text == "c1"


def test_create_runs_nothing(box: Box) -> None:
    box.create("--name", "c1", IMAGE, "true")
    assert box.inspect("c1", "{{.State.Status}} {{.State.Pid}}") == "created 0"


def test_wait_for_several(box: Box) -> None:
    for name, code in (("a1", 3), ("b1", 4)):
        box.detached("--name", name, IMAGE, "sh", "-c", f"sleep 0.2; exit {code}")
    assert box.cli("wait", "a1", "b1").lines == ["3", "4"]


def test_wait_blocks(box: Box) -> None:
    box.detached("--name", "c1", IMAGE, "sleep", "600")
    waiting = box.popen("wait", "c1")
    with pytest.raises(subprocess.TimeoutExpired):
        waiting.wait(0.5)
    box.cli("kill", "c1").ok()
    assert waiting.communicate(timeout=20 * box.slow)[0] == b"137\n"


def test_rm(box: Box) -> None:
    box.cli("run", *box.flags, "--name", "c1", IMAGE, "true").ok()
    assert box.cli("rm", "c1").ok().text == "c1"
    assert box.cli("ps", "-aq").text == ""


def test_rm_of_one_that_runs(box: Box) -> None:
    id = box.detached("--name", "c1", IMAGE, "sleep", "600")
    result = box.cli("rm", "c1")
    assert result.code == 1
    assert id in result.error or '"/c1"' in result.error
    assert re.search("(?i)stop the container before", result.error)
    assert box.cli("rm", "-f", "c1").ok().text == "c1"


def test_rm_of_one_that_is_unknown(box: Box) -> None:
    result = box.cli("rm", "nobody")
    assert result.code == 1
    assert "No such container: nobody" in result.error


def test_by_unique_prefix(box: Box) -> None:
    id = box.create("--name", "c1", IMAGE, "true")
    assert box.inspect(id[:10], "{{.Id}}") == id
    assert box.cli("rm", id[:6]).ok().text == id[:6]


def test_failed_start_says_so(box: Box) -> None:
    box.create("--name", "c1", IMAGE, "nope")
    result = box.cli("start", "c1")
    assert result.code == 1
    assert "executable file not found" in result.error
    assert box.inspect("c1", "{{.State.Status}} {{.State.ExitCode}}") == "created 127"
