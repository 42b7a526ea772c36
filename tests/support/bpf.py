"""A classic BPF machine, as far as seccomp filters use it, and libseccomp's filter of a profile in Docker's format.

The machine says which words a run has looked at: a verdict reached without looking at an argument holds for every
argument, so a comparison need not try any.
"""

from __future__ import annotations

import ctypes
import errno
import os
import struct
from dataclasses import dataclass
from typing import Any

Program = list[tuple[int, int, int, int]]

NATIVE, I386, X32 = 0xC000003E, 0x40000003, 0xC000003E
X32_BIT = 0x40000000
ALLOW = 0x7FFF0000


def parse(data: bytes) -> Program:
    """struct sock_filter[]: (code, jump if true, jump if false, k)."""
    return list(struct.iter_unpack("<HBBI", data))


@dataclass(frozen=True)
class Verdict:
    action: int
    looked_at_arguments: bool


def run(program: Program, number: int, arch: int, arguments: tuple[int, ...] = ()) -> Verdict:
    """The verdict on one call. Raises ValueError for an instruction that libseccomp never emits."""
    padded = (*arguments, *(0,) * (6 - len(arguments)))
    words = struct.unpack("<16I", struct.pack("<IIQ6Q", number & 0xFFFFFFFF, arch, 0, *padded))
    at, accumulator, looked = 0, 0, False
    while True:
        code, true, false, k = program[at]
        at += 1
        match code:
            case 0x20:  # ld word, absolute
                accumulator = words[k // 4]
                looked = looked or k >= 16
            case 0x54:  # and
                accumulator &= k
            case 0x05:  # ja
                at += k
            case 0x15:  # jeq
                at += true if accumulator == k else false
            case 0x25:  # jgt
                at += true if accumulator > k else false
            case 0x35:  # jge
                at += true if accumulator >= k else false
            case 0x45:  # jset
                at += true if accumulator & k else false
            case 0x06:  # ret
                return Verdict(k, looked)
            case _:
                raise ValueError(f"instruction {code:#x}")


def constants(*programs: Program) -> list[int]:
    """Every number that a comparison mentions, with its neighbours: between two of them nothing changes."""
    found = {k for program in programs for code, _, _, k in program if code & 0x07 == 0x05 and code != 0x05}
    return sorted({(k + step) & 0xFFFFFFFF for k in found for step in (-1, 0, 1)})


class _Comparison(ctypes.Structure):
    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


_OPERATORS = {"NE": 1, "LT": 2, "LE": 3, "EQ": 4, "GE": 5, "GT": 6, "MASKED_EQ": 7}


def reference(profile: dict[str, Any], capabilities: frozenset[str]) -> bytes:
    """libseccomp's filter of ``profile`` on x86_64 (with x86 and x32), built as container runtimes build it."""
    library = ctypes.CDLL("libseccomp.so.2")
    library.seccomp_init.restype = ctypes.c_void_p
    context = ctypes.c_void_p(library.seccomp_init(0x00050000 | profile["defaultErrnoRet"]))
    try:
        for token in (0xC000003E, 0x40000003, 0x4000003E):
            assert library.seccomp_arch_add(context, token) in (0, -errno.EEXIST)
        for entry in profile["syscalls"]:
            if _applies(entry, capabilities):
                _add(library, context, entry)
        fd = os.memfd_create("reference", os.MFD_CLOEXEC)
        try:
            assert library.seccomp_export_bpf(context, fd) == 0
            return os.pread(fd, os.fstat(fd).st_size, 0)
        finally:
            os.close(fd)
    finally:
        library.seccomp_release(context)


def _applies(entry: dict[str, Any], capabilities: frozenset[str]) -> bool:
    """Docker's includes and excludes, on an amd64 host with a kernel newer than 4.8."""
    includes, excludes = entry.get("includes") or {}, entry.get("excludes") or {}
    if "arches" in includes and "amd64" not in includes["arches"]:
        return False
    if any(cap not in capabilities for cap in includes.get("caps", ())):
        return False
    if "amd64" in excludes.get("arches", ()):
        return False
    return not any(cap in capabilities for cap in excludes.get("caps", ()))


def _add(library: ctypes.CDLL, context: ctypes.c_void_p, entry: dict[str, Any]) -> None:
    action = ALLOW if entry["action"] == "SCMP_ACT_ALLOW" else 0x00050000 | entry["errnoRet"]
    arguments = entry.get("args") or []
    compared = (_Comparison * len(arguments))()
    for slot, argument in zip(compared, arguments):
        slot.arg, slot.op = argument["index"], _OPERATORS[argument["op"].removeprefix("SCMP_CMP_")]
        slot.a, slot.b = argument["value"], argument.get("valueTwo", 0)
    for name in entry["names"]:
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number == -1:
            continue
        code = library.seccomp_rule_add_array(
            context, ctypes.c_uint32(action), number, ctypes.c_uint(len(arguments)), compared
        )
        assert code in (0, -errno.EEXIST), (name, code)
