"""clone3(2) with CLONE_VM and CLONE_VFORK: a child in its parent's own memory, until it becomes another program.

What posix_spawn(3) does in C, with Python in between: no page table is copied, no page is copied when it is touched,
and none is given back at execve(2): most of the cost of fork and execve for an interpreter. The parent waits meanwhile.

The few instructions below are clone3's own way of starting a child on another stack, as in glibc's sysdeps/…/clone3.S,
and execve(2), which must be called after the interpreter has returned: its state is the parent's too. What else the
child must bear in mind: objects are shared, descriptors, directories, credentials and signal dispositions are not.
"""

import ctypes
import os
import sys

from . import arch, libc
from .clone import CLONE_INTO_CGROUP, CLONE_PIDFD, SIGCHLD, SIZE, CloneArgs

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from .execve import Image

_CLONE_VM = 0x100
_CLONE_VFORK = 0x4000
_CLONE_PARENT_SETTID = 0x100000
_STACK = 1 << 20
_PAGE = 4096
_READ, _WRITE, _EXEC = 1, 2, 4
_PRIVATE, _ANONYMOUS, _NORESERVE = 0x02, 0x20, 0x4000

_CODE = {
    # long start(struct clone_args *, size_t, int (*child)(void), struct { char *path, **argv, **envp; long error; } *)
    "x86_64": bytes.fromhex(
        "4989c8"  # mov r8, rcx
        "b8b3010000"  # mov eax, clone3
        "0f05"  # syscall
        "4885c0"  # test rax, rax
        "7401"  # jz child
        "c3"  # ret
        "31ed"  # child: xor ebp, ebp
        "4c89c3"  # mov rbx, r8
        "ffd2"  # call rdx
        "85c0"  # test eax, eax
        "7516"  # jnz out
        "488b3b"  # mov rdi, [rbx]
        "488b7308"  # mov rsi, [rbx + 8]
        "488b5310"  # mov rdx, [rbx + 16]
        "b83b000000"  # mov eax, execve
        "0f05"  # syscall
        "48894318"  # mov [rbx + 24], rax
        "bf01000000"  # out: mov edi, 1
        "b8e7000000"  # mov eax, exit_group
        "0f05"  # syscall
        "f4"  # hlt
    ),
}

_mmap = libc.function(
    "mmap",
    ctypes.c_void_p,
    ctypes.c_size_t,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_int,
    ctypes.c_long,
    restype=ctypes.c_void_p,
)
_mprotect = libc.function("mprotect", ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
_Child = ctypes.PYFUNCTYPE(ctypes.c_int)
_Start = ctypes.PYFUNCTYPE(ctypes.c_long, ctypes.c_void_p, ctypes.c_size_t, ctypes.c_void_p, ctypes.c_void_p)
_jobs: "list[Callable[[], Image]]" = []
_problems: "list[BaseException]" = []
_kept: "list[Image]" = []
_image = (ctypes.c_void_p * 4)()


def _enter() -> int:
    """The child: 0 to go on to execve(2). Nothing may be raised into the instructions that called."""
    try:
        _kept[:] = [_jobs.pop()()]
        _kept[0].place(_image)
    except BaseException as problem:  # run raises it again, where there is somebody to catch it
        _problems.append(problem)
        return 1
    return 0


_entry = _Child(_enter)
_entry_address = ctypes.cast(_entry, ctypes.c_void_p).value


def _map(size: int, flags: int = 0) -> int:
    address = _mmap(None, size, _READ | _WRITE, _PRIVATE | _ANONYMOUS | flags, -1, 0)
    return 0 if address is None or address == ctypes.c_void_p(-1).value else address


def _load() -> "Callable[..., int] | None":
    """The instructions as a function; None where there are none, or where no memory may be made executable.

    From Python 3.14 on the interpreter watches the bounds of its stack.
    """
    code = _CODE.get(arch.MACHINE)
    if code is None or sys.version_info >= (3, 14):
        return None
    address = _map(_PAGE)
    if not address:
        return None
    ctypes.memmove(address, code, len(code))
    if _mprotect(address, _PAGE, _READ | _EXEC):
        return None
    return _Start(address)


_start = _load()
able = _start is not None
"""Whether ``run`` may be called here."""
_stack = 0


def run(namespaces: int, into: int, job: "Callable[[ctypes.c_int], Image]") -> "tuple[int, int, BaseException | None]":
    """(pid, pidfd, problem) of a child that did ``job`` and became its image; ``namespaces``, ``into`` as with clone.

    ``job`` is given the child's pid, as this process sees it. With a problem, what ``job`` raised or the OSError of
    execve(2), the child has ended, and is to be reaped. Raises OSError: there is none.
    """
    global _stack
    assert _start is not None
    if not _stack:
        _stack = _map(_STACK, _NORESERVE)
        if not _stack or _mprotect(_stack, _PAGE, 0):
            libc.fail("mmap")
    pid, pidfd = ctypes.c_int(-1), ctypes.c_int(-1)
    args = CloneArgs(
        flags=namespaces | CLONE_PIDFD | _CLONE_VM | _CLONE_VFORK | _CLONE_PARENT_SETTID,
        pidfd=ctypes.addressof(pidfd),
        parent_tid=ctypes.addressof(pid),
        exit_signal=SIGCHLD,
        stack=_stack,
        stack_size=_STACK,
    )
    if into >= 0:
        args.flags |= CLONE_INTO_CGROUP
        args.cgroup = into
    _image[3] = 0
    _jobs[:], _problems[:] = [lambda: job(pid)], []
    made = _start(ctypes.addressof(args), SIZE, _entry_address, ctypes.addressof(_image))
    _jobs.clear()
    if made < 0:
        raise OSError(-made, f"{os.strerror(-made)} (clone3)")
    error = ctypes.c_long(_image[3] or 0).value
    problem = _problems.pop() if _problems else OSError(-error, os.strerror(-error)) if error else None
    return made, pidfd.value, problem
