"""Which accelerator a VM gets, KVM or emulation (TCG), and why: a pure function of recorded facts.

    facts = gather()                       what this host shows; cheap
    choose(facts)                          → Accelerator: kind, why, what would help
    decide(facts, trial)                   the same; ``trial`` really boots a kernel (``probe.kvm``), if need be

Opening /dev/kvm proves nothing, nor does a small guest: nested hosts show a KVM that opens, answers, runs sixteen-bit
code and then spins for ever in a stock kernel. So KVM is taken only where the processor says that it virtualizes, the
kernel module is the processor's own, and a real kernel has once booted under a deadline (``trial``).

Emulation is no security boundary by QEMU's own policy (docs/system/security.rst); whatever shows an accelerator shows
``BOUNDARY`` too.
"""

from __future__ import annotations

import fcntl
import os
import platform
from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Literal

from ...errors import HostCannot, InvalidRequest

Kind = Literal["kvm", "tcg"]
Device = Literal["opens", "absent", "denied", "broken"]
Verdict = Literal["unknown", "boots", "fails"]

DEVICE = "/dev/kvm"
API_VERSION = 12
_KVM_GET_API_VERSION = 0xAE00
_OWN_MODULES = {"vmx": "kvm_intel", "svm": "kvm_amd"}

BOUNDARY = {
    "kvm": "hardware virtualization: QEMU's policy treats the guest as hostile",
    "tcg": "emulation: by QEMU's own policy no security boundary; the jail around QEMU is the wall",
}


@dataclass(frozen=True, slots=True)
class HostFacts:
    """What the choice depends on. ``flags``: vmx, svm, hypervisor as far as cpuinfo has them; ``modules``: loaded
    modules named kvm*; ``device``: what opening /dev/kvm answered; ``verdict``: of a trial, ``reason`` its words."""

    machine: str
    flags: frozenset[str]
    modules: frozenset[str]
    device: Device
    verdict: Verdict = "unknown"
    reason: str = ""


@dataclass(frozen=True, slots=True)
class Accelerator:
    """``kind``; ``why`` in one clause; ``next_step``: what would bring KVM, if anything; ``untried``: everything speaks
    for KVM, but no kernel has been booted with it yet."""

    kind: Kind
    why: str
    next_step: str = ""
    untried: bool = False

    @property
    def boundary(self) -> str:
        """What the isolation is worth."""
        return BOUNDARY[self.kind]


def choose(facts: HostFacts, forced: str = "") -> Accelerator:
    """The accelerator for these facts; ``forced``: "kvm" or "tcg" by the user's option.

    Raises HostCannot (``kvm-missing``) when KVM is forced and its device cannot be opened, InvalidRequest for an
    unknown word.
    """
    if forced:
        return _forced(facts, forced)
    for rule in (_no_device, _denied, _broken, _foreign_module, _no_virtualization, _failed):
        refusal = rule(facts)
        if refusal:
            return Accelerator("tcg", *refusal)
    if facts.verdict == "unknown":
        return Accelerator("tcg", "KVM looks usable, but no kernel has been booted with it yet", untried=True)
    return Accelerator("kvm", "hardware virtualization works: a kernel was booted with it")


def _forced(facts: HostFacts, forced: str) -> Accelerator:
    if forced == "tcg":
        return Accelerator("tcg", "asked for")
    if forced != "kvm":
        raise InvalidRequest(f"unknown accelerator {forced!r}: kvm or tcg", code="unknown-accelerator", input=forced)
    if facts.device != "opens":
        why, step = next(found for rule in (_no_device, _denied, _broken) if (found := rule(facts)))
        raise HostCannot(f"KVM was asked for: {why}", hull="vm", missing="kvm", code="kvm-missing", next_step=step)
    return Accelerator("kvm", "asked for")


_Refusal = tuple[str, str] | None


def _no_device(facts: HostFacts) -> _Refusal:
    if facts.device != "absent":
        return None
    if "hypervisor" in facts.flags and not facts.flags & _OWN_MODULES.keys():
        return f"no {DEVICE}: this host is itself a virtual machine", "ask its provider for nested virtualization"
    for flag, module in _OWN_MODULES.items():
        if flag in facts.flags:
            return f"no {DEVICE}: the kernel module {module} is not loaded, or hidden from here", f"modprobe {module}"
    step = "switch virtualization on in the firmware" if facts.machine == "x86_64" else ""
    return f"no {DEVICE}: the processor shows no virtualization", step


def _denied(facts: HostFacts) -> _Refusal:
    if facts.device != "denied":
        return None
    return f"{DEVICE} is there, but this user may not open it", 'sudo usermod -aG kvm "$USER"   (then log in again)'


def _broken(facts: HostFacts) -> _Refusal:
    return (f"{DEVICE} opens, but does not answer as KVM does", "") if facts.device == "broken" else None


def _foreign_module(facts: HostFacts) -> _Refusal:
    if facts.machine != "x86_64" or facts.modules & set(_OWN_MODULES.values()):
        return None
    foreign = sorted(facts.modules - {"kvm"})
    if foreign:
        return f"{DEVICE} opens, but is served by {', '.join(foreign)}, which cannot boot a stock kernel", ""
    return f"{DEVICE} opens, but neither kvm_intel nor kvm_amd is loaded", ""


def _no_virtualization(facts: HostFacts) -> _Refusal:
    if facts.machine != "x86_64" or facts.flags & _OWN_MODULES.keys():
        return None
    return f"{DEVICE} opens, but the processor shows neither vmx nor svm", "ask for nested virtualization"


def _failed(facts: HostFacts) -> _Refusal:
    if facts.verdict != "fails":
        return None
    return f"{DEVICE} opens, but no kernel boots with it ({facts.reason})", ""


def gather(
    cpuinfo: str = "/proc/cpuinfo", modules: str = "/sys/module", device: str = DEVICE, machine: str = ""
) -> HostFacts:
    """Read the facts; the paths are parameters so that recorded hosts can be tested."""
    return HostFacts(machine or platform.machine(), _flags(cpuinfo), _modules(modules), _open(device))


def _flags(path: str) -> frozenset[str]:
    """The first processor's flags that matter here."""
    try:
        with open(path, encoding="ascii", errors="replace") as file:
            line = next((line for line in file if line.startswith("flags")), "")
    except OSError:
        return frozenset()
    return frozenset(line.split()) & {"vmx", "svm", "hypervisor"}


def _modules(path: str) -> frozenset[str]:
    try:
        return frozenset(name for name in os.listdir(path) if name == "kvm" or name.startswith("kvm_"))
    except OSError:
        return frozenset()


def _open(path: str) -> Device:
    try:
        fd = os.open(path, os.O_RDWR | os.O_CLOEXEC)
    except (FileNotFoundError, NotADirectoryError):
        return "absent"
    except PermissionError:
        return "denied"
    except OSError:
        return "broken"
    try:
        return "opens" if fcntl.ioctl(fd, _KVM_GET_API_VERSION, 0) == API_VERSION else "broken"
    except OSError:
        return "broken"
    finally:
        os.close(fd)


def decide(facts: HostFacts, trial: Callable[[], tuple[Verdict, str]], forced: str = "") -> Accelerator:
    """``choose``, with ``trial`` (which boots a kernel, or remembers having done so) where it is still needed.

    Raises as ``choose`` does.
    """
    found = choose(facts, forced)
    if not found.untried:
        return found
    verdict, reason = trial()
    return choose(replace(facts, verdict=verdict, reason=reason), forced)
