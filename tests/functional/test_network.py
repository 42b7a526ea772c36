"""--network: none and host; what is not there yet says so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from support.box import IMAGE, Box


def _without_network(box: Box) -> Box:
    """The box, its flags without --network."""
    flags = list(box.flags)
    at = flags.index("--network")
    return replace(box, flags=flags[:at] + flags[at + 2 :])


def _links(box: Box, *flags: str) -> list[str]:
    return _without_network(box).run(*flags, IMAGE, "ls", "/sys/class/net").ok().lines


def test_none(box: Box) -> None:
    assert "lo" in _links(box, "--network", "none")
    assert not [name for name in _links(box, "--network", "none") if name.startswith(("eth", "en", "veth"))]


def test_loopback_works(box: Box) -> None:
    assert "1 packets received" in box.run(IMAGE, "ping", "-c", "1", "-W", "5", "127.0.0.1").text


def test_host(box: Box) -> None:
    if box.is_vm or box.is_docker:
        pytest.skip("a virtual machine has no host network; dockerd's host is a namespace of the test's")
    with open("/proc/net/dev") as file:
        mine = sorted(line.split(":")[0].strip() for line in file.readlines()[2:])
    listed = _without_network(box).run("--network", "host", IMAGE, "cat", "/proc/net/dev").ok().lines[2:]
    assert sorted(line.split(":")[0].strip() for line in listed) == mine


def test_host_in_a_vm_is_refused(proa_box: Box) -> None:
    if not proa_box.is_vm:
        pytest.skip("a container may have it")
    result = _without_network(proa_box).run("--network", "host", IMAGE, "true")
    assert result.code == 125
    assert "host" in result.error
    assert proa_box.cli("ps", "-aq").text == ""


@pytest.mark.parametrize("name", ["default", "bridge"])
def test_not_there_yet_acts_as_none_and_says_so(proa_box: Box, name: str) -> None:
    result = _without_network(proa_box).run("--network", name, IMAGE, "ls", "/sys/class/net")
    assert "lo" in result.lines
    assert not [link for link in result.lines if link.startswith("eth")]
    assert result.error.startswith("WARNING: ")


def test_unknown_network(box: Box) -> None:
    result = _without_network(box).run("--network", "nowhere", IMAGE, "true")
    assert result.code == 125
    assert "nowhere" in result.error
