"""System call numbers of the machines that Proa runs on.  Sources: syscall_64.tbl, asm-generic/unistd.h.

Calls from 424 on have one number everywhere. A number is looked up once, at import, by whoever wraps the call.
"""

import os

MACHINE = os.uname().machine

_OLD = {
    "x86_64": {
        "rt_sigaction": 13,
        "capget": 125,
        "capset": 126,
        "pivot_root": 155,
        "keyctl": 250,
        "unshare": 272,
        "setns": 308,
        "finit_module": 313,
        "seccomp": 317,
        "bpf": 321,
    },
    "aarch64": {
        "rt_sigaction": 134,
        "capget": 90,
        "capset": 91,
        "pivot_root": 41,
        "keyctl": 219,
        "unshare": 97,
        "setns": 268,
        "finit_module": 273,
        "seccomp": 277,
        "bpf": 280,
    },
}
_NEW = {
    "open_tree": 428,
    "move_mount": 429,
    "clone3": 435,
    "close_range": 436,
    "openat2": 437,
    "mount_setattr": 442,
    "landlock_create_ruleset": 444,
    "landlock_add_rule": 445,
    "landlock_restrict_self": 446,
}

AUDIT_ARCH = {"x86_64": 0xC000003E, "aarch64": 0xC00000B7}
"""Machine to AUDIT_ARCH_* (linux/audit.h), as seccomp filters see it."""


def number(call: str, machine: str = MACHINE) -> int:
    """The number of a system call. Raises KeyError for a call or machine that is not in the table."""
    known = _NEW.get(call)
    return _OLD[machine][call] if known is None else known
