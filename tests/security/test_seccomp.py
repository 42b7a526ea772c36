"""Our default system call filter has the effect of libseccomp's filter of Docker's profile, for every call there is.

Three proofs. A BPF machine runs both programs on every number that can matter on each architecture, with every argument
that can matter. The kernel runs them: each number is really called under each filter, and the errno compared. And each
number is called inside a container.
"""

from __future__ import annotations

import json
import os
import platform
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from proa.runtime import profile, seccomp
from support import bpf, syscalls
from support.box import IMAGE, Box

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

KERNEL_NUMBERS = 480


def _outcomes(filter_: bytes, arch: str) -> list[int]:
    """For each number what a call of it came to under ``filter_``: 0, minus the errno, or 1000 + the signal."""
    command = [sys.executable, "-I", syscalls.__file__, arch, str(KERNEL_NUMBERS)]
    done = subprocess.run(command, input=filter_, capture_output=True, timeout=300)
    assert done.returncode == 0, done.stderr
    found: list[int] = json.loads(done.stdout)
    return found


@pytest.mark.parametrize("arch", ARCHES)
def test_the_kernel_agrees(arch: str) -> None:
    ours = _outcomes(seccomp.compile(DEFAULT), arch)
    theirs = _outcomes(bpf.reference(REFERENCE, DEFAULT), arch)
    assert [n for n, (a, b) in enumerate(zip(ours, theirs)) if a != b] == []
    assert ours.count(-1) > 40  # it refuses
    if arch != "x32":
        assert ours[20 if arch == "i386" else 39] == 0  # getpid works


@pytest.mark.parametrize("arch", ARCHES)
def test_in_a_container(arch: str, proa_box: Box) -> None:
    """Every number called inside, by this host's Python, against the same under the reference outside."""
    if proa_box.is_vm:
        pytest.skip("another kernel has other calls")
    shared = ("/usr", "/lib", "/lib64")
    folders = [*((path, path) for path in shared if os.path.exists(path)), (os.path.dirname(syscalls.__file__), "/t")]
    volumes = [word for source, target in folders for word in ("-v", f"{source}:{target}:ro")]
    program = ["/usr/bin/python3", "-I", "/t/syscalls.py", arch, str(KERNEL_NUMBERS), "inside"]
    done = proa_box.run(*volumes, "-e", "PATH=/usr/bin:/bin", IMAGE, *program, timeout=300).ok()
    theirs = _outcomes(bpf.reference(REFERENCE, DEFAULT), arch)
    assert [n for n, (a, b) in enumerate(zip(json.loads(done.out), theirs)) if a != b] == []
