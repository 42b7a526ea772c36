"""Starting a child with exactly the descriptors named, that dies with its parent. No jail here: test_jail has that."""

from __future__ import annotations

import os
import subprocess
import sys
import time

import pytest

from proa.hull.vm import process
from proa.linux import pidfd
from support.children import mine


def test_the_child_has_what_is_named_and_nothing_else() -> None:
    read, write = os.pipe()
    with open("/dev/zero", "rb") as extra:
        _, child = process.start(["/bin/ls", "/proc/self/fd"], {"LC_ALL": "C"}, {1: write, 7: extra.fileno()})
    os.close(write)
    with os.fdopen(read, "rb") as output:
        listed = output.read().split()
    assert pidfd.status(child, block=True) == 0
    os.close(child)
    assert listed == [b"0", b"1", b"2", b"3", b"7"]  # 3 is ls reading the directory


def test_sources_and_targets_may_overlap() -> None:
    first, second = os.memfd_create("a"), os.memfd_create("b")
    os.write(first, b"first")
    os.write(second, b"second")
    read, write = os.pipe()
    command = ["/bin/sh", "-c", f"cat /proc/self/fd/{second} /proc/self/fd/{first}"]
    _, child = process.start(command, {}, {1: write, first: second, second: first})
    os.close(write)
    with os.fdopen(read, "rb") as output:
        assert output.read() == b"firstsecond"
    process.kill(child)
    os.close(first)
    os.close(second)


def test_a_program_that_is_not_there_is_an_oserror_and_leaves_nothing() -> None:
    before, children = os.listdir("/proc/self/fd"), mine()
    with pytest.raises(FileNotFoundError):
        process.start(["/nowhere/qemu"], {}, {})
    assert os.listdir("/proc/self/fd") == before
    assert mine() <= children


def test_the_child_dies_with_its_parent() -> None:
    code = (
        "import sys, time; sys.path[:0] = sys.argv[1:]\n"
        "from proa.hull.vm import process\n"
        "print(process.start(['/bin/sleep', '60'], {}, {})[0], flush=True)\n"
        "time.sleep(60)\n"
    )
    parent = subprocess.Popen([sys.executable, "-c", code, *sys.path], stdout=subprocess.PIPE)
    assert parent.stdout is not None
    pid = int(parent.stdout.readline())
    child = os.pidfd_open(pid)
    parent.kill()
    parent.wait()
    parent.stdout.close()
    end = time.monotonic() + 5
    while _alive(pid):
        assert time.monotonic() < end
        time.sleep(0.005)
    os.close(child)


def _alive(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        return False
