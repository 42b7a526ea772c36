"""inspect and ps: what is said about containers."""

from __future__ import annotations

import json
import re

import pytest

from support.box import IMAGE, Box


def test_ps_shows_what_runs(box: Box) -> None:
    id = box.detached("--name", "up", IMAGE, "sleep", "600")
    box.create("--name", "idle", IMAGE, "true")
    lines = box.cli("ps").lines
    assert re.split(r" {2,}", lines[0]) == ["CONTAINER ID", "IMAGE", "COMMAND", "CREATED", "STATUS", "PORTS", "NAMES"]
    cells = re.split(r" {2,}", lines[1])
    assert cells[:3] == [id[:12], IMAGE, '"sleep 600"']
    assert re.match("(Less than a second|.* seconds?) ago", cells[3])
    assert re.match("Up ", cells[4])
    assert cells[-1] == "up"
    assert len(lines) == 2


def test_ps_all_newest_first(box: Box) -> None:
    for name in ("one", "two", "three"):
        box.create("--name", name, IMAGE, "true")
    assert box.cli("ps", "-a", "--format", "{{.Names}}").lines == ["three", "two", "one"]
    assert box.cli("ps", "-l", "--format", "{{.Names}}").lines == ["three"]
    assert box.cli("ps", "-n", "2", "--format", "{{.Names}}").lines == ["three", "two"]


def test_ps_status_words(box: Box) -> None:
    box.create("--name", "a1", IMAGE, "true")
    box.cli("run", *box.flags, "--name", "b1", IMAGE, "sh", "-c", "exit 3")
    box.detached("--name", "c1", IMAGE, "sleep", "600")
    box.cli("pause", "c1").ok()
    said = dict(line.split("|") for line in box.cli("ps", "-a", "--format", "{{.Names}}|{{.Status}}").lines)
    assert said["a1"] == "Created"
    assert re.fullmatch(r"Exited \(3\) .* ago", said["b1"])
    assert re.fullmatch(r"Up .* \(Paused\)", said["c1"])


def test_ps_quiet_and_whole_ids(box: Box) -> None:
    id = box.create("--name", "a1", IMAGE, "true")
    assert box.cli("ps", "-aq").text == id[:12]
    assert box.cli("ps", "-aq", "--no-trunc").text == id


@pytest.mark.parametrize(
    ("filter_", "names"),
    [
        ("name=al", ["alpha"]),
        ("status=running", ["beta"]),
        ("status=created", ["alpha"]),
        ("label=kind", ["beta", "alpha"]),
        ("label=kind=x", ["alpha"]),
        ("ancestor=bb", ["beta", "alpha"]),
        ("id=zzz", []),
    ],
)
def test_ps_filters(box: Box, filter_: str, names: list[str]) -> None:
    box.create("--name", "alpha", "-l", "kind=x", IMAGE, "true")
    box.detached("--name", "beta", "--label", "kind=y", IMAGE, "sleep", "600")
    assert box.cli("ps", "-a", "--filter", filter_, "--format", "{{.Names}}").lines == names


def test_ps_exited_filter(box: Box) -> None:
    box.cli("run", *box.flags, "--name", "c1", IMAGE, "sh", "-c", "exit 3")
    assert box.cli("ps", "-aq", "--filter", "exited=3").text != ""
    assert box.cli("ps", "-aq", "--filter", "exited=4").text == ""


def test_ps_unknown_filter(box: Box) -> None:
    result = box.cli("ps", "--filter", "foo=bar")
    assert result.code == 1
    assert re.search("[iI]nvalid filter '?foo", result.error)


def test_inspect_is_a_list(box: Box) -> None:
    first, second = box.create("--name", "a1", IMAGE, "true"), box.create("--name", "b1", IMAGE, "true")
    told = json.loads(box.cli("inspect", "a1", "b1").ok().out)
    assert [one["Id"] for one in told] == [first, second]
    assert [one["Name"] for one in told] == ["/a1", "/b1"]


def test_inspect_fields(box: Box) -> None:
    box.cli("run", *box.flags, "--name", "c1", "-e", "A=1", "--hostname", "h", "-w", "/tmp", "-u", "app", "-l", "k=v",
            IMAGE, "sh", "-c", "exit 2")  # fmt: skip
    told = json.loads(box.cli("inspect", "c1").ok().out)[0]
    config, state = told["Config"], told["State"]
    assert config["Cmd"] == ["sh", "-c", "exit 2"]
    assert "A=1" in config["Env"]
    assert (config["Hostname"], config["WorkingDir"], config["User"], config["Labels"]) == (
        "h",
        "/tmp",
        "app",
        {"k": "v"},
    )
    assert config["Image"] == IMAGE
    assert (told["Path"], told["Args"]) == ("sh", ["-c", "exit 2"])
    assert (state["Status"], state["ExitCode"], state["Running"], state["Pid"]) == ("exited", 2, False, 0)
    assert re.fullmatch("sha256:[0-9a-f]{64}", told["Image"])
    assert told["HostConfig"]["NetworkMode"] == "none"
    for moment in (told["Created"], state["StartedAt"], state["FinishedAt"]):
        assert re.match(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\d\.\d+Z", moment)
    assert told["Created"] <= state["StartedAt"] <= state["FinishedAt"]


def test_inspect_times_of_one_never_started(box: Box) -> None:
    box.create("--name", "c1", IMAGE, "true")
    assert box.inspect("c1", "{{.State.StartedAt}} {{.State.FinishedAt}}") == " ".join(["0001-01-01T00:00:00Z"] * 2)


def test_inspect_pid_is_on_the_host(box: Box) -> None:
    if box.hull == "floor":
        pytest.skip("the floor's processes belong to another user")
    box.detached("--name", "c1", IMAGE, "sleep", "600")
    pid = box.inspect("c1", "{{.State.Pid}}")
    with open(f"/proc/{pid}/cmdline", "rb") as file:
        assert (b"qemu" if box.is_vm else b"sleep\x00600") in file.read()


def test_inspect_json_template(box: Box) -> None:
    box.create("--name", "c1", IMAGE, "true")
    assert json.loads(box.inspect("c1", "{{json .Config.Cmd}}")) == ["true"]


def test_inspect_unknown(box: Box) -> None:
    result = box.cli("inspect", "nobody")
    assert result.code == 1
    assert result.text == "[]"
    assert re.search("No such (object|container): nobody", result.error)


def test_inspect_some_unknown_still_tells_the_others(box: Box) -> None:
    box.create("--name", "a1", IMAGE, "true")
    result = box.cli("inspect", "a1", "nobody")
    assert result.code == 1
    assert [one["Name"] for one in json.loads(result.out)] == ["/a1"]


def test_inspect_says_the_hull(proa_box: Box) -> None:
    proa_box.create("--name", "c1", IMAGE, "true")
    told = json.loads(proa_box.cli("inspect", "c1").ok().out)[0]
    assert told["Hull"]["Kind"] == ("vm" if proa_box.is_vm else "container")
    assert told["HostConfig"]["Isolation"] == ("vm" if proa_box.is_vm else "process")


def test_json_everywhere(proa_box: Box) -> None:
    id = proa_box.create("--name", "c1", IMAGE, "true")
    for command in (["ps", "-a", "--json"], ["inspect", "--json", "c1"], ["images", "--json"], ["version", "--json"]):
        out = proa_box.cli(*command).ok().text
        documents = [json.loads(line) for line in out.splitlines()] if not out.startswith("[\n") else json.loads(out)
        assert documents
    assert id in proa_box.cli("ps", "-a", "--json", "--no-trunc").text
