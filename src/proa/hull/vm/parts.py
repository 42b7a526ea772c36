"""Parts: QEMU, kernel and helper programs that a VM is made of, and where they are found.

Looked up in STATE/parts, then in /var/lib/proa/parts (what root's ``proa setup`` fetched), then on the host itself.
Nothing here fetches anything (``fetch`` does) or installs anything: a part is a private folder.

    <parts>/<set>/root/        unpacked packages of the distribution (usr/bin/…, lib/…)
    <parts>/<set>/complete     JSON {packages, versions, time}: there only when the set is whole

Sets: ``kernel``, ``qemu``, ``squashfs-tools``, ``e2fsprogs``. Unpacked programs run through their own ld.so, so that
their libraries need not match the host's.
"""

from __future__ import annotations

import functools
import glob
import json
import os
import platform
import re
import shutil
import subprocess
from collections.abc import Iterator
from dataclasses import dataclass

from ... import NAME
from ...errors import HostCannot, InvalidRequest
from ...places import Places
from . import elf, kernelfile

SYSTEM_PARTS = f"/var/lib/{NAME}/parts"
KERNEL, QEMU, SQUASHFS, EXT = "kernel", "qemu", "squashfs-tools", "e2fsprogs"
PROGRAMS = ("usr/bin", "usr/sbin", "sbin", "bin")
_DATA = ("usr/share/qemu", "usr/share/seabios", "usr/lib/ipxe/qemu")


@dataclass(frozen=True, slots=True)
class Qemu:
    """A QEMU that can be started. ``argv``: what a command line begins with, ``env``: all of its environment.

    ``binary``: the emulator itself; ``identity``: changes whenever the program does (for keys of templates); ``reads``:
    every file and directory that it must be able to read (what a jail lets it see); ``source``: "fetched" or "host".
    """

    argv: tuple[str, ...]
    env: tuple[tuple[str, str], ...]
    binary: str
    identity: str
    reads: tuple[str, ...]
    source: str


@dataclass(frozen=True, slots=True)
class Kernel:
    """A guest kernel. ``image``: bzImage or vmlinux; ``modules``: the directory that holds ``kernel/`` (lib/modules/
    VERSION); ``source``: "fetched" or "host"."""

    image: str
    modules: str
    version: str
    source: str


@dataclass(frozen=True, slots=True)
class Tool:
    """A program: ``argv`` is what its command line begins with."""

    argv: tuple[str, ...]
    source: str


def directories(places: Places) -> tuple[str, ...]:
    """Where sets of parts may lie, first one first."""
    return tuple(dict.fromkeys((f"{places.state}/parts", SYSTEM_PARTS)))


def setup_command(places: Places) -> str:
    """The command that fetches what is missing, for whoever asks."""
    private = os.geteuid() != 0 or f"{places.state}/parts" != SYSTEM_PARTS
    return f"{NAME} setup --user" if private else f"{NAME} setup"


def find_set(places: Places, name: str) -> str:
    """The root of the first complete set of that name, or ""."""
    for parts in directories(places):
        if os.path.exists(f"{parts}/{name}/complete"):
            return f"{parts}/{name}/root"
    return ""


def complete(parts: str, name: str) -> dict[str, object]:
    """What ``complete`` says of a set, or {} when the set is missing or not whole."""
    try:
        with open(f"{parts}/{name}/complete", encoding="utf-8") as file:
            record = json.load(file)
    except (OSError, ValueError):
        return {}
    return record if isinstance(record, dict) else {}


def version_of(places: Places, name: str) -> str:
    """The version of the package that a fetched set is named after, "" where it is not known."""
    for parts in directories(places):
        versions = complete(parts, name).get("versions")
        if isinstance(versions, dict):
            return str(versions.get(name, ""))
    return ""


def machine() -> str:
    """This host's architecture, as QEMU and the kernel name it."""
    return platform.machine()


def find_qemu(places: Places) -> Qemu:
    """The QEMU to use. Raises HostCannot (``qemu-missing``)."""
    name = f"qemu-system-{machine()}"
    root = find_set(places, QEMU)
    if root and os.path.exists(f"{root}/usr/bin/{name}"):
        return fetched_qemu(root, name)
    binary = shutil.which(name, path=os.environ.get("PATH", os.defpath) + ":/usr/bin:/usr/local/bin")
    if binary:
        return _host_qemu(binary, _identity(binary))
    raise missing(places, QEMU, f"{name} was not found: no VM can be started without QEMU")


def missing(places: Places, part: str, what: str) -> HostCannot:
    """The error for a part that is not there; it names the command that fetches it."""
    return HostCannot(what, hull="vm", missing=part, code=f"{part}-missing", next_step=setup_command(places))


def _identity(path: str) -> str:
    status = os.stat(path)
    return f"{os.path.realpath(path)}:{status.st_size}:{status.st_mtime_ns}"


@functools.lru_cache(maxsize=8)
def _host_qemu(binary: str, identity: str) -> Qemu:
    modules = glob.glob(f"/usr/lib/*/qemu/accel-tcg-{machine()}.so")
    files, _absent = elf.closure([binary, *modules])
    data = [f"/{path}" for path in _DATA if os.path.isdir(f"/{path}")]
    beside = os.path.normpath(os.path.dirname(os.path.realpath(binary)) + "/../share/qemu")
    if os.path.isdir(beside) and beside not in data:
        data.append(beside)
    reads = (*files, *data, "/etc/ld.so.cache")
    return Qemu((binary,), (), binary, identity, tuple(path for path in reads if os.path.exists(path)), "host")


def fetched_qemu(root: str, name: str) -> Qemu:
    """The QEMU among the unpacked packages below ``root``. Raises HostCannot (``qemu-damaged``)."""
    return _fetched_qemu(root, name, _identity(f"{root}/usr/bin/{name}"))


@functools.lru_cache(maxsize=8)
def _fetched_qemu(root: str, name: str, identity: str) -> Qemu:
    binary = f"{root}/usr/bin/{name}"
    run = loader(root, binary)
    wanted = glob.glob(f"{root}/usr/lib/*/qemu/accel-tcg-{machine()}.so")
    _files, absent = elf.closure([binary, *wanted], library_directories(root))
    if absent:
        raise HostCannot(
            f"the fetched QEMU lacks {', '.join(absent)}", hull="vm", missing=QEMU, code="qemu-damaged", input=root
        )
    data = tuple(f"{root}/{path}" for path in _DATA if os.path.isdir(f"{root}/{path}"))
    options = tuple(word for path in data for word in ("-L", path))
    env = tuple(("QEMU_MODULE_DIR", os.path.dirname(path)) for path in wanted[:1])
    return Qemu((*run, binary, *options), env, binary, identity, (root,), "fetched")


@functools.lru_cache(maxsize=8)
def qemu_version(qemu: Qemu) -> str:
    """What ``--version`` prints, "7.2.22". Starts the program once: not for the event loop. Raises HostCannot."""
    try:
        command = [*qemu.argv, "--version"]
        done = subprocess.run(command, env=dict(qemu.env), capture_output=True, timeout=60, check=False)
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise HostCannot(f"QEMU does not start: {problem}", hull="vm", missing=QEMU, code="qemu-broken") from problem
    found = re.search(rb"version (\d+(?:\.\d+)+)", done.stdout)
    if not found:
        words = done.stderr.decode(errors="replace").strip()[-300:] or f"exit status {done.returncode}"
        raise HostCannot(f"QEMU does not start: {words}", hull="vm", missing=QEMU, code="qemu-broken")
    return found[1].decode()


def try_qemu(qemu: Qemu) -> None:
    """Start an empty machine under emulation and let it end at once: finds a missing library, module or firmware.

    Raises HostCannot (``qemu-broken``).
    """
    kind = {"x86_64": "q35", "aarch64": "virt"}.get(machine(), "none")
    options = ("-M", kind, "-accel", "tcg", "-nodefaults", "-display", "none", "-S", "-qmp", "stdio")
    ask = b'{"execute":"qmp_capabilities"}\n{"execute":"quit"}\n'
    try:
        done = subprocess.run(
            [*qemu.argv, *options], env=dict(qemu.env), input=ask, capture_output=True, timeout=120, check=False
        )
    except (OSError, subprocess.TimeoutExpired) as problem:
        raise HostCannot(f"QEMU does not start: {problem}", hull="vm", missing=QEMU, code="qemu-broken") from problem
    if done.returncode:
        words = done.stderr.decode(errors="replace").strip()[-300:]
        raise HostCannot(f"QEMU does not start: {words}", hull="vm", missing=QEMU, code="qemu-broken")


def library_directories(root: str) -> tuple[str, ...]:
    """Where the unpacked packages below ``root`` keep their libraries."""
    triplet = f"{machine()}-linux-gnu"
    places = (f"usr/lib/{triplet}", f"lib/{triplet}", "usr/lib64", "lib64", "usr/lib", "lib")
    return tuple(f"{root}/{path}" for path in places if os.path.isdir(f"{root}/{path}"))


def loader(root: str, binary: str) -> tuple[str, ...]:
    """[ld.so, --library-path, …] of the packages below ``root``, to be put before ``binary``. Raises HostCannot."""
    libraries = library_directories(root)
    wanted = os.path.basename(elf.read(binary).interpreter)
    for folder in libraries:
        path = f"{folder}/{wanted}"
        if os.path.isfile(path):  # false for a link that points out of the folder: /lib/x86_64-linux-gnu/…
            return (os.path.realpath(path), "--library-path", ":".join(libraries))
    raise HostCannot(f"no dynamic loader was unpacked below {root}", missing=wanted, code="parts-damaged", input=root)


def find_tool(places: Places, part: str, name: str) -> Tool:
    """A helper program (``sqfstar``, ``mke2fs``), fetched or the host's. Raises HostCannot (``<set>-missing``)."""
    root = find_set(places, part)
    for folder in PROGRAMS if root else ():
        binary = f"{root}/{folder}/{name}"
        if os.path.isfile(binary):
            return Tool((*loader(root, binary), binary), "fetched")
    host = shutil.which(name, path=os.environ.get("PATH", os.defpath) + ":/usr/bin:/usr/sbin:/sbin")
    if host:
        return Tool((host,), "host")
    raise missing(places, part, f"{name} was not found")


def find_kernel(places: Places) -> Kernel:
    """The guest kernel to use. Raises HostCannot (``kernel-missing``; ``not-a-kernel``: no file there is one)."""
    root = find_set(places, KERNEL)
    refused: list[InvalidRequest] = []
    candidates = _kernels(root, "fetched", refused) if root else _kernels("", "host", refused)
    for kernel in candidates:
        return kernel
    for problem in refused:
        next_step = setup_command(places)
        raise HostCannot(problem.what, hull="vm", missing=KERNEL, code=problem.code, next_step=next_step) from problem
    raise missing(places, KERNEL, "no guest kernel was found: no VM can be started without one")


def _kernels(root: str, source: str, refused: list[InvalidRequest]) -> Iterator[Kernel]:
    """Kernels below ``root`` that can be read and whose modules lie beside them, newest first; ``refused`` collects
    why the others are none."""
    images = glob.glob(f"{root}/boot/vmlinuz-*") + glob.glob(f"{root}/usr/lib/modules/*/vmlinuz")
    for image in sorted(images, key=_by_version, reverse=True):
        if not os.access(image, os.R_OK):
            continue
        try:
            version = kernelfile.check(image).version or image.rpartition("/vmlinuz-")[2]
        except InvalidRequest as problem:
            refused.append(problem)
            continue
        for modules in (f"{root}/lib/modules/{version}", f"{root}/usr/lib/modules/{version}"):
            if os.path.isdir(f"{modules}/kernel"):
                yield Kernel(image, modules, version, source)
                break


def _by_version(path: str) -> list[int]:
    return [int(number) for number in re.findall(r"\d+", path.rpartition("/boot/")[2])]
