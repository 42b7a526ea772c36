"""What this host can run, as values: one ``Finding`` a question, the two hulls first. DESIGN: "The ladder of hosts".

Everything is tried where trying is cheap, and nothing is concluded from the user id. Works with no engine; starts
programs of ours and QEMU, and waits for them: not for an event loop.
"""

from __future__ import annotations

import json
import os
import subprocess
import sys
from dataclasses import dataclass, field
from typing import Any, Literal

from .. import NAME, program
from ..cgroup import choose
from ..errors import HostCannot, InvalidRequest
from ..hull.vm import accelerator, parts, probe
from ..linux import clone, landlock, namespaces
from ..places import Places

State = Literal["yes", "no", "limited"]

_SIZES = {parts.KERNEL: 27, parts.QEMU: 29, parts.SQUASHFS: 4, parts.EXT: 4}
"""MB to fetch, as measured; they vary little from release to release."""
_TOOLS = {parts.SQUASHFS: "sqfstar", parts.EXT: "mke2fs"}


@dataclass(frozen=True, slots=True)
class Finding:
    """``name``: what was asked; ``state``; ``why``: one clause; ``cost`` and ``next``: what would change it."""

    name: str
    state: State
    why: str
    cost: str = ""
    next: str = ""


@dataclass(frozen=True, slots=True)
class Diagnosis:
    """The host's row of the ladder. ``hulls``: "container" and "vm"; ``findings``: all that they depend on."""

    row: str
    hulls: dict[str, Finding]
    findings: list[Finding] = field(default_factory=list)


def diagnose(places: Places) -> Diagnosis:
    """Look at this host. Takes a tenth of a second, or one or two where QEMU is measured for the first time."""
    found = _parts(places)
    chosen = _accelerator(places)
    container = _container()
    vm = _vm(places, found, chosen)
    spaces = _user_namespaces()
    findings = [
        *found,
        _accelerated(places, chosen),
        _network(container, spaces),
        _cgroups(),
        spaces,
        _landlock(),
        _directory("state", places.state),
        _sockets(places),
        _compiled(),
    ]
    return Diagnosis(_row(container, spaces, chosen), {"container": container, "vm": vm}, findings)


def _container() -> Finding:
    """The container hull, tried by the program that the spawner's own probe is."""
    done = subprocess.run(program.argv("hull.probe"), stdin=subprocess.DEVNULL, capture_output=True, check=False)
    try:
        said: dict[str, Any] = json.loads(done.stdout)
    except ValueError:
        words = done.stderr.decode(errors="replace").strip()[-200:]
        return Finding("container", "no", f"the probe failed: {words}")
    refused = said["container"]
    if refused is None:
        return Finding("container", "yes", "namespaces, mounts and an overlay can be made")
    why = f"{refused['missing']}: {refused['text']}"
    return Finding("container", "no", why, next=f"{NAME} run --isolation vm …, or run as root")


def _parts(places: Places) -> list[Finding]:
    return [_part(places, part) for part in (parts.KERNEL, parts.QEMU, parts.SQUASHFS, parts.EXT)]


def _part(places: Places, part: str) -> Finding:
    try:
        return Finding(part, "yes", _where(places, part))
    except HostCannot as problem:
        return Finding(part, "no", problem.what, f"{_SIZES[part]} MB", problem.next_step)


def _where(places: Places, part: str) -> str:
    if part == parts.KERNEL:
        kernel = parts.find_kernel(places)
        return f"{kernel.version}, {kernel.source}: {kernel.image}"
    if part == parts.QEMU:
        qemu = parts.find_qemu(places)
        return f"{parts.qemu_version(qemu)}, {qemu.source}: {qemu.binary}"
    tool = parts.find_tool(places, part, _TOOLS[part])
    return f"{tool.source}: {tool.argv[-1]}"


def _accelerator(places: Places) -> accelerator.Accelerator:
    """What a VM would get; without parts, as far as facts alone tell."""
    try:
        return probe.decide(places, parts.find_qemu(places), parts.find_kernel(places))
    except HostCannot:
        return accelerator.choose(accelerator.gather())


def _vm(places: Places, found: list[Finding], chosen: accelerator.Accelerator) -> Finding:
    absent = [one for one in found if one.state == "no"]
    if absent:
        names = ", ".join(one.name for one in absent)
        size = sum(_SIZES[one.name] for one in absent)
        return Finding("vm", "no", f"missing: {names}", f"{size} MB to fetch", absent[0].next)
    return Finding("vm", "yes", f"{chosen.kind}, {probe.expectation(places, parts.find_qemu(places), chosen)}")


def _accelerated(places: Places, chosen: accelerator.Accelerator) -> Finding:
    state: State = "yes" if chosen.kind == "kvm" else "limited"
    return Finding("accelerator", state, f"{chosen.kind}: {chosen.why}; {chosen.boundary}", next=chosen.next_step)


def _network(container: Finding, spaces: Finding) -> Finding:
    if container.state == "yes":
        form = "bridge"
    elif spaces.state == "yes":
        form = "pasta, user-mode"
    else:
        form = "user-mode"
    return Finding(
        "network", "limited", f"{form} will be this host's form; until then containers have none or the host's"
    )


def _cgroups() -> Finding:
    value = choose.detect(f"{NAME}-doctor{os.getpid()}")
    if not value["version"]:
        why = "none may be made: no limits for containers, limits of VMs only inside"
        return Finding("cgroups", "no", why, next="run as root, or have a subtree delegated (systemd: Delegate=yes)")
    controllers = sorted(name for name in value["mounts"] if name)
    what = f"version {value['version']}" + (f": {', '.join(controllers)}" if controllers else "")
    return Finding("cgroups", "yes", what)


def _user_namespaces() -> Finding:
    """Made, and used: a distribution may allow the one and deny the other."""
    try:
        refused = _in_child()
    except OSError as problem:
        return Finding("user namespaces", "no", problem.strerror or str(problem), next=_user_namespaces_step())
    if refused:
        return Finding(
            "user namespaces", "no", f"made, but {os.strerror(refused)} inside", next=_user_namespaces_step()
        )
    return Finding("user namespaces", "yes", "made and usable")


def _in_child() -> int:
    """The errno of a mount namespace made inside a new user namespace, 0 if it could be. Raises OSError."""
    pid, handle = clone.clone(namespaces.CLONE_NEWUSER)
    if not pid:
        try:
            namespaces.unshare(namespaces.CLONE_NEWNS)
        except OSError as problem:
            os._exit(problem.errno or 255)
        finally:
            os._exit(0)
    os.close(handle)
    return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1])


def _user_namespaces_step() -> str:
    for path in ("kernel/apparmor_restrict_unprivileged_userns", "kernel/unprivileged_userns_clone"):
        try:
            with open(f"/proc/sys/{path}", encoding="ascii") as file:
                value = file.read().strip()
        except OSError:
            continue
        if path.startswith("kernel/apparmor") and value == "1":
            return "sudo sysctl -w kernel.apparmor_restrict_unprivileged_userns=0"
        if path.endswith("clone") and value == "0":
            return "sudo sysctl -w kernel.unprivileged_userns_clone=1"
    return ""


def _landlock() -> Finding:
    version = landlock.abi()
    if version >= 6:
        return Finding(
            "landlock", "yes", f"ABI {version}: QEMU is confined to its own files, no TCP, no signals outside"
        )
    if version:
        return Finding("landlock", "limited", f"ABI {version}: QEMU is confined to its own files")
    return Finding(
        "landlock", "no", "this kernel has none, or it is off: QEMU's jail is weaker", next="Linux 5.13, lsm=landlock"
    )


def _directory(name: str, path: str) -> Finding:
    """Can it be written, or its nearest parent that exists?"""
    near = path
    while not os.path.isdir(near) and near != "/":
        near = os.path.dirname(near)
    if not os.access(near, os.W_OK | os.X_OK):
        return Finding(name, "no", f"{path} cannot be written", next=f"export {NAME.upper()}_ROOT=DIR")
    try:
        free = os.statvfs(near)
    except OSError as problem:
        return Finding(name, "limited", f"{path}: {problem.strerror}")
    return Finding(name, "yes", f"{path}, {free.f_bavail * free.f_frsize / 1e9:.0f} GB free")


def _sockets(places: Places) -> Finding:
    """RUN: as a directory, and as the beginning of the sockets' paths."""
    try:
        places.check()
    except InvalidRequest as problem:
        return Finding("run", "no", problem.what, next=problem.next_step)
    return _directory("run", places.run)


def _compiled() -> Finding:
    """Python without compiled modules starts three to four times slower (measured)."""
    if os.path.exists(getattr(sys.modules[__name__], "__cached__", None) or ""):
        return Finding("compiled modules", "yes", "Python starts from compiled modules")
    folder = program.SITE
    why = "each start compiles them again: three to four times slower"
    return Finding("compiled modules", "limited", why, next=f"{sys.executable} -m compileall -q {folder}/{NAME}")


def _row(container: Finding, spaces: Finding, chosen: accelerator.Accelerator) -> str:
    """The host's name on the ladder."""
    hardware = "with KVM" if chosen.kind == "kvm" else "without KVM"
    if container.state == "yes":
        return f"root, {hardware}"
    if spaces.state == "yes":
        return f"ordinary user with user namespaces, {hardware}"
    if spaces.why.startswith("made, but"):
        return f"ordinary user whose user namespaces are denied, {hardware}"
    return "the floor: no root, no namespaces, no mounts" + (", with KVM" if chosen.kind == "kvm" else ", no KVM")
