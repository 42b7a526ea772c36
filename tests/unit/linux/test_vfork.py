"""vfork: a child in our memory, until it is another program."""

from __future__ import annotations

import ctypes
import gc
import os
import resource
import signal
import sys

import pytest

from proa.linux import clone, execve, namespaces, pidfd, signals, vfork

pytestmark = pytest.mark.skipif(not vfork.able, reason="no instructions for this machine, or none may be made")


def reap(pid: int, child: int) -> int:
    status = pidfd.status(child, block=True)
    os.close(child)
    with pytest.raises(ChildProcessError):
        os.waitpid(pid, 0)
    assert status is not None
    return status


def image(*words: str) -> execve.Image:
    return execve.Image("/bin/sh", ["sh", "-c", *words], ["A=b"])


def test_it_becomes_the_program_and_says_who_it_is() -> None:
    seen: list[int] = []
    reader, writer = os.pipe2(os.O_CLOEXEC)

    def job(pid: ctypes.c_int) -> execve.Image:
        seen.append(pid.value)
        os.dup2(writer, 1)
        return image("echo $0 $A $1; exit 7", "one", "two")

    pid, child, problem = vfork.run(0, -1, job)
    os.close(writer)
    assert (seen, problem) == ([pid], None)
    assert os.read(reader, 100) == b"one b two\n"
    os.close(reader)
    assert reap(pid, child) == 7


def test_what_is_its_own_stays_its_own() -> None:
    where, mask, spare = os.getcwd(), os.umask(0o22), os.dup(0)
    os.umask(mask)
    sigpipe = signal.getsignal(signal.SIGPIPE)
    reader, writer = os.pipe2(os.O_CLOEXEC)

    def job(_pid: ctypes.c_int) -> execve.Image:
        os.dup2(writer, 1)
        os.chdir("/")
        os.umask(0o77)
        os.close(spare)
        signals.reset_bare()
        return image("pwd; umask; grep SigIgn /proc/self/status")

    pid, child, problem = vfork.run(0, -1, job)
    os.close(writer)
    assert problem is None and reap(pid, child) == 0
    assert os.read(reader, 1000).split() == [b"/", b"0077", b"SigIgn:", b"0" * 16]
    os.close(reader)
    os.close(spare)
    assert (os.getcwd(), os.umask(mask), signal.getsignal(signal.SIGPIPE)) == (where, mask, sigpipe)
    with pytest.raises(BrokenPipeError):
        ours, theirs = os.pipe()
        os.close(ours)
        try:
            os.write(theirs, b"x")
        finally:
            os.close(theirs)


def test_problems_come_back() -> None:
    def nowhere(_pid: ctypes.c_int) -> execve.Image:
        return execve.Image("/nonexistent", ["x"], [])

    def fails(_pid: ctypes.c_int) -> execve.Image:
        raise ValueError("words")

    for job, kind in ((nowhere, FileNotFoundError), (fails, ValueError)):
        pid, child, problem = vfork.run(0, -1, job)
        assert isinstance(problem, kind)
        assert reap(pid, child) == 1
    with pytest.raises(OSError, match="clone3"):
        vfork.run(clone.CLONE_PARENT | 0xFF, -1, nowhere)  # no signal belongs into the flags


def test_the_interpreter_is_as_before() -> None:
    """Depth, memory and references: a thousand children leave nothing behind."""

    def deep(_pid: ctypes.c_int) -> execve.Image:
        return nested(50)

    def nested(more: int) -> execve.Image:
        return nested(more - 1) if more else image("exit 3")

    def again(times: int) -> None:
        for _ in range(times):
            pid, child, problem = vfork.run(0, -1, deep)
            assert problem is None and reap(pid, child) == 3

    again(20)
    gc.collect()
    blocks = sys.getallocatedblocks()
    again(100)
    gc.collect()
    assert sys.getallocatedblocks() - blocks < 50
    sys.setrecursionlimit(limit := sys.getrecursionlimit())
    assert limit == sys.getrecursionlimit()


def test_nothing_is_copied() -> None:
    touched = bytearray(8 << 20)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt

    def job(_pid: ctypes.c_int) -> execve.Image:
        for at in range(0, len(touched), 4096):
            touched[at] = 1
        return image("exit 0")

    pid, child, problem = vfork.run(0, -1, job)
    assert problem is None and reap(pid, child) == 0
    assert touched[4096] == 1
    assert resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before < 1000


@pytest.mark.skipif(bool(os.geteuid()), reason="needs root")
def test_namespaces() -> None:
    reader, writer = os.pipe2(os.O_CLOEXEC)

    def job(pid: ctypes.c_int) -> execve.Image:
        os.dup2(writer, 1)
        return execve.Image("/bin/sh", ["sh", "-c", f"echo $$ {os.getpid()} {pid.value > 1}"], [])

    pid, child, problem = vfork.run(namespaces.CLONE_NEWPID | namespaces.CLONE_NEWNS, -1, job)
    os.close(writer)
    assert problem is None and reap(pid, child) == 0
    assert os.read(reader, 100) == b"1 1 True\n"
    os.close(reader)
