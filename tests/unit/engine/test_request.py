"""A create request into a record, and a record into a spec."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import msgspec
import pytest

from proa.engine import binds, capabilities, limits, logoptions, request, spec
from proa.engine.records import Record
from proa.errors import HostCannot, InvalidRequest, ProaError
from proa.runtime import defaults

from .fakes import body


@dataclass
class Image:
    """What ``request`` asks of an image."""

    defaults: dict[str, Any] = field(default_factory=dict)
    id: str = "sha256:" + "0" * 64


def made(image: dict[str, Any] | None = None, **fields: Any) -> Record:
    fields.setdefault("Cmd", ["true"])
    record, _ = request.record(body(**fields), Image(image or {}), 2)  # type: ignore[arg-type]
    return record


IMAGE = {
    "Cmd": ["c"],
    "Entrypoint": ["e"],
    "Env": ["A=1", "PATH=/p"],
    "WorkingDir": "/w",
    "User": "u",
    "Labels": {"x": "1"},
}


@pytest.mark.parametrize(
    ("asked", "wanted"),
    [
        ({"Cmd": None}, ["e", "c"]),
        ({"Cmd": ["d"]}, ["e", "d"]),
        ({"Cmd": None, "Entrypoint": ["f"]}, ["f"]),
        ({"Cmd": ["d"], "Entrypoint": ["f"]}, ["f", "d"]),
        ({"Cmd": ["d"], "Entrypoint": [""]}, ["d"]),
        ({"Cmd": "d", "Entrypoint": "f"}, ["f", "d"]),
    ],
)
def test_entrypoint_and_cmd(asked: dict[str, Any], wanted: list[str]) -> None:
    assert spec.args(made(IMAGE, **asked)) == wanted


def test_environment_is_united() -> None:
    record = made(IMAGE, Env=["A=2", "B=3"])
    assert record.config.env == ["A=2", "B=3", "PATH=/p"]
    process = spec.spec(record, "/r", 1)["process"]
    assert process["env"] == [f"HOSTNAME={record.id[:12]}", "A=2", "B=3", "PATH=/p"]
    assert (process["cwd"], process["user"].get("username")) == ("/w", "u")
    assert record.config.labels == {"x": "1"}
    assert "TERM=xterm" in spec.spec(made(Tty=True), "/r", 1)["process"]["env"]


@pytest.mark.parametrize(
    ("host", "hull"),
    [
        ({}, "container"),
        ({"Isolation": "default"}, "container"),
        ({"Isolation": "process"}, "container"),
        ({"Isolation": "vm"}, "vm"),
        ({"Isolation": "hyperv"}, "vm"),
        ({"Runtime": "vm"}, "vm"),
    ],
)
def test_isolation_names_the_hull(host: dict[str, Any], hull: str) -> None:
    record = made(HostConfig=host)
    assert record.hull == hull
    assert record.host.isolation == host.get("Isolation", "")  # echoed as asked


@pytest.mark.parametrize(
    ("fields", "code"),
    [
        ({"HostConfig": {"Isolation": "jail"}}, "invalid-isolation"),
        ({"HostConfig": {"Runtime": "kata"}}, "unknown-runtime"),
        ({"HostConfig": {"Isolation": "vm", "NetworkMode": "host"}}, "vm-network-host"),
        ({"HostConfig": {"Isolation": "vm", "Binds": ["/a:/b"]}}, "vm-folders"),
        ({"HostConfig": {"NetworkMode": "mynet"}}, "no-such-network"),
        ({"HostConfig": {"Memory": 1 << 20}}, "memory-too-small"),
        ({"HostConfig": {"Memory": 1 << 30, "MemorySwap": 1 << 29}}, "swap-too-small"),
        ({"HostConfig": {"NanoCpus": 3_000_000_000}}, "cpus-out-of-range"),
        ({"HostConfig": {"NanoCpus": 1, "CpuQuota": 5000}}, "cpus-and-period"),
        ({"HostConfig": {"CapAdd": ["NOPE"]}}, "unknown-capability"),
        ({"HostConfig": {"Ulimits": [{"Name": "zebra", "Soft": 1, "Hard": 1}]}}, "unknown-ulimit"),
        ({"HostConfig": {"SecurityOpt": ["zebra=1"]}}, "invalid-security-opt"),
        ({"HostConfig": {"SecurityOpt": ['seccomp={"x":1}']}}, "not-supported-yet"),
        ({"HostConfig": {"PidMode": "host"}}, "not-supported-yet"),
        ({"HostConfig": {"Devices": [{"PathOnHost": "/dev/kvm"}]}}, "not-supported-yet"),
        ({"HostConfig": {"Mounts": [{"Type": "volume", "Target": "/v"}]}}, "not-supported-yet"),
        ({"HostConfig": {"AutoRemove": True, "RestartPolicy": {"Name": "always"}}}, "auto-remove-with-restart-policy"),
        ({"HostConfig": {"LogConfig": {"Type": "syslog"}}}, "not-supported-yet"),
        ({"HostConfig": {"LogConfig": {"Type": "json-file", "Config": {"max-size": "zebra"}}}}, "invalid-log-opt"),
        ({"HostConfig": {"GroupAdd": ["staff"]}}, "not-supported-yet"),
        ({"HostConfig": {"Binds": ["/a"]}}, "invalid-bind"),
        ({"HostConfig": {"Binds": ["vol:/a"]}}, "named-volume"),
        ({"HostConfig": {"Tmpfs": {"rel": ""}}}, "invalid-mount"),
        ({"HostConfig": {"Tmpfs": {"/a": ""}, "Binds": ["/tmp:/a"]}}, "duplicate-mount"),
        ({"Cmd": None}, "no-command"),
        ({"Cmd": ["a\0b"]}, "nul-byte"),
        ({"Env": ["=x"]}, "invalid-env"),
        ({"WorkingDir": "rel"}, "invalid-workdir"),
        ({"StopSignal": "ZEBRA"}, "invalid-signal"),
        ({"Hostname": "a/b"}, "invalid-hostname"),
        ({"Hostname": "a\nb"}, "invalid-hostname"),
        ({"Domainname": "a\x7fb"}, "invalid-domainname"),
        ({"HostConfig": {"DnsSearch": ["a\nb"]}}, "invalid-dns"),
        ({"HostConfig": {"DnsOptions": ["a\nb"]}}, "invalid-dns"),
        ({"HostConfig": {"Dns": ["fe80::1%a\nb"]}}, "invalid-dns"),
        ({"HostConfig": {"ExtraHosts": ["a\nb:1.1.1.1"]}}, "invalid-extra-host"),
        ({"HostConfig": {"ExtraHosts": ["a:fe80::1%b\nc"]}}, "invalid-extra-host"),
        ({"HostConfig": {"Isolation": "vm", "Memory": (1 << 63) - 1}}, "vm-memory"),
        ({"HostConfig": {"MemoryReservation": 1}}, "reservation-too-small"),
        ({"HostConfig": {"MemorySwappiness": 101}}, "invalid-swappiness"),
        ({"HostConfig": {"CpuShares": 1}}, "cpu-shares-out-of-range"),
        ({"HostConfig": {"CpuShares": 262_145}}, "cpu-shares-out-of-range"),
        ({"HostConfig": {"PidsLimit": 1 << 40}}, "pids-limit-out-of-range"),
        ({"HostConfig": {"CpuQuota": 1 << 44}}, "cpu-quota"),
        ({"HostConfig": {"GroupAdd": ["-1"]}}, "id-out-of-range"),
        ({"User": "1:99999999999"}, "id-out-of-range"),
        ({"Healthcheck": {"Timeout": 5}}, "invalid-healthcheck"),
        ({"HostConfig": {"RestartPolicy": {"Name": "always", "MaximumRetryCount": 1}}}, "invalid-restart-policy"),
        ({"HostConfig": {"LogConfig": {"Type": "json-file", "Config": {"max-file": "1\n"}}}}, "invalid-log-opt"),
        ({"HostConfig": {"Mounts": [{"Type": "bind", "Source": "/a\0", "Target": "/v"}]}}, "nul-byte"),
    ],
)
def test_what_cannot_be_had_is_refused_by_name(fields: dict[str, Any], code: str) -> None:
    with pytest.raises(ProaError) as caught:
        made(**fields)
    assert caught.value.code == code
    assert isinstance(caught.value, InvalidRequest | HostCannot)


def test_docker_s_defaults_are_written_into_host_config() -> None:
    host = made(HostConfig={"Memory": 64 << 20, "NetworkMode": "", "PidsLimit": 0, "MemorySwappiness": -1}).host
    assert (host.network_mode, host.memory_swap, host.shm_size) == ("default", 128 << 20, 64 << 20)
    assert (host.pids_limit, host.memory_swappiness, host.restart_policy.name) == (None, None, "no")


def test_networks_that_are_not_there_yet_are_warned_of() -> None:
    _, warnings = request.record(body(Cmd=["x"], HostConfig={"NetworkMode": "bridge"}), Image(), 2)  # type: ignore[arg-type]
    assert any("no network" in warning for warning in warnings)


def test_the_spec_of_defaults() -> None:
    made_spec = spec.spec(made(), "/root", 1)
    linux = made_spec["linux"]
    assert {one["type"] for one in linux["namespaces"]} == {"mount", "pid", "uts", "ipc", "network", "cgroup"}
    assert linux["maskedPaths"] == defaults.MASKED
    assert set(made_spec["process"]["capabilities"]["bounding"]) == set(defaults.CAPABILITIES)
    assert made_spec["process"]["capabilities"]["inheritable"] == []
    assert linux["resources"]["devices"] == defaults.DEVICE_RULES


def test_privileged_and_host_network() -> None:
    made_spec = spec.spec(made(HostConfig={"Privileged": True, "NetworkMode": "host"}), "/root", 2)
    linux = made_spec["linux"]
    assert "network" not in {one["type"] for one in linux["namespaces"]}
    assert linux["maskedPaths"] == linux["readonlyPaths"] == []
    assert set(made_spec["process"]["capabilities"]["bounding"]) == set(capabilities.ALL)
    assert linux["resources"]["devices"] == [{"allow": True, "access": "rwm"}]


def test_limits_in_oci_s_units() -> None:
    host = made(HostConfig={"Memory": 64 << 20, "NanoCpus": 500_000_000, "PidsLimit": 10, "CpuShares": 5}).host
    assert limits.resources(host) == {
        "memory": {"limit": 64 << 20, "swap": 128 << 20},
        "cpu": {"period": 100_000, "quota": 50_000, "shares": 5},
        "pids": {"limit": 10},
    }


@pytest.mark.parametrize(
    ("add", "drop", "wanted"),
    [
        ([], [], {"CAP_A", "CAP_CHOWN"}),
        (["net_admin"], ["CHOWN"], {"CAP_NET_ADMIN"}),
        (["KILL"], ["ALL"], {"CAP_KILL"}),
        (["ALL"], ["CAP_SYS_ADMIN"], set(capabilities.ALL) - {"CAP_SYS_ADMIN"}),
    ],
)
def test_capabilities(add: list[str], drop: list[str], wanted: set[str]) -> None:
    chosen = capabilities.choose(["CAP_CHOWN"], add, drop, privileged=False)
    assert set(chosen) == wanted - {"CAP_A"}


def test_binds_become_mounts_shallow_first() -> None:
    host = made(HostConfig={"Binds": ["/tmp:/a/b:ro", "/tmp:/a"], "Tmpfs": {"/t": "size=1m"}}).host
    found = binds.mounts(host)
    assert [mount["destination"] for mount in found] == ["/a", "/t", "/a/b"]
    assert found[2]["options"] == ["rbind", "rprivate", "ro"]
    assert found[1]["options"] == ["noexec", "nosuid", "nodev", "size=1m"]
    covered = spec.spec(made(HostConfig={"Tmpfs": {"/dev/shm": ""}}), "/r", 1)["mounts"]
    assert [mount["type"] for mount in covered if mount["destination"] == "/dev/shm"] == ["tmpfs"]


def test_shm_size() -> None:
    mounts = spec.spec(made(HostConfig={"ShmSize": 1 << 20}), "/r", 1)["mounts"]
    (shm,) = [mount for mount in mounts if mount["destination"] == "/dev/shm"]
    assert "size=1024k" in shm["options"]


@pytest.mark.parametrize(
    ("text", "wanted"), [("", 7), ("-1", 7), ("10", 10), ("10k", 10240), ("1.5m", 1572864), ("2gb", 2 << 30)]
)
def test_sizes(text: str, wanted: int) -> None:
    assert logoptions.size(text, 7) == wanted


def test_a_record_is_stored_whole() -> None:
    record = made(
        HostConfig={"Ulimits": [{"Name": "nofile", "Soft": 1, "Hard": 2}], "Tmpfs": {"/t": ""}}, StopTimeout=3
    )
    assert msgspec.json.decode(msgspec.json.encode(record), type=Record) == record


def test_what_says_nothing_is_null_or_left_out_as_dockerd_does() -> None:
    shown = msgspec.to_builtins(made(NetworkDisabled=False, ExposedPorts={}, Volumes={}, StopSignal="").config)
    assert shown["Env"] is None and shown["Volumes"] is None
    assert not {"NetworkDisabled", "ExposedPorts", "StopSignal", "MacAddress"} & set(shown)
    host = msgspec.to_builtins(made(HostConfig={"Ulimits": None, "Dns": []}).host)
    assert host["Ulimits"] is None and host["Dns"] == [] and host["PortBindings"] is None


def test_errors_in_dockerd_s_words() -> None:
    for host, text in (
        ({"CapAdd": ["nonsense"]}, 'invalid CapAdd: unknown capability: "CAP_NONSENSE"'),
        ({"CapDrop": ["CAP_X"]}, 'invalid CapDrop: unknown capability: "CAP_X"'),
        (
            {"Binds": ["/a:b"]},
            "invalid volume specification: '/a:b': invalid mount config for type \"bind\": "
            "invalid mount path: 'b' mount path must be absolute",
        ),
    ):
        with pytest.raises(InvalidRequest) as refused:
            made(HostConfig=host)
        assert refused.value.what == text


def test_limits_on_a_device_are_refused_not_forgotten() -> None:
    with pytest.raises(HostCannot, match="limits on a device"):
        made(HostConfig={"BlkioDeviceReadBps": [{"Path": "/dev/sda", "Rate": 1}]})
