"""logs -f and events go on when an engine dies: nothing is lost, nothing comes twice."""

from __future__ import annotations

import json
import os
import signal
import subprocess
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from support.box import IMAGE, Box, proa

COUNT = "i=0; while [ $i -lt 300 ]; do i=$((i+1)); echo line $i; [ $((i % 10)) != 0 ] || sleep 0.1; done; echo end >&2"
LINES = [f"line {number}" for number in range(1, 301)]


@pytest.fixture
def own(image_tar: Path) -> Iterator[Box]:
    """An engine that the test may end."""
    with proa(image_tar, "container") as box:
        yield box


def _kill(box: Box) -> None:
    """The engine, once a follower has started it: nobody else does."""
    box.until(lambda: box.cli("engine", "pid").code == 0)
    os.kill(int(box.cli("engine", "pid").ok().text), signal.SIGKILL)


def _killed_over_it(box: Box, client: subprocess.Popen[bytes], times: int = 4) -> tuple[list[str], list[str]]:
    for _ in range(times):
        time.sleep(0.5)
        _kill(box)
    out, err = client.communicate(timeout=60)
    assert client.returncode == 0, err
    return out.decode().splitlines(), err.decode().splitlines()


@pytest.mark.parametrize("flags", [(), ("--tail", "all"), ("--since", "1h")])
def test_every_line_once(own: Box, flags: tuple[str, ...]) -> None:
    own.detached("--name", "c1", IMAGE, "sh", "-c", COUNT)
    out, err = _killed_over_it(own, own.popen("logs", "-f", *flags, "c1"))
    assert (out, err) == (LINES, ["end"])


def test_of_a_terminal_with_times_and_as_objects(own: Box) -> None:
    own.detached("-t", "--name", "c1", IMAGE, "sh", "-c", COUNT)
    stamped = own.popen("logs", "-f", "-t", "c1")
    objects = own.popen("logs", "-f", "--json", "c1")
    out, _ = _killed_over_it(own, stamped)
    assert [line.split(" ", 1)[1] for line in out] == [*LINES, "end"]
    stamps = [line.split(" ", 1)[0] for line in out]
    assert sorted(stamps) == stamps
    told, _ = objects.communicate(timeout=60)
    assert [json.loads(line)["log"].rstrip("\r") for line in told.splitlines()] == [*LINES, "end"]


def test_only_what_comes(own: Box) -> None:
    """--tail 0, and the engine dies before there was anything."""
    own.detached("--name", "c1", IMAGE, "sh", "-c", "echo early; sleep 2; echo late; sleep 1; echo last")
    own.until(lambda: own.cli("logs", "c1").text == "early")
    out, _ = _killed_over_it(own, own.popen("logs", "-f", "--tail", "0", "c1"), times=3)
    assert out == ["late", "last"]


def test_a_log_that_is_gone_is_at_its_end(own: Box) -> None:
    own.detached("--rm", "--name", "c1", IMAGE, "sh", "-c", "echo once; sleep 0.7")
    client = own.popen("logs", "-f", "c1")
    out, _ = _killed_over_it(own, client, times=1)
    assert out == ["once"]


def test_who_stopped_the_engine_wants_none(own: Box) -> None:
    """No follower starts one; the next that comes is followed."""
    own.detached("--name", "c1", IMAGE, "sh", "-c", COUNT)
    logs, events = (
        own.popen("logs", "-f", "c1"),
        own.popen("events", "--filter", "event=die", "--format", "{{.Action}}"),
    )
    time.sleep(0.5)
    own.cli("engine", "stop").ok()
    time.sleep(1)
    assert not os.path.exists(own.socket)
    own.cli("ps").ok()
    out, _ = logs.communicate(timeout=60)
    assert out.decode().splitlines() == LINES
    assert events.stdout is not None and events.stdout.readline() == b"die\n"
    events.terminate()
    events.communicate()


def test_every_event_once(own: Box) -> None:
    plain = own.popen("events", "--filter", "type=container", "--format", "{{.Action}} {{.Actor.Attributes.name}}")
    objects = own.popen("events", "--since", f"{time.time():.9f}", "--filter", "event=die", "--json")
    time.sleep(0.5)
    _kill(own)  # before there was any
    for name in ("a1", "b1", "c1"):
        own.cli("create", *own.flags, "--name", name, IMAGE, "true").ok()
        _kill(own)
        own.cli("start", "-a", name).ok()
    own.cli("rm", "a1", "b1", "c1").ok()
    time.sleep(1)
    told = []
    for client in (plain, objects):
        client.terminate()
        told.append(client.communicate()[0].decode().splitlines())
    seen = [line for line in told[0] if not line.startswith("attach")]
    assert seen == [
        *(f"{action} {name}" for name in ("a1", "b1", "c1") for action in ("create", "start", "die")),
        *(f"destroy {name}" for name in ("a1", "b1", "c1")),
    ]
    events = [json.loads(line) for line in told[1]]
    assert [event["Actor"]["Attributes"]["name"] for event in events] == ["a1", "b1", "c1"]
    assert all("Number" not in event for event in events)
