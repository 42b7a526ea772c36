"""/etc/hostname, /etc/hosts, /etc/resolv.conf: the engine's, with dockerd's content in both hulls."""

from __future__ import annotations

from pathlib import Path

import pytest

from support.box import IMAGE, Box

SHOW = (
    "sh",
    "-c",
    "for name in hostname hosts resolv.conf; do echo == $name; stat -c '%a %u:%g' /etc/$name; cat /etc/$name; done",
)
CASES = {
    "plain": ("-h", "here"),
    "names": ("-h", "a.b.c", "--add-host", "one:1.2.3.4", "--add-host", "six:fe80::1"),
    "resolver": ("-h", "here", "--dns", "9.9.9.9", "--dns-search", "example.org", "--dns-option", "ndots:3"),
    "no search": ("-h", "here", "--dns-search", "."),
}
NAMES = ("hostname", "hosts", "resolv.conf")


@pytest.mark.parametrize("case", CASES)
def test_as_dockerd_has_them(box: Box, docker_box: Box, case: str) -> None:
    assert box.run(*CASES[case], IMAGE, *SHOW).ok().out == docker_box.run(*CASES[case], IMAGE, *SHOW).ok().out


def test_hostname_is_the_short_id(box: Box) -> None:
    id = box.create(IMAGE, "cat", "/etc/hostname")
    assert box.cli("start", "-a", id).ok().text == id[:12]


@pytest.mark.parametrize("more", [(), ("--add-host", "one:1.2.3.4"), ("-h", "mine"), ("--dns", "9.9.9.9")])
def test_the_hosts_network(box: Box, docker_box: Box, more: tuple[str, ...]) -> None:
    if box.is_vm:
        pytest.skip("a machine has a network of its own")
    words = ("run", "--rm", "--network", "host", *more, IMAGE, "sh", "-c", "echo $HOSTNAME; hostname;" + SHOW[2])
    assert box.cli(*words).ok().out == docker_box.cli(*words).ok().out


def test_they_can_be_written_and_are_made_anew(box: Box) -> None:
    id = box.create(
        "-h", "here", IMAGE, "sh", "-c", "cat /etc/hostname; echo changed >/etc/hostname; cat /etc/hostname"
    )
    assert box.cli("start", "-a", id).ok().lines == ["here", "changed"]
    assert box.cli("start", "-a", id).ok().lines == ["here", "changed"]


def test_a_root_that_is_read_only(box: Box) -> None:
    result = box.run("--read-only", IMAGE, "sh", "-c", "for f in hostname hosts resolv.conf; do echo >/etc/$f; done")
    assert result.code and result.error.count("Read-only file system") == len(NAMES)


def test_what_is_mounted_there_wins(box: Box, tmp_path: Path) -> None:
    if box.is_vm:
        pytest.skip("folders are not shared yet")
    (tmp_path / "mine").write_text("mine\n")
    assert box.run("-v", f"{tmp_path}/mine:/etc/hosts:ro", IMAGE, "cat", "/etc/hosts").ok().text == "mine"


def test_inspect_names_them(proa_box: Box) -> None:
    id = proa_box.create("-h", "here", IMAGE, "true")
    template = "{{.HostnamePath}}|{{.HostsPath}}|{{.ResolvConfPath}}"
    assert proa_box.inspect(id, template) == "||"
    proa_box.cli("start", "-a", id).ok()
    paths = proa_box.inspect(id, template).split("|")
    assert [Path(path).name for path in paths] == list(NAMES)
    if proa_box.hull != "floor":
        assert Path(paths[0]).read_text() == "here\n"


@pytest.mark.parametrize("entry", ["nonsense", "a:b:c", "a:1.2.3", ":1.2.3.4"])
def test_add_host_that_is_wrong(proa_box: Box, entry: str) -> None:
    config = {"Image": IMAGE, "Cmd": ["true"], "HostConfig": {"ExtraHosts": [entry], "NetworkMode": "none"}}
    status, body = proa_box.api("POST", "/containers/create", config)
    assert status == 400 and body["code"] == "invalid-extra-host"
