"""Requests that no sane client sends: numbers out of range, odd bytes, bad filters. Refused at once, as dockerd does.

Where dockerd takes what cannot work and fails at the start, or writes a broken file, ours refuses at create; those
cases are marked ``ours``.
"""

from __future__ import annotations

import json
from typing import Any
from urllib.parse import quote

import pytest

from support.box import IMAGE, Box

G = 1 << 30
NUMBERS: list[tuple[dict[str, Any], str]] = [
    ({"Memory": -1}, "minimum memory limit allowed is 6mb"),
    ({"Memory": (6 << 20) - 1}, "minimum memory limit allowed is 6mb"),
    ({"Memory": -(1 << 63)}, "minimum memory limit allowed is 6mb"),
    ({"MemoryReservation": 1}, "minimum memory reservation allowed is 6mb"),
    ({"Memory": G, "MemoryReservation": 2 * G}, "can not be less than memory reservation limit"),
    ({"Memory": G, "MemorySwap": 1}, "memoryswap limit should be larger than memory limit"),
    ({"MemorySwappiness": -2}, "invalid value: -2, valid memory swappiness range is 0-100"),
    ({"MemorySwappiness": 101}, "invalid value: 101, valid memory swappiness range is 0-100"),
    ({"NanoCpus": -1}, "range of cpus is from 0.01 to"),
    ({"NanoCpus": 1 << 62}, "range of cpus is from 0.01 to"),
    ({"CpuPeriod": 999}, "cpu cfs period can not be less than 1ms"),
    ({"CpuPeriod": -1}, "cpu cfs period can not be less than 1ms"),
    ({"CpuPeriod": 1 << 40}, "cpu cfs period can not be less than 1ms"),
    ({"CpuQuota": 1}, "cpu cfs quota can not be less than 1ms"),
    ({"OomScoreAdj": 1001}, "invalid value 1001, range for oom score adj is [-1000, 1000]"),
    ({"OomScoreAdj": 1 << 40}, "range for oom score adj is [-1000, 1000]"),
    ({"ShmSize": -1}, "shm size can not be less than 0"),
    ({"RestartPolicy": {"Name": "on-failure", "MaximumRetryCount": -1}}, "maximum retry count cannot be negative"),
    ({"RestartPolicy": {"Name": "always", "MaximumRetryCount": 3}}, "maximum retry count can"),
    ({"ExtraHosts": ["a:1.1.1.1\n6.6.6.6 b"]}, "1.1.1.1\\n6.6.6.6 b"),
    ({"ExtraHosts": [":1.1.1.1"]}, 'bad format for add-host: ":1.1.1.1"'),
    ({"ExtraHosts": ["a:fe80::1%lo"]}, 'invalid ip address in add-host: "fe80::1%lo"'),
]
NUMBERS_OURS: list[tuple[dict[str, Any], str]] = [
    ({"Memory": 1 << 63}, "9223372036854775808 is out of range"),
    ({"NanoCpus": 1}, "range of cpus is from 0.01 to"),
    ({"NanoCpus": 9_999_999}, "range of cpus is from 0.01 to"),
    ({"CpuQuota": 1 << 62}, "cpu cfs quota can not be larger than"),
    ({"CpuShares": -1}, "the minimum allowed cpu-shares is 2"),
    ({"CpuShares": 1}, "the minimum allowed cpu-shares is 2"),
    ({"CpuShares": 1 << 62}, "the maximum allowed cpu-shares is 262144"),
    ({"PidsLimit": 1 << 62}, "the maximum allowed pids limit is 4194304"),
    ({"Ulimits": [{"Name": "nofile", "Soft": -2, "Hard": -2}]}, "a limit is -1 (unlimited) or not negative"),
    ({"Ulimits": [{"Name": "nofile", "Soft": -1, "Hard": 5}]}, "soft limit must be less than or equal to hard limit"),
    ({"ConsoleSize": [-1, 2]}, "height and width cannot be negative"),
    ({"GroupAdd": ["4294967296"]}, "uids and gids must be in range 0-2147483647"),
    ({"LogConfig": {"Type": "json-file", "Config": {"max-size": "1\n"}}}, "invalid value for log option max-size"),
    ({"Binds": ["/tmp:/x\0"]}, "nul byte"),
    ({"Tmpfs": {"/x": "a\0b"}}, "nul byte"),
]
TEXTS: list[tuple[dict[str, Any], str]] = [
    ({"Env": ["=x"]}, "invalid environment variable: =x"),
    ({"Env": [""]}, "invalid environment variable: "),
    ({"WorkingDir": "a"}, "the working directory 'a' is invalid, it needs to be an absolute path"),
    ({"StopSignal": "TERM\n"}, "invalid signal: term\n"),
    ({"Healthcheck": {"Test": ["CMD", "x"], "Interval": 1}}, "interval in healthcheck cannot be less than 1ms"),
    ({"Healthcheck": {"Test": ["CMD", "x"], "Retries": -1}}, "retries in healthcheck cannot be negative"),
]
TEXTS_OURS: list[tuple[dict[str, Any], str]] = [
    ({"Hostname": "a\nb"}, 'invalid hostname: "a\\nb"'),
    ({"Hostname": "a\0b"}, "invalid hostname"),
    ({"Hostname": "a" * 65}, "invalid hostname"),
    ({"Hostname": "é" * 40}, "invalid hostname"),
    ({"Domainname": "a\nb"}, 'invalid domainname: "a\\nb"'),
    ({"Domainname": "a" * 65}, "invalid domainname"),
    ({"Env": ["a=\0"]}, "nul byte"),
    ({"WorkingDir": "/a\0b"}, "nul byte"),
    ({"User": "a\0b"}, "nul byte"),
    ({"User": "-1"}, "uids and gids must be in range 0-2147483647"),
    ({"User": "0:4294967296"}, "uids and gids must be in range 0-2147483647"),
    ({"Cmd": ["a\0"]}, "nul byte"),
    ({"Volumes": {"/a\0": {}}}, "nul byte"),
]
FILES = ("hostname", "hosts", "resolv.conf")
INJECTED: list[dict[str, Any]] = [
    {"Dns": ["8.8.8.8\nnameserver 6.6.6.6"]},
    {"Dns": ["8.8.8.8 6.6.6.6"]},
    {"Dns": ["fe80::1%lo\nnameserver 6.6.6.6"]},
    {"Dns": ["6.6.6.6\r"]},
    {"Dns": ["nonsense"]},
    {"Dns": [""]},
    {"DnsSearch": ["a.b\nnameserver 6.6.6.6"]},
    {"DnsOptions": ["ndots:1\nnameserver 6.6.6.6"]},
    {"ExtraHosts": ["a\n6.6.6.6 b:1.1.1.1"]},
    {"ExtraHosts": ["a\0:1.1.1.1"]},
    {"ExtraHosts": ["b:fe80::1%lo\n6.6.6.6\tb"]},
]


def _create(box: Box, host: dict[str, Any], **more: Any) -> tuple[int, Any]:
    hull = {"NetworkMode": "none", "Isolation": "vm" if box.is_vm else "default"}
    body = {"Image": IMAGE, "Cmd": ["true"], "HostConfig": {**hull, **host}, **more}
    return box.api("POST", "/v1.41/containers/create", body)


def _refused(answer: tuple[int, Any], says: str) -> None:
    status, body = answer
    assert status == 400, answer
    assert says in body["message"].lower(), answer


@pytest.mark.parametrize(("host", "says"), NUMBERS, ids=lambda value: str(value)[:40])
def test_what_dockerd_refuses_too(box: Box, host: dict[str, Any], says: str) -> None:
    _refused(_create(box, host), says)


@pytest.mark.parametrize(("host", "says"), NUMBERS_OURS, ids=lambda value: str(value)[:40])
def test_what_could_not_start(proa_box: Box, host: dict[str, Any], says: str) -> None:
    _refused(_create(proa_box, host), says)


def test_more_memory_than_there_is(box: Box) -> None:
    """A limit for a container, RAM for a machine."""
    status, body = _create(box, {"Memory": 1 << 62})
    if box.is_vm:
        assert (status, body["code"]) == (501, "vm-memory")
    else:
        assert status == 201
        box.cli("start", "-a", body["Id"]).ok()


@pytest.mark.parametrize(("fields", "says"), TEXTS, ids=lambda value: str(value)[:40])
def test_texts_that_dockerd_refuses_too(box: Box, fields: dict[str, Any], says: str) -> None:
    _refused(_create(box, {}, **fields), says)


@pytest.mark.parametrize(("fields", "says"), TEXTS_OURS, ids=lambda value: str(value)[:40])
def test_texts_that_could_not_start(proa_box: Box, fields: dict[str, Any], says: str) -> None:
    _refused(_create(proa_box, {}, **fields), says)


@pytest.mark.parametrize("host", INJECTED, ids=str)
def test_nothing_can_be_injected_into_our_files(proa_box: Box, host: dict[str, Any]) -> None:
    status, body = _create(proa_box, host)
    assert (status, body["code"]) in ((400, "invalid-dns"), (400, "invalid-extra-host")), body
    assert "\n" not in body["message"]


def test_what_is_odd_but_harmless_is_kept(box: Box) -> None:
    """As dockerd: two names for one address, a name that is no name, a zone, a domain alone."""
    status, made = _create(
        box,
        {"ExtraHosts": ["a b:1.1.1.1", "six:fe80::1"], "Dns": ["fe80::1%eth0"], "DnsSearch": ["x y"]},
        Hostname="a b",
        Labels={"a\n": "b\0"},
        Env=["a b=c", "d\n=e", "f==g", "h"],
        Cmd=[
            "sh",
            "-c",
            "cd /etc; cat hostname resolv.conf; tail -n 2 hosts; tr '\\0' '|' </proc/1/environ | grep -c '|a b=c|'",
        ],
    )
    assert status == 201, made
    shown = box.cli("start", "-a", made["Id"]).ok().lines
    if box.is_docker:
        shown = [line for line in shown if not line.endswith("\ta b") or "1.1.1.1" in line]
    assert shown[:2] == ["a b", "search x y"]
    assert "nameserver fe80::1%eth0" in shown
    assert shown[-1] == "1"
    assert box.api("GET", f"/containers/{made['Id']}/json")[1]["Config"]["Labels"] == {"a\n": "b\0"}


def test_limits_that_mean_none(box: Box) -> None:
    """Negative where dockerd takes that for unlimited."""
    none = {"MemorySwap": -5, "MemoryReservation": -1, "CpuQuota": -2, "PidsLimit": -2}
    status, made = _create(box, none)
    assert status == 201, made
    box.cli("start", "-a", made["Id"]).ok()


def _exec(box: Box, id: str, **fields: Any) -> tuple[str, int]:
    words = ["sh", "-c", "env | grep -c ^x="]
    status, made = box.api("POST", f"/containers/{id}/exec", {"Cmd": words, "AttachStdout": True, **fields})
    assert status == 201, made
    out = _raw(box, f"/exec/{made['Id']}/start")
    return out, box.api("GET", f"/exec/{made['Id']}/json")[1]["ExitCode"]


def _raw(box: Box, path: str) -> str:
    import http.client

    from support.box import UnixHTTP

    connection: http.client.HTTPConnection = UnixHTTP(box.socket, 60 * box.slow)
    try:
        connection.request("POST", path, json.dumps({"Tty": False}), {"Content-Type": "application/json"})
        return connection.getresponse().read().decode("latin-1")
    finally:
        connection.close()


def test_a_variable_without_a_name_in_an_exec(box: Box) -> None:
    id = box.detached(IMAGE, "sleep", "600")
    out, code = _exec(box, id, Env=["=y"])
    assert 'environment variable name can\'t be empty: "=y"' in out
    assert code == 126
    out, code = _exec(box, id, Env=["", "x=1"])
    assert (out[8:], code) == ("1\n", 0)


def _listed(box: Box, what: str, filters: object) -> tuple[int, Any]:
    text = filters if isinstance(filters, str) else json.dumps(filters)
    return box.api("GET", f"/{what}/json?all=1&filters={quote(text)}")


BAD_FILTERS = [
    ("images", {"nonsense": ["x"]}),
    ("images", {"dangling": ["maybe"]}),
    ("images", {"dangling": ["2"]}),
    ("images", {"reference": ["["]}),
    ("images", {"until": ["x"]}),
    ("images", "nonsense"),
    ("images", "[]"),
    ("containers", {"nonsense": ["x"]}),
    ("containers", {"status": ["x"]}),
    ("containers", {"health": ["x"]}),
    ("containers", {"exited": ["x"]}),
    ("containers", {"is-task": ["x"]}),
    ("containers", {"name": ["("]}),
    ("containers", {"name": ["(a*)*"]}),
    ("containers", {"name": ["a{1000000000000}"]}),
]


@pytest.mark.parametrize(("what", "filters"), BAD_FILTERS, ids=str)
def test_bad_filters(box: Box, what: str, filters: object) -> None:
    """Whether there is anything to filter or not."""
    if box.is_docker and "name" in str(filters):
        pytest.skip("what is no pattern matches nothing there")
    for _ in range(2):
        status, body = _listed(box, what, filters)
        assert status in ((400, 500) if box.is_docker else (400,)), body
        assert body["message"]
        box.create(IMAGE, "true")


@pytest.mark.parametrize("key", ["before", "since"])
@pytest.mark.parametrize(("what", "noun"), [("images", "image"), ("containers", "container")])
def test_filters_that_name_what_is_not_there(box: Box, what: str, noun: str, key: str) -> None:
    for _ in range(2):
        status, body = _listed(box, what, {key: ["nobody"]})
        assert status in ((404, 500) if box.is_docker else (404,)), body
        assert f"no such {noun}" in body["message"].lower()
        box.create(IMAGE, "true")


def test_images_before_and_since(box: Box) -> None:
    """Neither holds for the image itself."""
    for wanted in ({"before": [IMAGE]}, {"since": [IMAGE]}, {"reference": ["x[ab]*"]}, {"until": ["1000h"]}):
        status, rows = _listed(box, "images", wanted)
        if status == 400 and box.is_docker:
            continue  # until: since 23
        assert (status, [row for row in rows if f"{IMAGE}:latest" in row["RepoTags"]]) == (200, []), wanted
    assert len(_listed(box, "images", {"reference": ["b[ab]*"]})[1]) == 1


def test_a_bad_age_is_told_though_there_is_nothing_to_prune(proa_box: Box) -> None:
    for what in ("containers", "images"):
        status, body = proa_box.api("POST", f"/{what}/prune?filters=" + quote(json.dumps({"until": ["x"]})))
        assert status == 400, body
