"""The docker command, unchanged, on our socket: what it shows is what it shows on dockerd."""

from __future__ import annotations

import json
import re
import time
from pathlib import Path

import pytest

from support.box import FULL_ID, IMAGE, Box
from support.lines import LINES
from support.terminal import Line, alike, both


@pytest.mark.peer
@pytest.mark.parametrize("line", [line for line in LINES if line.pipe], ids=lambda line: line.name)
def test_in_a_pipe(line: Line, theirs: Box, ours: Box) -> None:
    alike(line, *both(line, theirs, ours, terminal=False))


@pytest.mark.peer
@pytest.mark.parametrize("line", [line for line in LINES if line.tty], ids=lambda line: line.name)
def test_in_a_terminal(line: Line, theirs: Box, ours: Box) -> None:
    alike(line, *both(line, theirs, ours, terminal=True))


def test_version(ours: Box) -> None:
    told = json.loads(ours.cli("version", "--format", "{{json .}}").ok().out)
    assert told["Server"]["ApiVersion"] == "1.45"
    assert told["Server"]["MinAPIVersion"] == "1.24"
    assert re.search("Server:", ours.cli("version").ok().text)


def test_info(ours: Box) -> None:
    said = ours.cli("info").ok()
    for words in ("Containers:", "Server Version:", "Kernel Version:", "Operating System:", "CPUs:", "Total Memory:"):
        assert words in said.text
    assert "ERROR" not in said.text + said.error


def test_life(ours: Box) -> None:
    id = ours.cli("run", "-d", *ours.flags, "--name", "c1", IMAGE, "sh", "-c", "echo hello; sleep 600").ok().text
    assert re.fullmatch(FULL_ID, id)
    assert ours.cli("ps", "-q", "--no-trunc").text == id
    assert ours.cli("exec", "c1", "echo", "x").text == "x"
    ours.until(lambda: ours.cli("logs", "c1").text == "hello")
    assert ours.cli("stop", "-t", "0", "c1").ok().text == "c1"
    assert ours.cli("rm", "c1").ok().text == "c1"


def test_import_images_rmi(ours: Box, image_tar: Path) -> None:
    assert re.fullmatch(
        "sha256:[0-9a-f]{64}", ours.cli("import", "-c", "CMD id -u", str(image_tar), "other:v1").ok().text
    )
    assert ours.cli("import", "-", "other:v2", input=image_tar.read_bytes()).ok()
    assert {"other:v1", "other:v2"} <= set(ours.cli("images", "--format", "{{.Repository}}:{{.Tag}}").lines)
    assert ours.cli("run", "--rm", *ours.flags, "other:v1").text == "0"
    ours.cli("rmi", "other:v1", "other:v2").ok()


def test_events(ours: Box) -> None:
    since = str(int(time.time()) - 1)
    ours.run(IMAGE, "true").ok()
    flags = ["--since", since, "--until", str(int(time.time()) + 1), "--filter", "event=die"]
    assert ours.cli("events", *flags, "--format", "{{.Actor.Attributes.exitCode}}").lines == ["0"]
    assert "container die" in ours.cli("events", *flags).text


def test_unknown_image_names_the_next_step(ours: Box) -> None:
    """`docker run` asks for a pull after the 404: the answer says what works today."""
    result = ours.run("no-such-image", "true")
    assert result.code == 125
    assert "proa import" in result.error


def test_isolation_is_passed_on(ours: Box) -> None:
    ours.create("--name", "c1", IMAGE, "true")
    assert ours.inspect("c1", "{{.HostConfig.Isolation}}") == ("vm" if ours.is_vm else "process")


def test_isolation_that_is_unknown(ours: Box) -> None:
    result = ours.cli("run", "--rm", "--isolation", "cardboard", IMAGE, "true")
    assert result.code == 125
    assert "cardboard" in result.error


@pytest.mark.parametrize(
    "arguments", [["network", "ls"], ["volume", "ls"], ["system", "df"], ["search", "x"], ["swarm", "init"]]
)
def test_what_is_not_there_yet_is_answered(ours: Box, arguments: list[str]) -> None:
    result = ours.cli(*arguments)
    assert result.code in (0, 1)
    assert "panic" not in result.error


def test_stats_and_top_are_honest(ours: Box) -> None:
    ours.detached("--name", "c1", IMAGE, "sleep", "600")
    for arguments in (["top", "c1"], ["cp", "c1:/plain", "-"], ["commit", "c1", "x"], ["diff", "c1"]):
        result = ours.cli(*arguments)
        assert result.code in (0, 1)
        if result.code:
            assert result.error.startswith(("Error response from daemon:", "Error:")), result.error
