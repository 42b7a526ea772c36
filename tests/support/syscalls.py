"""Every system call number really called under a filter, each in a process of its own; a small program of its own.

    syscalls.py ARCH LAST < FILTER        prints, for 0 … LAST - 1: 0, minus the errno, or 1000 + the signal, as JSON
    syscalls.py ARCH LAST inside          the same under the filter that is already there, in a container

All arguments are -1. It is started afresh, not forked from a test run: it forks once a number, and a test run is big.
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import signal
import struct
import sys
from collections.abc import Callable

X32_BIT = 0x40000000
VFORK = {"x86_64": 58, "i386": 190, "x32": 58}  # returns twice on one stack: no Python survives that
SKIPPED = 999
_STUB = bytes.fromhex("5355 89f8 bbffffffff b9ffffffff baffffffff beffffffff bfffffffff bdffffffff cd80 5d5b c3")
"""push rbx, rbp; eax = the number; every argument -1; int 0x80; pop; ret: an i386 call from a 64-bit program."""
_PAGES: list[mmap.mmap] = []


def confine(own_ipc: bool) -> None:
    """An IPC namespace, no capabilities, no new privileges: what a filter lets through can leave nothing here."""
    libc = ctypes.CDLL(None, use_errno=True)
    if own_ipc and libc.unshare(0x08000000) != 0:  # CLONE_NEWIPC
        assert libc.unshare(0x18000000) == 0, "no IPC namespace of our own"  # with CLONE_NEWUSER
    assert libc.syscall(126, struct.pack("<Ii", 0x20080522, 0), struct.pack("<6I", *(0,) * 6)) == 0  # capset
    assert libc.prctl(38, 1, 0, 0, 0) == 0


def load(filter_: bytes) -> None:
    """seccomp(2): SECCOMP_SET_MODE_FILTER."""
    libc = ctypes.CDLL(None, use_errno=True)
    buffer = ctypes.create_string_buffer(filter_, len(filter_))
    program = struct.pack("<HxxxxxxQ", len(filter_) // 8, ctypes.addressof(buffer))
    assert libc.syscall(317, 1, 0, program) == 0, ctypes.get_errno()


def callers() -> dict[str, Callable[[int], int]]:
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
    return {"x86_64": native, "i386": stub, "x32": lambda number: native(number | X32_BIT)}


def attempt(call: Callable[[int], int], number: int) -> int:
    """One call in a process of its own; one that would block is ended by a timer."""
    out, inlet = os.pipe()
    pid = os.fork()
    if pid == 0:
        signal.setitimer(signal.ITIMER_REAL, 1)
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


def main() -> None:
    """See the module."""
    arch, last = sys.argv[1], int(sys.argv[2])
    inside = sys.argv[3:] == ["inside"]
    filter_ = b"" if inside else sys.stdin.buffer.read()
    confine(own_ipc=not inside)
    call = callers()[arch]
    if not inside:
        load(filter_)
    print(json.dumps([SKIPPED if number == VFORK[arch] else attempt(call, number) for number in range(last)]))


if __name__ == "__main__":
    main()
