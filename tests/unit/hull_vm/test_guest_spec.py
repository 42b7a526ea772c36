"""What the guest makes of a spec: the ready file systems, the machine's devices, the engine's files."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from proa.hull.vm.guest import files, nodes, orders, ready
from proa.runtime import defaults


def spec(**linux: Any) -> dict[str, Any]:
    return {
        "process": {"args": ["true"], "cwd": "/"},
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
    asked = spec()
    asked["mounts"].append(extra)
    made = ready.use(asked)
    assert [(mount["type"], mount["destination"]) for mount in made["mounts"]] == [
        ("bind", "/proc"),
        ("bind", "/dev"),
        ("bind", "/sys"),
        ("tmpfs", "/data"),
    ]
    assert made["linux"]["maskedPaths"] == made["linux"]["readonlyPaths"] == []


@pytest.mark.parametrize(
    "changed",
    [{"maskedPaths": []}, {"readonlyPaths": []}, {"devices": [{"type": "c", "path": "/dev/x"}]}],
)
def test_anything_else_is_built_as_asked(changed: dict[str, Any]) -> None:
    asked = spec(**changed)
    assert ready.use(asked) == asked


def test_other_mounts_are_built_as_asked() -> None:
    asked = spec()
    asked["mounts"] = defaults.mounts(2, shm_size=1 << 20)
    assert ready.use(asked) == asked


def test_only_who_may_use_all_devices_gets_the_machines() -> None:
    assert nodes.add(spec()) == spec()
    made = nodes.add(spec(resources={"devices": defaults.ALL_DEVICES}))
    paths = [device["path"] for device in made["linux"]["devices"]]
    assert "/dev/null" in paths and "/dev/ptmx" not in paths
    assert not any("vport" in path for path in paths)


def test_the_spec_inside_has_our_root_and_the_machines_network() -> None:
    made = orders._inside(spec(), [{"destination": "/etc/hosts", "type": "bind", "source": "/run/0"}])
    assert made["root"] == {"path": "/run/root", "readonly": True}
    assert {"type": "network"} not in made["linux"]["namespaces"]
    assert made["mounts"][-1]["destination"] == "/etc/hosts"


def test_files_are_written_and_bound(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(files, "_PLACE", str(tmp_path))
    files.set_machine_id("ab" * 16)
    made = files.place([{"destination": "/etc/hosts", "source": "", "text": "127.0.0.1\t\udcff\n", "readonly": False}])
    assert [(mount["destination"], mount["options"]) for mount in made] == [
        ("/etc/machine-id", ["bind", "ro"]),
        ("/etc/hosts", ["bind"]),
    ]
    assert Path(made[0]["source"]).read_text() == "ab" * 16 + "\n"
    assert Path(made[1]["source"]).read_bytes() == b"127.0.0.1\t\xff\n"
