"""What only a running QEMU can tell: does KVM boot a kernel here, and how fast is emulation? Tried once, remembered.

    STATE/probes/<name>.json    {key, …}: key is the hash of boot id, QEMU and kernel, so that another boot of the host,
                                or another version, tries again

The work is done by a program of its own (``trial``), single-threaded, with an alarm: whoever started it may die, and
neither it nor its QEMU stays. The functions block: call them in a thread.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import subprocess
import tempfile
import time
from collections.abc import Sequence
from typing import Any

from ... import NAME, program
from ...places import Places
from . import accelerator
from .accelerator import Accelerator, Verdict
from .parts import Kernel, Qemu

DEADLINE = 20.0
"""Seconds that a kernel may take under KVM on a host of ordinary speed; it takes one."""


def kvm(places: Places, qemu: Qemu, kernel: Kernel) -> tuple[Verdict, str]:
    """("boots" or "fails", why): a kernel's boot with -accel kvm, tried once per boot of the host."""
    found = _remembered(places, "kvm", [qemu.identity, kernel.image, kernel.version])
    if found is None:
        found = _run("kvm", [*qemu.argv], dict(qemu.env), kernel.image, DEADLINE * slowness())
        if "boots" in found:
            _remember(places, "kvm", [qemu.identity, kernel.image, kernel.version], found)
    return ("boots" if found.get("boots") else "fails"), str(found.get("reason", ""))


def decide(places: Places, qemu: Qemu, kernel: Kernel, forced: str = "") -> Accelerator:
    """The accelerator for VMs of these parts on this host. ``forced`` (else PROA_ACCELERATOR): "kvm" or "tcg".

    Raises HostCannot, InvalidRequest (``accelerator.choose``).
    """
    forced = forced or os.environ.get(f"{NAME.upper()}_ACCELERATOR", "")
    return accelerator.decide(accelerator.gather(), lambda: kvm(places, qemu, kernel), forced)


def emulation(places: Places, qemu: Qemu, *, measure: bool = True) -> float:
    """How many times slower than the processor itself a loop over memory runs under emulation; 0.0 if not known.
    ``measure``: where it is not known yet, find out, which takes a second or two."""
    found = _remembered(places, "emulation", [qemu.identity]) or (None if measure else {})
    if found is None:
        found = _run("emulation", [*qemu.argv], dict(qemu.env), "", DEADLINE * slowness())
        if "times" in found:
            _remember(places, "emulation", [qemu.identity], found)
    times = found.get("times", 0.0)
    return float(times) if isinstance(times, (int, float)) else 0.0


def expectation(places: Places, qemu: Qemu, chosen: Accelerator, *, measure: bool = True) -> str:
    """The speed to expect, in one clause. ``measure``: see ``emulation``."""
    if chosen.kind == "kvm":
        return "at the host's speed"
    times = emulation(places, qemu, measure=measure)
    return f"loops run about {times:.0f} times slower (measured)" if times else "emulated, speed not measured"


def slowness() -> float:
    """How much slower than an ordinary machine this one is now, at least 1: deadlines are stretched by it."""
    started = time.monotonic()
    total = 0
    for number in range(300_000):
        total += number & 7
    return max(1.0, (time.monotonic() - started) / 0.03)


def _run(kind: str, argv: Sequence[str], env: dict[str, str], kernel: str, deadline: float) -> dict[str, Any]:
    request = json.dumps({"kind": kind, "argv": list(argv), "env": env, "kernel": kernel, "deadline": deadline})
    command = program.argv("hull.vm.trial", request)
    try:
        done = subprocess.run(
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=2 * deadline + 10, check=False, cwd="/"
        )
        answer = json.loads(done.stdout)
    except (OSError, ValueError, subprocess.TimeoutExpired) as problem:
        return {"reason": f"the trial itself failed: {problem}"}
    return answer if isinstance(answer, dict) else {}


def _key(parts: Sequence[str]) -> str:
    try:
        with open("/proc/sys/kernel/random/boot_id", encoding="ascii") as file:
            boot = file.read().strip()
    except OSError:
        boot = ""
    return hashlib.sha256("\0".join([boot, *parts]).encode()).hexdigest()


def _remembered(places: Places, name: str, parts: Sequence[str]) -> dict[str, Any] | None:
    try:
        with open(f"{places.state}/probes/{name}.json", encoding="utf-8") as file:
            found = json.load(file)
    except (OSError, ValueError):
        return None
    return found if isinstance(found, dict) and found.get("key") == _key(parts) else None


def _remember(places: Places, name: str, parts: Sequence[str], found: dict[str, Any]) -> None:
    """Kept where STATE can be written; elsewhere the next one tries again."""
    folder = f"{places.state}/probes"
    with contextlib.suppress(OSError):
        os.makedirs(folder, mode=0o700, exist_ok=True)
        handle, temporary = tempfile.mkstemp(dir=folder)
        with open(handle, "w", encoding="utf-8") as file:
            json.dump({**found, "key": _key(parts)}, file)
        os.rename(temporary, f"{folder}/{name}.json")
