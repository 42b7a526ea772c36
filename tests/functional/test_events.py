"""events: what happened, in order, once."""

from __future__ import annotations

import json
import time

from support.box import IMAGE, Box


def _events(box: Box, since: float, *filters: str) -> list[dict[str, object]]:
    flags = [word for text in filters for word in ("--filter", text)]
    until = str(int(time.time()) + 1)
    told = box.cli("events", "--since", f"{since:.9f}", "--until", until, "--format", "{{json .}}", *flags).ok()
    return [json.loads(line) for line in told.lines]


def test_a_whole_life(box: Box) -> None:
    since = time.time()
    box.run("--name", "c1", IMAGE, "sh", "-c", "exit 3")
    box.until(lambda: any(event["Action"] == "destroy" for event in _events(box, since, "container=c1")))
    events = [event for event in _events(box, since, "type=container") if event["Action"] != "attach"]
    assert [event["Action"] for event in events] == ["create", "start", "die", "destroy"]
    actors = [event["Actor"] for event in events]
    assert all(actor["Attributes"]["name"] == "c1" and actor["Attributes"]["image"] == IMAGE for actor in actors)  # type: ignore[index]
    assert actors[2]["Attributes"]["exitCode"] == "3"  # type: ignore[index]
    assert events[0]["scope"] == "local"


def test_kill_stop_pause_exec(box: Box) -> None:
    since = time.time()
    box.detached("--name", "c1", IMAGE, "sh", "-c", "trap 'exit 0' TERM; while :; do sleep 0.05; done")
    box.cli("pause", "c1").ok()
    box.cli("unpause", "c1").ok()
    box.cli("exec", "c1", "true").ok()
    box.cli("stop", "c1").ok()
    actions = [str(event["Action"]) for event in _events(box, since, "container=c1")]
    for wanted in (
        "create",
        "start",
        "pause",
        "unpause",
        "exec_create: true ",
        "exec_start: true ",
        "kill",
        "die",
        "stop",
    ):
        assert any(action.startswith(wanted) for action in actions), (wanted, actions)
    assert actions.count("die") == 1


def test_filters(box: Box) -> None:
    since = time.time()
    box.run("--name", "a1", "-l", "x=1", IMAGE, "true")
    box.run("--name", "b1", IMAGE, "true")
    assert {event["Action"] for event in _events(box, since, "event=die")} == {"die"}
    assert len(_events(box, since, "event=die")) == 2
    assert len(_events(box, since, "event=die", "container=a1")) == 1
    assert len(_events(box, since, "event=die", "label=x=1")) == 1
    assert len(_events(box, since, "event=die", "event=start")) == 4


def test_live(box: Box) -> None:
    process = box.popen("events", "--filter", "event=die", "--format", "{{.Action}} {{.Actor.Attributes.exitCode}}")
    time.sleep(0.5)
    assert box.run(IMAGE, "sh", "-c", "exit 5").code == 5
    assert process.stdout is not None
    assert process.stdout.readline() == b"die 5\n"
    process.terminate()
    process.communicate()


def test_order_is_time(box: Box) -> None:
    since = time.time()
    for _ in range(3):
        box.run(IMAGE, "true").ok()
    moments = [event["timeNano"] for event in _events(box, since)]
    assert moments == sorted(moments)  # type: ignore[type-var]
