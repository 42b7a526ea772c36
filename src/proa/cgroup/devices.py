"""Device rules as a BPF program (cgroup v2): the last rule that matches decides; without one, access is denied.

The kernel hands the program ``struct bpf_cgroup_dev_ctx`` {u32 access << 16 | type, u32 major, u32 minor}; it returns 1
to allow. Rules are tested from the last to the first, so that the first match is the one that counts.
"""

import os

from ..linux import bpf
from ..linux.bpf import instruction

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..oci.runtime import DeviceRule

_TYPES = {"b": 1, "c": 2, "u": 2}
_ACCESS = {"m": 1, "r": 2, "w": 4}
_ALL = 7

_LOAD_W = 0x61  # ldx, 32 bits
_MOV_REG = 0xBC  # 32-bit alu
_MOV = 0xB4
_AND = 0x54
_RSH = 0x74
_JNE = 0x56  # jmp32
_EXIT = 0x95


def all_allowed(rules: "Sequence[DeviceRule]") -> bool:
    """Whether the rules come to "everything": no program is needed then."""
    return not rules or bool(rules[-1]["allow"] and (rules[-1].get("type") or "a") == "a")


def access(rule: "DeviceRule") -> int:
    """A rule's access letters as the kernel's bits."""
    bits = 0
    for letter in rule.get("access") or "rwm":
        bits |= _ACCESS[letter]
    return bits


def program(rules: "Sequence[DeviceRule]") -> bytes:
    """The instructions. r2: type, r3: access, r4: major, r5: minor."""
    code = [
        instruction(_LOAD_W, 2, 1, 0),
        instruction(_MOV_REG, 3, 2),
        instruction(_AND, 2, value=0xFFFF),
        instruction(_RSH, 3, value=16),
        instruction(_LOAD_W, 4, 1, 4),
        instruction(_LOAD_W, 5, 1, 8),
    ]
    for rule in reversed(rules):
        code += _rule(rule)
        if _always(rule):  # the verifier refuses what can never be reached
            return b"".join(code)
    code += _answer(False)
    return b"".join(code)


def _always(rule: "DeviceRule") -> bool:
    """Whether a rule has no condition."""
    anything = (rule.get("type") or "a") == "a" and rule.get("major", -1) < 0 and rule.get("minor", -1) < 0
    return anything and access(rule) == _ALL


def _rule(rule: "DeviceRule") -> "list[bytes]":
    """Leave with the rule's answer if all of its tests hold, else fall through. Each test jumps past the answer."""
    answer = _answer(rule["allow"])
    tests: list[tuple[int, int]] = []  # (register, value it must have)
    type = rule.get("type") or "a"
    if type != "a":
        tests.append((2, _TYPES[type]))
    wanted = access(rule)
    tests += [(reg, number) for reg, number in ((4, rule.get("major", -1)), (5, rule.get("minor", -1))) if number >= 0]
    code: list[bytes] = []
    left = len(tests) + (3 if wanted != _ALL else 0)
    for register, value in tests:
        left -= 1
        code.append(instruction(_JNE, register, offset=left + len(answer), value=value))
    if wanted != _ALL:  # the access asked for must lie within the rule's
        code += [
            instruction(_MOV_REG, 0, 3),
            instruction(_AND, 0, value=_ALL & ~wanted),
            instruction(_JNE, 0, offset=len(answer), value=0),
        ]
    return code + answer


def _answer(allow: bool) -> "list[bytes]":
    return [instruction(_MOV, 0, value=int(allow)), instruction(_EXIT)]


def attach(directory: int, rules: "Sequence[DeviceRule]") -> None:
    """Put the cgroup that ``directory`` holds open under the rules. Raises OSError (EPERM: CAP_BPF is missing)."""
    loaded = bpf.load(bpf.PROG_TYPE_CGROUP_DEVICE, program(rules))
    try:
        bpf.attach(loaded, directory, bpf.CGROUP_DEVICE)
    finally:
        os.close(loaded)
