"""The bare machine to compare with: QEMU, the same kernel, busybox's first line. Nothing of ours but the starting."""

from __future__ import annotations

import os
import subprocess
import time
from pathlib import Path

INIT = b"#!/bin/busybox sh\necho BARE-IS-UP\n/bin/busybox poweroff -f\n"


def _entry(name: str, mode: int, data: bytes = b"", device: tuple[int, int] = (0, 0)) -> bytes:
    """One entry of a cpio archive in the kernel's format (newc)."""
    path = name.encode() + b"\0"
    fields = (0, mode, 0, 0, 1, 0, len(data), 0, 0, *device, len(path), 0)
    head = b"070701" + "".join(f"{number:08x}" for number in fields).encode()
    return _padded(head + path) + _padded(data)


def _padded(data: bytes) -> bytes:
    return data + b"\0" * (-len(data) % 4)


def initramfs(busybox: Path, target: Path) -> Path:
    """busybox, a console, and an init of three lines."""
    target.write_bytes(
        _entry("bin", 0o040755)
        + _entry("dev", 0o040755)
        + _entry("dev/console", 0o020600, device=(5, 1))
        + _entry("bin/busybox", 0o100755, busybox.read_bytes())
        + _entry("init", 0o100755, INIT)
        + _entry("TRAILER!!!", 0)
    )
    return target


def boot(qemu: list[str], kernel: Path, initrd: Path, memory: int = 512) -> float:
    """ms from exec to the line."""
    command = [
        *qemu,
        *("-M", "q35", "-accel", "tcg", "-cpu", "max", "-smp", "1", "-m", str(memory)),
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio"),
        *("-kernel", str(kernel), "-initrd", str(initrd), "-append", "console=ttyS0 quiet"),
    ]
    begun = time.perf_counter()
    process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        assert process.stdout
        for line in process.stdout:
            if b"BARE-IS-UP" in line:
                return (time.perf_counter() - begun) * 1000
        raise RuntimeError(f"the bare machine did not come up: {os.fspath(kernel)}")
    finally:
        process.kill()
        process.communicate()
