"""The device program: run by a small interpreter against the rules read plainly, and by the kernel where it may be."""

import itertools
import os
import struct
from pathlib import Path
from typing import Any

import pytest

from proa.cgroup import devices, v1
from proa.runtime import defaults


def run(code: bytes, type: int, access: int, major: int, minor: int) -> bool:
    """Interpret the few instructions that a device program is made of."""
    registers = [0] * 11
    context = {0: access << 16 | type, 4: major, 8: minor}
    place = 0
    for _ in range(10_000):
        operation, both, offset, value = struct.unpack_from("=BBhi", code, place * 8)
        target, source = both & 15, both >> 4
        place += 1
        if operation == 0x61:
            registers[target] = context[offset]
        elif operation == 0xBC:
            registers[target] = registers[source]
        elif operation == 0xB4:
            registers[target] = value
        elif operation == 0x54:
            registers[target] &= value
        elif operation == 0x74:
            registers[target] >>= value
        elif operation == 0x56:
            place += offset if registers[target] != value else 0
        elif operation == 0x95:
            return bool(registers[0])
        else:
            raise AssertionError(f"unknown instruction {operation:#x}")
    raise AssertionError("no end")


def plainly(rules: Any, type: int, access: int, major: int, minor: int) -> bool:
    for rule in reversed(rules):
        kind = rule.get("type") or "a"
        if kind != "a" and {"b": 1, "c": 2}[kind] != type:
            continue
        if rule.get("major", -1) not in (-1, major) or rule.get("minor", -1) not in (-1, minor):
            continue
        if access & ~devices.access(rule):
            continue
        return bool(rule["allow"])
    return False


MIXED: Any = [
    {"allow": False, "access": "rwm"},
    {"allow": True, "type": "c", "major": 5, "minor": -1, "access": "rw"},
    {"allow": False, "type": "c", "major": 5, "minor": 3, "access": "w"},
    {"allow": True, "type": "b", "minor": 2, "access": "r"},
]


@pytest.mark.parametrize("rules", [defaults.DEVICE_RULES, defaults.ALL_DEVICES, MIXED, [], MIXED[1:]])
def test_the_program_says_what_the_rules_say(rules: Any) -> None:
    code = devices.program(rules)
    for type, access, major, minor in itertools.product((1, 2), range(1, 8), (0, 1, 5, 136, 250), (0, 1, 2, 3, 9)):
        assert run(code, type, access, major, minor) == plainly(rules, type, access, major, minor)


def test_everything_needs_no_program() -> None:
    assert devices.all_allowed(defaults.ALL_DEVICES) and devices.all_allowed([])
    assert not devices.all_allowed(defaults.DEVICE_RULES)


def test_lines_of_version_one() -> None:
    assert [v1.device_line(rule) for rule in defaults.DEVICE_RULES][:5] == [
        "a",
        "c *:* m",
        "b *:* m",
        "c 1:3 rwm",
        "c 1:5 rwm",
    ]
    assert v1.device_line(defaults.DEVICE_RULES[-1]) == "c 136:* rwm"


def test_the_kernel_takes_it(unified: Path) -> None:
    """In a child that joins a version 2 group: /dev/null opens, /dev/kmsg's numbers do not."""
    directory = os.open(unified, os.O_RDONLY | os.O_DIRECTORY)
    try:
        devices.attach(directory, defaults.DEVICE_RULES)
    except OSError as problem:
        pytest.skip(f"bpf: {problem}")
    finally:
        os.close(directory)
    pid = os.fork()
    if pid == 0:
        code = 1
        try:
            (unified / "cgroup.procs").write_text(str(os.getpid()))
            os.close(os.open("/dev/null", os.O_RDWR))
            try:
                os.open("/dev/kmsg", os.O_RDONLY)
            except PermissionError:
                code = 0
        finally:
            os._exit(code)
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
