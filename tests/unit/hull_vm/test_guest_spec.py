"""What the guest makes of a spec: the ready file systems, the machine's devices, the engine's files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from proa import jsontext
from proa.hull.vm import orders, standard
from proa.hull.vm.guest import files, handover, nodes
from proa.runtime import defaults


def spec(**linux: Any) -> dict[str, Any]:
    return {
        "process": {"args": ["true"], "cwd": "/", "user": {"uid": 0, "gid": 0}},
        "root": {"path": "/x", "readonly": True},
        "mounts": defaults.mounts(2),
        "linux": {
            "namespaces": [{"type": "network"}, {"type": "pid"}],
            "maskedPaths": list(defaults.MASKED),
            "readonlyPaths": list(defaults.READONLY),
            "resources": {"devices": defaults.DEVICE_RULES},
            **linux,
        },
    }


def test_dockers_own_set_is_taken_ready() -> None:
    extra = {"destination": "/data", "type": "tmpfs", "source": "tmpfs"}
    asked = spec(devices=list(defaults.DEVICES))
    asked["mounts"].append(extra)
    made = standard.use(asked)
    assert [(mount["type"], mount["destination"]) for mount in made["mounts"]] == [
        ("bind", "/proc"),
        ("bind", "/dev"),
        ("bind", "/sys"),
        ("tmpfs", "/data"),
    ]
    assert made["linux"]["maskedPaths"] == made["linux"]["readonlyPaths"] == made["linux"]["devices"] == []
    assert standard.undo(made) == asked


@pytest.mark.parametrize(
    "changed",
    [{"maskedPaths": []}, {"readonlyPaths": []}, {"devices": [{"type": "c", "path": "/dev/x"}]}],
)
def test_anything_else_is_built_as_asked(changed: dict[str, Any]) -> None:
    asked = spec(**changed)
    assert standard.use(asked) == asked


def test_other_mounts_are_built_as_asked() -> None:
    asked = spec()
    asked["mounts"] = defaults.mounts(2, shm_size=1 << 20)
    assert standard.use(asked) == asked


def test_only_who_may_use_all_devices_gets_the_machines() -> None:
    assert nodes.add(spec()) == spec()
    made = nodes.add(spec(resources={"devices": defaults.ALL_DEVICES}))
    paths = [device["path"] for device in made["linux"]["devices"]]
    assert "/dev/null" in paths and "/dev/ptmx" not in paths
    assert not any("vport" in path for path in paths)


def test_the_spec_inside_has_our_root_and_the_machines_network() -> None:
    hosts: Any = {"destination": "/etc/hosts", "source": "/h", "text": "x", "readonly": False}
    made = standard.inside(spec(), [hosts])
    assert made["root"] == {"path": "/run/root", "readonly": True}
    assert {"type": "network"} not in made["linux"]["namespaces"]
    wanted = [("/etc/machine-id", "/run/machine-id", ["bind", "ro"]), ("/etc/hosts", "/run/file-0", ["bind"])]
    assert [(one["destination"], one["source"], one["options"]) for one in made["mounts"][-2:]] == wanted


def test_files_are_written(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_PLACE", str(tmp_path))
    files.prepare()
    assert sorted(path.name for path in tmp_path.iterdir()) == ["file-0", "file-1", "file-2", "machine-id"]
    files.set_machine_id("ab" * 16)
    files.place([{"destination": "/etc/hosts", "source": "", "text": "127.0.0.1\t\udcff\n", "readonly": False}])
    assert (tmp_path / "machine-id").read_text() == "ab" * 16 + "\n"
    assert (tmp_path / "file-0").read_bytes() == b"127.0.0.1\t\xff\n"


def bundle(tmp_path: Path, filter: bytes, **linux: Any) -> Any:
    (tmp_path / "filter").write_bytes(b"12345678")
    (tmp_path / "mine").write_bytes(filter)
    return {
        "spec": {**spec(**linux), "ociVersion": "1.2.0"},
        "seccomp": str(tmp_path / "mine"),
        "init": True,
        "nofile": [1, 2],
        "files": [{"destination": "/etc/hosts", "source": "/host/hosts", "text": "x", "readonly": False}],
    }


def test_the_order_is_whole_and_names_the_filter_that_is_ready(tmp_path: Path) -> None:
    made = orders.make(bundle(tmp_path, b"12345678"), str(tmp_path))
    order = jsontext.loads(made["order"])
    assert (order["seccomp"], order["init"], order["nofile"]) == ("filter", True, [1, 2])
    assert order["spec"]["root"]["path"] == standard.ROOT
    assert made["resources"] == {} and not made["devices"] and not made["terminal"]
    assert "/host/hosts" not in jsontext.dumps(made).decode()


def test_another_filter_and_other_rules_are_brought(tmp_path: Path) -> None:
    rules = [{"allow": True, "access": "rwm"}]
    made = orders.make(bundle(tmp_path, b"87654321", resources={"devices": rules, "pids": {"limit": 3}}), str(tmp_path))
    assert jsontext.loads(made["order"])["seccomp"] == b"87654321".hex()
    assert made["resources"] == {"devices": rules, "pids": {"limit": 3}} and made["devices"]


def test_a_filter_that_cannot_be_read_is_an_error_not_no_filter(tmp_path: Path) -> None:
    made = bundle(tmp_path, b"12345678")
    made["seccomp"] += "-gone"
    with pytest.raises(FileNotFoundError):
        orders.make(made, str(tmp_path))


def test_where_the_ready_set_does_not_fit_the_order_asks_for_it_anew(tmp_path: Path) -> None:
    made = orders.make(bundle(tmp_path, b"12345678"), str(tmp_path))
    order = jsontext.loads(handover.amended(made["order"], plain=True))
    assert order["spec"]["mounts"][: len(defaults.mounts(2))] == defaults.mounts(2)
    assert order["spec"]["linux"]["maskedPaths"] == defaults.MASKED
