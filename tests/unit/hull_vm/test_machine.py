"""QEMU's command line is a pure function: what must be in it, and what never."""

from __future__ import annotations

import pytest

from proa.hull.vm import machine
from proa.hull.vm.machine import Boot, Shape

SHAPE = Shape(1, 512, "tcg")
BOOT = Boot("/k/vmlinux", "/k/boot.cpio", "rdinit=/usr/bin/python3.11 -- -I")
MIB = 1 << 20


def pairs(command: list[str]) -> list[tuple[str, str]]:
    words = [*command[1:], "-"]
    options = [at for at, word in enumerate(words[:-1]) if word.startswith("-")]
    return [(words[at], "" if words[at + 1].startswith("-") else words[at + 1]) for at in options]


def test_cold_and_restored_are_the_same_machine() -> None:
    cold, warm = pairs(machine.command(["q"], SHAPE, BOOT)), pairs(machine.command(["q"], SHAPE))
    only_cold = [pair for pair in cold if pair not in warm]
    only_warm = [pair for pair in warm if pair not in cold]
    assert [name for name, _ in only_cold if name != "-blockdev"] == ["-object", "-kernel", "-initrd", "-append"]
    assert [name for name, _ in only_warm if name != "-blockdev"] == ["-object", "-incoming"]


def test_a_restored_machine_maps_its_template_privately() -> None:
    assert "share=off" in dict(pairs(machine.command(["q"], SHAPE)))["-object"]
    assert "share=on" in dict(pairs(machine.command(["q"], SHAPE, BOOT)))["-object"]


def test_no_path_of_ours_is_named() -> None:
    paths = [word for word in machine.command(["q"], SHAPE) if "/" in word]
    assert all("/proc/self/fd/" in word or "/dev/fdset/" in word for word in paths)


def test_the_sandbox_forbids_what_it_can() -> None:
    sandbox = dict(pairs(machine.command(["q"], SHAPE)))["-sandbox"]
    assert sandbox == "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"


def test_the_root_disk_is_read_only_and_the_upper_one_flushes_only_what_is_kept() -> None:
    disks = [value for name, value in pairs(machine.command(["q"], SHAPE, flush=False)) if name == "-blockdev"]
    assert [("read-only=on" in disk, "no-flush=on" in disk) for disk in disks] == [
        (True, True),
        (True, True),
        (False, True),
        (False, True),
    ]
    kept = [value for name, value in pairs(machine.command(["q"], SHAPE)) if name == "-blockdev"]
    assert ["no-flush=on" in disk for disk in kept] == [True, True, False, False]


def test_mitigations_stay_on_under_hardware() -> None:
    emulated = machine.command(["q"], SHAPE, BOOT)[-1]
    hardware = machine.command(["q"], Shape(1, 512, "kvm"), BOOT)[-1]
    assert "mitigations=off" in emulated and "mitigations=off" not in hardware
    assert emulated.endswith(BOOT.init)


@pytest.mark.parametrize(
    ("limit", "size"),
    [(0, 512), (6 * MIB, 512), (400 * MIB, 512), (401 * MIB, 1024), (912 * MIB, 1024), (1 << 30, 2048)],
)
def test_ram_is_a_step_or_a_power_of_two_above_the_limit(limit: int, size: int) -> None:
    assert machine.memory(limit) == size
