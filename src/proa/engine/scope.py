"""A place of our own under systemd: a scope unit, so that no login session's end takes the engine or a container along.

    proa.slice/proa-<id>.scope/                     Delegate=yes: what is below it is ours alone
        proa-<id>.engine/                           this process and all that it starts (cgroup/delegated.py)
        proa-<id>/<container>/                      one group a container, without a word to systemd

The scope lives as long as anything in it does, so a new engine joins the one that its predecessor's containers keep.
busctl(1) says the two words that this takes: where there is a system manager there is busctl. Whatever fails, the
engine stays where it was started, as it does where there is no systemd.
"""

from __future__ import annotations

import os
import subprocess
import time

_BUSCTL = "/usr/bin/busctl"
_MANAGER = ("org.freedesktop.systemd1", "/org/freedesktop/systemd1", "org.freedesktop.systemd1.Manager")
_PATIENCE = 10  # s, for the bus and for the job
_STEP = 0.002


def enter(name: str) -> bool:
    """Move this process into ``name``.scope of the system's manager, or of the user's; whether it did. Blocks."""
    if not _managed():
        return False
    unit = f"{name}.scope"
    if not _call(*_start(unit)) and not _call(*_attach(unit, f"/{name}.engine")):
        return False
    end = time.monotonic() + _PATIENCE
    while f"/{unit}" not in _own() and time.monotonic() < end:
        time.sleep(_STEP)
    return f"/{unit}" in _own()


def _managed() -> bool:
    """Whether systemd runs this system, on version 2 alone."""
    return os.path.isdir("/run/systemd/system") and _own().startswith("0::") and os.access(_BUSCTL, os.X_OK)


def _own() -> str:
    with open("/proc/self/cgroup", encoding="utf-8", errors="surrogateescape") as file:
        return file.read()


def _start(unit: str) -> list[str]:
    properties = [
        *("Description", "s", "Proa engine and its containers"),
        *("PIDs", "au", "1", str(os.getpid())),
        *("Slice", "s", "proa.slice"),
        *("Delegate", "b", "true"),
        *("CollectMode", "s", "inactive-or-failed"),
    ]
    return ["StartTransientUnit", "ssa(sv)a(sa(sv))", unit, "fail", "5", *properties, "0"]


def _attach(unit: str, below: str) -> list[str]:
    return ["AttachProcessesToUnit", "ssau", unit, below, "1", str(os.getpid())]


def _call(method: str, signature: str, *arguments: str) -> bool:
    which = "--system" if os.geteuid() == 0 else "--user"
    command = [_BUSCTL, which, f"--timeout={_PATIENCE}", "call", *_MANAGER, method, signature, *arguments]
    try:
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            timeout=_PATIENCE,
        )
    except (OSError, subprocess.TimeoutExpired):
        return False
    return done.returncode == 0
