"""version, info, doctor, setup: what is said about engine and host."""

from __future__ import annotations

import json
import os

import pytest

import proa
from support.box import Box
from support.hulls import HULLS


def test_version(proa_box: Box) -> None:
    assert proa_box.cli("--version").ok().text == f"proa version {proa.__version__}"
    told = json.loads(proa_box.cli("version", "--format", "{{json .}}").ok().out)
    assert told["Client"]["Version"] == told["Server"]["Version"] == proa.__version__
    assert told["Server"]["ApiVersion"] == "1.45"
    assert proa_box.cli("version", "--format", "{{.Server.ApiVersion}}").text == "1.45"


def test_ping(proa_box: Box) -> None:
    from support.box import UnixHTTP

    for method in ("GET", "HEAD"):
        connection = UnixHTTP(proa_box.socket)
        connection.request(method, "/_ping")
        response = connection.getresponse()
        assert response.status == 200
        assert response.getheader("Api-Version") == "1.45"
        assert response.getheader("Ostype") == "linux"
        assert response.read() == (b"OK" if method == "GET" else b"")
        connection.close()


def test_info(proa_box: Box) -> None:
    told = json.loads(proa_box.cli("info", "--json").ok().out)
    assert told["OSType"] == "linux"
    assert told["NCPU"] == os.cpu_count()
    said = proa_box.cli("info").ok().text
    assert "Server Version" in said
    if proa_box.is_vm:
        assert "tcg" in said.lower() or "kvm" in said.lower()


def test_doctor(proa_box: Box) -> None:
    hull = "vm" if proa_box.is_vm else "process"
    assert proa_box.cli("doctor", "--isolation", hull).ok().text
    told = json.loads(proa_box.cli("doctor", "--json").out)
    assert told


def test_doctor_on_the_floor(proa_box: Box) -> None:
    if proa_box.hull != "floor":
        pytest.skip("only the floor has no containers")
    result = proa_box.cli("doctor", "--isolation", "process")
    assert result.code == 1
    assert proa_box.cli("doctor", "--isolation", "vm").code == 0


def test_a_container_on_the_floor_is_refused_in_one_line(proa_box: Box) -> None:
    if proa_box.hull != "floor":
        pytest.skip("elsewhere it is had")
    result = proa_box.cli("run", "--rm", "bb", "true")
    assert result.code == 125
    lines = [line for line in result.error.splitlines() if not line.startswith("WARNING")]
    assert lines[0].startswith("proa: ")
    assert "next: proa run --isolation=vm" in result.error


def test_setup_a_second_time_takes_no_time(proa_box: Box) -> None:
    if not proa_box.is_vm:
        pytest.skip("the VM's parts")
    flags = ["--user"] if proa_box.hull == "floor" else []
    assert "already there" in proa_box.cli("setup", "--show", *flags).ok().text


@pytest.mark.parametrize("shared_box", HULLS[:1], indirect=True)
def test_help_of_every_command(proa_box: Box) -> None:
    """No hull has a say in it."""
    words = "run create start stop kill pause unpause rm wait ps logs exec attach inspect events images rmi import"
    for name in [*words.split(), "version", "info", "doctor", "setup", "engine"]:
        said = proa_box.cli(name, "--help")
        assert said.code == 0, name
        assert "usage" in said.text.lower(), name
