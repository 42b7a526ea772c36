"""Our default system call filter has the effect of libseccomp's filter of Docker's profile, for every call there is.

Two proofs. A BPF machine runs both programs on every number that can matter on each architecture, with every argument
that can matter. And the kernel runs them: each number is really called under each filter, and the errno compared.
"""

from __future__ import annotations

import ctypes
import faulthandler
import json
import mmap
import os
import platform
import signal
import struct
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from proa.runtime import profile, seccomp
from support import bpf

REFERENCE = json.loads((Path(__file__).parent / "data/docker-seccomp-default.json").read_text())
DEFAULT = frozenset(
    "CAP_" + name
    for name in "CHOWN DAC_OVERRIDE FSETID FOWNER MKNOD NET_RAW SETGID SETUID SETFCAP SETPCAP NET_BIND_SERVICE "
    "SYS_CHROOT KILL AUDIT_WRITE".split()
)
SETS = {
    "default": DEFAULT,
    "none": frozenset(),
    "all": frozenset(profile.BY_CAPABILITY) | DEFAULT,
    **{name: DEFAULT | {name} for name in profile.BY_CAPABILITY},
}
ARCHES = {"x86_64": (bpf.NATIVE, 0), "i386": (bpf.I386, 0), "x32": (bpf.X32, bpf.X32_BIT)}
NUMBERS = range(1200)  # the largest of any of the three is below 600

pytestmark = pytest.mark.skipif(platform.machine() != "x86_64", reason="the reference is x86_64's")


def _values() -> list[int]:
    """Arguments around every bound that the profile has, low and high halves apart."""
    bounds = {0, 38, 39, 40, *profile.PERSONALITIES, profile.NEW_NAMESPACES, 0x80000000, 0xFFFFFFFF}
    bounds |= {1 << bit for bit in range(64)}
    near = {bound + step for bound in bounds for step in (-1, 0, 1)}
    high = {value | 0x1_0000_0000 for value in (0, 8, 38, 39, 40, 0x20008)}
    return sorted({value & 0xFFFFFFFFFFFFFFFF for value in near | high})


VALUES = _values()


def _compare(ours: bpf.Program, theirs: bpf.Program, number: int, arch: int) -> Iterator[tuple[int, ...]]:
    """The cases in which the two differ."""
    first, second = bpf.run(ours, number, arch), bpf.run(theirs, number, arch)
    if first.action != second.action:
        yield (number, first.action, second.action)
    if not (first.looked_at_arguments or second.looked_at_arguments):
        return
    for index in range(2):
        for value in VALUES:
            arguments = (0,) * index + (value,)
            one, other = bpf.run(ours, number, arch, arguments), bpf.run(theirs, number, arch, arguments)
            if one.action != other.action:
                yield (number, *arguments, one.action, other.action)


@pytest.mark.parametrize("name", SETS)
def test_equal_for_every_number(name: str) -> None:
    ours = bpf.parse(seccomp.compile(SETS[name]))
    theirs = bpf.parse(bpf.reference(REFERENCE, SETS[name]))
    numbers = {*NUMBERS, *(bpf.X32_BIT | n for n in NUMBERS), *bpf.constants(ours, theirs)}
    for arch in (bpf.NATIVE, bpf.I386):
        for number in numbers:
            assert list(_compare(ours, theirs, number, arch)) == [], (hex(arch), number)


def test_other_architectures_are_killed() -> None:
    ours = bpf.parse(seccomp.compile(DEFAULT))
    for arch in (0xC00000B7, 0x40000028, 0, 0xFFFFFFFF):
        assert bpf.run(ours, 0, arch).action == 0  # SECCOMP_RET_KILL_THREAD


def test_it_says_what_the_profile_says() -> None:
    """Not only equal to another filter: the calls that matter most are what the profile's words promise."""
    ours = bpf.parse(seccomp.compile(DEFAULT))
    refused = 0x00050000
    assert bpf.run(ours, 0, bpf.NATIVE).action == bpf.ALLOW  # read
    assert bpf.run(ours, 165, bpf.NATIVE).action == refused | 1  # mount
    assert bpf.run(ours, 435, bpf.NATIVE).action == refused | 38  # clone3
    assert bpf.run(ours, 425, bpf.NATIVE).action == refused | 1  # io_uring_setup
    assert bpf.run(ours, 56, bpf.NATIVE, (0x10000000,)).action == refused | 1  # clone(CLONE_NEWUSER)
    assert bpf.run(ours, 41, bpf.NATIVE, (38,)).action == refused | 1  # socket(AF_ALG)
    assert bpf.run(ours, 41, bpf.NATIVE, (2,)).action == bpf.ALLOW  # socket(AF_INET)


def test_key_tells_filters_apart() -> None:
    keys = {seccomp.key(capabilities) for capabilities in SETS.values()}
    filters = {seccomp.compile(capabilities) for capabilities in SETS.values()}
    assert len(keys) == len(filters)
    assert seccomp.key(DEFAULT) == seccomp.key(DEFAULT | {"CAP_NET_ADMIN"})


def test_capabilities_that_do_not_matter_change_nothing() -> None:
    assert seccomp.compile(DEFAULT) == seccomp.compile(DEFAULT | {"CAP_NET_ADMIN"})


# ---- the kernel's own word -------------------------------------------------------------------------------------

VFORK = {"x86_64": 58, "i386": 190, "x32": 58}  # returns twice on one stack: no Python survives that
_STUB = bytes.fromhex("5355 89f8 bbffffffff b9ffffffff baffffffff beffffffff bfffffffff bdffffffff cd80 5d5b c3")
"""push rbx, rbp; eax = the number; every argument -1; int 0x80; pop; ret: an i386 call from a 64-bit program."""

_PAGES: list[mmap.mmap] = []


def _load(filter_: bytes) -> None:
    """prctl(2) NO_NEW_PRIVS, then SECCOMP_SET_MODE_FILTER."""
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(filter_, len(filter_))
    program = struct.pack("<HxxxxxxQ", len(filter_) // 8, ctypes.addressof(buffer))
    assert libc.prctl(38, 1, 0, 0, 0) == 0
    assert libc.syscall(317, 1, 0, program) == 0, ctypes.get_errno()


def _callers() -> dict[str, Callable[[int], int]]:
    """Each architecture's way to call a number with every argument -1: the result, or minus the errno."""
    libc = ctypes.CDLL(None, use_errno=True)
    libc.syscall.restype = ctypes.c_long
    minus = (ctypes.c_long(-1),) * 6

    def native(number: int) -> int:
        ctypes.set_errno(0)
        result = libc.syscall(ctypes.c_long(number), *minus)
        return -ctypes.get_errno() if result == -1 else int(result)

    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(_STUB)
    _PAGES.append(page)
    stub = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.c_int)(ctypes.addressof(ctypes.c_char.from_buffer(page)))
    return {"x86_64": native, "i386": stub, "x32": lambda number: native(number | bpf.X32_BIT)}


def _confine() -> None:
    """An IPC namespace and no capabilities: what a filter lets through must not be able to leave anything here."""
    libc = ctypes.CDLL(None, use_errno=True)
    if libc.unshare(0x08000000) != 0:  # CLONE_NEWIPC
        assert libc.unshare(0x18000000) == 0, "no IPC namespace of our own"  # with CLONE_NEWUSER
    assert libc.syscall(126, struct.pack("<Ii", 0x20080522, 0), struct.pack("<6I", *(0,) * 6)) == 0


def _outcomes(filter_: bytes, arch: str) -> list[int]:
    """For each number what a call of it came to under ``filter_``: 0, minus the errno, or 1000 + the signal."""
    shared = mmap.mmap(-1, 4 * len(KERNEL_NUMBERS))
    pid = os.fork()
    if pid == 0:
        faulthandler.disable()  # some calls, rt_sigreturn above all, end in a signal: that is an outcome
        try:
            _confine()
            call = _callers()[arch]
            _load(filter_)
            for slot, number in enumerate(KERNEL_NUMBERS):
                struct.pack_into("<i", shared, 4 * slot, 999 if number == VFORK[arch] else _try(call, number))
            os._exit(0)
        finally:
            os._exit(1)
    assert os.waitpid(pid, 0)[1] == 0
    return list(struct.unpack(f"<{len(KERNEL_NUMBERS)}i", shared[:]))


def _try(call: Callable[[int], int], number: int) -> int:
    """One call in a process of its own; one that would block is ended by a timer."""
    out, inlet = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.setitimer(signal.ITIMER_REAL, 0.2)
        result = min(call(number), 0)
        os.write(inlet, struct.pack("<i", result))
        os._exit(0)
    os.close(inlet)
    status = os.waitpid(pid, 0)[1]
    told = os.read(out, 4)
    os.close(out)
    if len(told) == 4:
        return int(struct.unpack("<i", told)[0])
    return 1000 + (os.WTERMSIG(status) if os.WIFSIGNALED(status) else 0)


KERNEL_NUMBERS = range(480)


@pytest.mark.parametrize("arch", ARCHES)
def test_the_kernel_agrees(arch: str) -> None:
    ours = _outcomes(seccomp.compile(DEFAULT), arch)
    theirs = _outcomes(bpf.reference(REFERENCE, DEFAULT), arch)
    assert [n for n, (a, b) in enumerate(zip(ours, theirs)) if a != b] == []
    assert ours.count(-1) > 40  # it refuses
    if arch != "x32":
        assert ours[KERNEL_NUMBERS.index(20 if arch == "i386" else 39)] == 0  # getpid works
