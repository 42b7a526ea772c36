"""Makes the ``Jail`` value for a VM: what this host lets us take away from QEMU, decided in the engine, as a value.

Pure but for look-ups (the loader's name, /etc/passwd, device nodes): every row of the ladder can be tested anywhere.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from typing import TYPE_CHECKING

from ...linux import landlock
from . import elf
from .parts import Qemu

if TYPE_CHECKING:
    from ..bundle import May
    from .jail import Jail

FIRST_UID, LAST_UID = 0x7000_0000, 0x77FF_FFFF
"""User ids of VMs: outside of every range that distributions and systemd hand out."""
FILE_SIZE = 64 << 30


def plan(
    qemu: Qemu,
    id: str,
    may: May,
    root: str,
    *,
    accelerator: str = "tcg",
    files: Iterable[str] = (),
    file_size: int = FILE_SIZE,
    network: bool = False,
) -> Jail:
    """The jail of the VM ``id``. ``root``: a directory that this VM's jail may hide under its private root.

    ``files``: further files that QEMU opens by name (a cold boot's kernel and initrd; they must be readable by all);
    ``file_size``: the largest file it may write, in bytes; ``network``: it is to have user-mode networking.
    """
    devices = ["/dev/kvm"] if accelerator == "kvm" else []
    program = qemu.argv[0]
    executes, reads = executables(program), [*qemu.reads, *files]
    # without a root of its own that shows them, another user may not get at the files
    switch = may["setuid"] and (may["mount"] or all(open_to_all(path) for path in [*executes, *reads]))
    return {
        "program": program,
        "executes": executes,
        "reads": reads,
        "devices": devices,
        "namespaces": may["mount"],
        "uid": user(id) if switch else -1,
        "groups": groups(devices) if switch else [],
        "root": root,
        "network": network,
        "file_size": max(file_size, FILE_SIZE),
    }


def walls(jail: Jail) -> list[str]:
    """What the jail consists of on this host, in words: for inspect and info."""
    version = landlock.abi()
    return [
        *(["namespaces", "private root"] if jail["namespaces"] else []),
        *(["a user of its own"] if jail["uid"] >= 0 else []),
        *([f"landlock {version}"] if version else []),
        "seccomp",
        "no new privileges",
    ]


def open_to_all(path: str) -> bool:
    """Whether every user gets as far as ``path`` and may read it."""
    real = os.path.realpath(path)
    try:
        if not os.stat(real).st_mode & 0o004:
            return False
        while real != "/":
            real = os.path.dirname(real)
            if not os.stat(real).st_mode & 0o001:
                return False
    except OSError:
        return False
    return True


def executables(program: str) -> list[str]:
    """The program and the loader that the kernel starts it with. Raises OSError, elf.NotElf."""
    loader = elf.read(program).interpreter
    return [program, loader] if loader else [program]


def user(id: str) -> int:
    """A user id for the VM ``id`` (hex): nobody's."""
    number = FIRST_UID + int(id[:7], 16) % (LAST_UID - FIRST_UID + 1)
    users = _users()
    while number in users:
        number = FIRST_UID + (number + 1 - FIRST_UID) % (LAST_UID - FIRST_UID + 1)
    return number


def _users(path: str = "/etc/passwd") -> set[int]:
    """The user ids of this host's own file; asking the name service could block on a network."""
    with open(path, encoding="utf-8", errors="replace") as file:
        fields = [line.split(":") for line in file]
    return {int(line[2]) for line in fields if len(line) > 2 and line[2].isdigit()}


def groups(devices: Iterable[str]) -> list[int]:
    """The groups that may use ``devices``: a user of the VM's own is in none of them otherwise."""
    found = set()
    for path in devices:
        try:
            found.add(os.stat(path).st_gid)
        except OSError:
            continue
    return sorted(found - {0})
