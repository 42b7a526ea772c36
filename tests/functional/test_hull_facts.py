"""What info and inspect say of a hull: what it is made of here, and what it is worth."""

from __future__ import annotations

import json
from typing import Any

from support.box import IMAGE, Box

KINDS = {"container": "container", "vm": "vm", "floor": "vm"}


def _of(box: Box) -> dict[str, Any]:
    _, info = box.api("GET", "/info")
    (found,) = [hull for hull in info["Hulls"] if hull["Kind"] == KINDS[box.hull]]
    return dict(found)


def test_info(proa_box: Box) -> None:
    found = _of(proa_box)
    assert found["Available"] is True
    if not proa_box.is_vm:
        return
    assert found["Accelerator"] in ("kvm", "tcg") and found["Why"] and found["Kernel"] and found["Qemu"]
    if found["Accelerator"] == "tcg":
        assert "no security boundary" in found["Boundary"]
        assert "slower" in found["Speed"]
    assert {"seccomp", "no new privileges"} <= set(found["Walls"])
    assert ("private root" in found["Walls"]) == (proa_box.hull != "floor")
    assert "Walls: [" in proa_box.cli("info").ok().text


def test_inspect(proa_box: Box) -> None:
    id = proa_box.detached(IMAGE, "sleep", "60")
    found = json.loads(proa_box.inspect(id, "{{json .Hull}}"))
    assert found["Kind"] == KINDS[proa_box.hull]
    if not proa_box.is_vm:
        return
    said = _of(proa_box)
    assert {key: found[key] for key in ("Accelerator", "Why", "Boundary", "Walls", "Qemu")} == {
        key: said[key] for key in ("Accelerator", "Why", "Boundary", "Walls", "Qemu")
    }
