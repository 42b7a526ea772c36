"""The jail's seccomp filter, run call by call in an interpreter of classic BPF."""

import struct

import pytest

from proa.hull.vm import jailfilter

ALLOW, KILL, EPERM, ENOSYS = 0x7FFF0000, 0x80000000, 0x00050001, 0x00050026
ARCHITECTURES = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
PID, EXEC_FD = 7, 1000


def run(code, number, *args, machine="x86_64", architecture=None):
    """What the kernel would do: the filter's return value."""
    audit = ARCHITECTURES[machine] if architecture is None else architecture
    data = struct.pack("<IIQ6Q", number, audit, 0, *(list(args) + [0] * 6)[:6])
    at, accumulator = 0, 0
    while True:
        op, true, false, value = struct.unpack_from("<HBBI", code, 8 * at)
        at += 1
        if op == 0x20:
            accumulator = struct.unpack_from("<I", data, value)[0]
        elif op == 0x06:
            return value
        else:
            met = {0x15: accumulator == value, 0x35: accumulator >= value, 0x45: bool(accumulator & value)}[op]
            at += true if met else false


def build(machine="x86_64", network=False):
    return jailfilter.build(machine, PID, EXEC_FD, network)


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
def test_every_denied_call_is_denied(machine):
    column = ["x86_64", "aarch64"].index(machine)
    code = build(machine)
    for name, numbers in jailfilter.DENIED.items():
        if numbers[column] >= 0:
            assert run(code, numbers[column], machine=machine) == EPERM, name


@pytest.mark.parametrize("number", [0, 1, 9, 10, 16, 17, 202, 232, 257, 271, 290, 291, 318])
def test_what_qemu_lives_on_is_allowed(number):
    assert run(build(), number) == ALLOW


def test_threads_but_no_processes():
    code = build()
    assert run(code, 56, 0x3D0F00) == ALLOW  # pthread_create
    assert run(code, 56, 0x1200011) == EPERM  # fork
    assert run(code, 56, 0x4111) == EPERM  # vfork, posix_spawn
    assert run(code, 435) == ENOSYS  # the C library then uses clone


def test_the_one_exec_that_is_left():
    code = build()
    assert run(code, 59) == EPERM
    assert run(code, 322, EXEC_FD, 1, 2, 3, 0x1000) == ALLOW
    assert run(code, 322, EXEC_FD, 1, 2, 3, 0) == EPERM
    assert run(code, 322, 5, 1, 2, 3, 0x1000) == EPERM
    assert run(code, 322, 0xFFFFFF9C, 1, 2, 3, 0x1000) == EPERM  # AT_FDCWD


def test_signals_only_to_itself():
    code = build()
    assert run(code, 234, PID, 9, 6) == ALLOW
    assert run(code, 234, PID + 1, PID + 1, 9) == EPERM
    assert run(code, 62, PID, 9) == EPERM


def test_huge_pages_for_large_blocks_only():
    """What else is advised is nobody's business here."""
    code = build()
    for length, answer in ((0x200000, EPERM), (jailfilter.HUGE_MIN - 1, EPERM), (jailfilter.HUGE_MIN, ALLOW)):
        assert run(code, 28, 0x7F0000000000, length, 14) == answer
        assert run(code, 28, 0x7F0000000000, length, 4) == ALLOW  # MADV_DONTNEED
    assert run(code, 28, 0x7F0000000000, 4 << 30, 14) == ALLOW
    assert run(build("aarch64"), 233, 0, 4096, 14, machine="aarch64") == EPERM


def test_sockets():
    closed, internet = build(), build(network=True)
    for number in (41, 42, 49, 50):
        assert run(closed, number, 2, 1) == EPERM
    assert run(internet, 41, 2, 1) == ALLOW
    assert run(internet, 41, 10, 2) == ALLOW
    assert run(internet, 41, 1, 1) == EPERM  # AF_UNIX
    assert run(internet, 41, 16, 3) == EPERM  # AF_NETLINK
    assert run(internet, 41, 40, 1) == EPERM  # AF_VSOCK
    assert run(internet, 42, 3) == ALLOW


@pytest.mark.parametrize("number", [0x40000000, 0x40000001, 0x4000003B, 0xFFFFFFFF])
def test_x32_kills(number):
    assert run(build(), number) == KILL


@pytest.mark.parametrize("architecture", [0x40000003, 0xC00000B7, 0])
def test_other_architectures_kill(architecture):
    assert run(build(), 1, architecture=architecture) == KILL


@pytest.mark.parametrize("machine", ["x86_64", "aarch64"])
@pytest.mark.parametrize("network", [False, True])
def test_no_path_leads_out_of_the_program(machine, network):
    code = build(machine, network)
    assert len(code) % 8 == 0
    assert len(code) // 8 < 4096
    for number in range(600):
        assert run(code, number, machine=machine) in (ALLOW, EPERM, ENOSYS, KILL)
