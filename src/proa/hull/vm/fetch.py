"""``proa setup``: fetch the parts that a VM is made of. A program of its own, which works with no engine.

For root the parts go into /var/lib/proa, where every user's engine finds them; with ``--user`` into STATE, with no
privilege at all, and even under a filter that refuses namespaces and mounts. The distribution's package client
resolves, fetches and verifies; packages are unpacked into a private folder and never installed: a kernel package would
change what this machine boots.

A set appears by one rename, when it is whole and QEMU has been started once. Killed at any moment, a setup leaves no
set, or a whole one; what lies about is removed by the next.
"""

from __future__ import annotations

import argparse
import fcntl
import json
import os
import re
import shutil
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from ... import NAME
from ...errors import HostCannot, InvalidRequest, ProaError
from ...places import Places, find
from . import apt, elf, kernelfile, parts
from .progress import Progress

_ARCHITECTURES = {"x86_64": ("amd64", "qemu-system-x86"), "aarch64": ("arm64", "qemu-system-arm")}
# What QEMU's packages depend on for displays, sound, USB, smart cards and configuration: never loaded by our machine.
# That nothing is missing is checked afterwards, on the files themselves; if it is, the rest is fetched too.
_NOT_NEEDED = re.compile(
    r"adduser|passwd|debconf|iso-codes|perl|libpam|libsemanage|libsepol|libaudit|libdb5|libcap-ng|libcap2-bin|libsqlite"
    r"|libnss3|libnspr|libpcsclite|libcacard|libdrm|libgbm|libwayland|libepoxy|libexecs|libexpat|libgstreamer|liborc"
    r"|libunwind|libdw1|libopus|libsndio|libspice|libusb|libasound|libbrlapi|libncurses|libtinfo|libsasl2-modules"
    r"|libbsd|libmd0|libcrypt1|libsystemd0|libgcrypt|libgpg-error|libbz2|libx11|libxcb|libvirglrenderer|libpulse|mesa"
)
_NOT_KEPT = ("usr/share/doc", "usr/share/man", "usr/share/locale", "usr/share/lintian", "usr/share/bug")


@dataclass(frozen=True, slots=True)
class Outcome:
    """One line of the report. ``state``: "fetched", "present" (fetched before), "host" or "would fetch"."""

    part: str
    state: str
    version: str
    where: str
    bytes: int = 0
    seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Wish:
    """What was asked: ``everything`` fetches also what the host has; ``kernel``, ``modules``: the user's own."""

    target: str
    everything: bool = False
    show: bool = False
    kernel: str = ""
    modules: str = ""


class Setup:
    """Brings every part of ``wish`` to where it can be found. ``places`` are the engine's that will use them."""

    def __init__(self, places: Places, wish: Wish, progress: Progress) -> None:
        self.places, self.wish, self.progress = places, wish, progress
        self._apt: apt.Apt | None = None

    def run(self) -> list[Outcome]:
        """Every part in turn. Raises HostCannot, InvalidRequest; what is whole by then stays."""
        steps = (self._kernel, self._qemu, self._squashfs, self._ext)
        if self.wish.show:
            return [step() for step in steps]
        with _locked(self.wish.target):
            _sweep(self.wish.target)
            try:
                return [self._told(step()) for step in steps]
            finally:
                _sweep(self.wish.target)

    def _told(self, outcome: Outcome) -> Outcome:
        self.progress.done(_line(outcome))
        return outcome

    def _kernel(self) -> Outcome:
        if self.wish.kernel:
            return self._given_kernel()
        return self._part(parts.KERNEL, lambda: _kernel_found(self.places), self._fetch_kernel)

    def _qemu(self) -> Outcome:
        def fetch(root: str) -> list[apt.Package]:
            name = f"qemu-system-{parts.machine()}"
            packages = self._fetch_programs(root, parts.QEMU, _architecture()[1], name)
            parts.try_qemu(parts.fetched_qemu(root, name))
            return packages

        return self._part(parts.QEMU, lambda: _qemu_found(self.places), fetch)

    def _squashfs(self) -> Outcome:
        return self._tool(parts.SQUASHFS, "sqfstar")

    def _ext(self) -> Outcome:
        return self._tool(parts.EXT, "mke2fs")

    def _tool(self, part: str, program: str) -> Outcome:
        found = _tool_found(self.places, part, program)
        return self._part(part, found, lambda root: self._fetch_programs(root, part, part, program))

    def _part(self, part: str, find: Callable[[], Outcome], fetch: Callable[[str], list[apt.Package]]) -> Outcome:
        if os.path.exists(f"{self.wish.target}/{part}/complete") or not self.wish.everything:
            try:
                return find()
            except HostCannot:
                pass  # missing: that is what fetching is for
        if self.wish.show:
            return Outcome(part, "would fetch", "", f"{self.wish.target}/{part}")
        started = time.monotonic()
        with _fresh(self.wish.target, part) as root:
            packages = fetch(root)
            for folder in _NOT_KEPT:
                shutil.rmtree(f"{root}/{folder}", ignore_errors=True)
            _seal(os.path.dirname(root), packages)
        found = find()
        size = sum(package.size for package in packages)
        return Outcome(part, "fetched", found.version, found.where, size, time.monotonic() - started)

    def _client(self) -> apt.Apt:
        if self._apt is None:
            client = apt.Apt(f"{self.wish.target}/.apt-{os.getpid()}")
            self.progress.step("package lists")
            client.update()
            self._apt = client
        return self._apt

    def _bring(self, part: str, packages: list[apt.Package], root: str) -> None:
        total = sum(package.size for package in packages) or 1
        self.progress.step(f"{part}: fetching {total / 1e6:.1f} MB in {len(packages)} packages", 0.0)
        debs = self._client().download(packages, lambda size: self.progress.share(min(1.0, size / total)))
        self.progress.step(f"{part}: unpacking", 0.0)
        apt.unpack(debs, root, lambda number: self.progress.share(number / len(debs)))

    def _fetch_kernel(self, root: str) -> list[apt.Package]:
        architecture, _qemu = _architecture()
        meta = f"linux-image-cloud-{architecture}"
        real = re.search(r"linux-image-[^ ,(|]+", self._client().depends(meta))
        if not real:
            raise HostCannot(
                f"this distribution has no package {meta}: no kernel to fetch is known for it",
                hull="vm", missing=parts.KERNEL, code="no-kernel-package", input=meta,
                next_step=f"{NAME} setup --kernel FILE --modules DIR",
            )  # fmt: skip
        packages = [self._client().one(real[0])]
        self._bring(parts.KERNEL, packages, root)
        return packages

    def _fetch_programs(self, root: str, part: str, package: str, program: str) -> list[apt.Package]:
        """A package with all that ``program`` in it is loaded with: what is certainly not is left out at first."""
        everything = self._client().closure([package])
        wanted = [one for one in everything if not _NOT_NEEDED.match(one.name)]
        self._bring(part, wanted, root)
        if not _whole(root, program):
            self._bring(part, [one for one in everything if one not in wanted], root)
            wanted = everything
        return wanted

    def _given_kernel(self) -> Outcome:
        """A kernel of the user's: checked, then copied with its modules into the set."""
        image, modules = os.path.abspath(self.wish.kernel), self.wish.modules
        version = kernelfile.check(image).version
        modules = modules or f"/lib/modules/{version}"
        if not version or not os.path.isdir(f"{modules}/kernel"):
            raise InvalidRequest(
                f"{modules} holds no modules for the kernel {image}", code="no-modules", input=modules, exit=125,
                next_step=f"{NAME} setup --kernel {image} --modules DIR (the directory that holds kernel/)",
            )  # fmt: skip
        if self.wish.show:
            return Outcome(parts.KERNEL, "would copy", version, image)
        with _fresh(self.wish.target, parts.KERNEL) as root:
            os.makedirs(f"{root}/boot")
            shutil.copyfile(image, f"{root}/boot/vmlinuz-{version}")
            shutil.copytree(f"{modules}/kernel", f"{root}/lib/modules/{version}/kernel", symlinks=True)
            _seal(os.path.dirname(root), [])
        return Outcome(parts.KERNEL, "copied", version, f"{self.wish.target}/{parts.KERNEL}")


def _architecture() -> tuple[str, str]:
    names = _ARCHITECTURES.get(parts.machine())
    if not names:
        raise HostCannot(f"no parts are known for {parts.machine()}", hull="vm", code="architecture-unknown")
    return names


def _whole(root: str, program: str) -> bool:
    """Are the program and every library that it is loaded with below ``root``?"""
    binaries = [path for folder in parts.PROGRAMS if os.path.isfile(path := f"{root}/{folder}/{program}")]
    return bool(binaries) and not elf.closure(binaries, parts.library_directories(root))[1]


def _kernel_found(places: Places) -> Outcome:
    kernel = parts.find_kernel(places)
    if kernel.source == "host":
        raise parts.missing(places, parts.KERNEL, "only this host's own kernel is there")
    return Outcome(parts.KERNEL, "present", kernel.version, kernel.image)


def _qemu_found(places: Places) -> Outcome:
    qemu = parts.find_qemu(places)
    return Outcome(parts.QEMU, _state(qemu.source), parts.qemu_version(qemu), qemu.binary)


def _tool_found(places: Places, part: str, name: str) -> Callable[[], Outcome]:
    def found() -> Outcome:
        tool = parts.find_tool(places, part, name)
        version = parts.version_of(places, part) if tool.source == "fetched" else ""
        return Outcome(part, _state(tool.source), version, tool.argv[-1])

    return found


def _state(source: str) -> str:
    return "present" if source == "fetched" else source


@contextmanager
def _locked(target: str) -> Iterator[None]:
    """Only one setup at a time writes below ``target``."""
    try:
        os.makedirs(target, exist_ok=True)
        handle = os.open(f"{target}/lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o644)
    except OSError as problem:
        raise HostCannot(
            f"{target} cannot be written: {problem.strerror}", hull="vm", code="state-not-writable", input=target,
            next_step=f"{NAME} setup --user",
        ) from problem  # fmt: skip
    try:
        fcntl.flock(handle, fcntl.LOCK_EX)
        yield
    finally:
        os.close(handle)


@contextmanager
def _fresh(target: str, part: str) -> Iterator[str]:
    """A new set's root; moved to where it is found when the block ends well, removed otherwise."""
    new, old = f"{target}/.new-{part}-{os.getpid()}", f"{target}/.old-{part}-{os.getpid()}"
    os.makedirs(f"{new}/root")
    try:
        yield f"{new}/root"
        if os.path.lexists(f"{target}/{part}"):
            os.rename(f"{target}/{part}", old)
        os.rename(new, f"{target}/{part}")
    finally:
        shutil.rmtree(new, ignore_errors=True)
        shutil.rmtree(old, ignore_errors=True)


def _seal(folder: str, packages: list[apt.Package]) -> None:
    """Write ``complete``, after everything else has reached the disk: a power cut must not leave half a set."""
    record = {
        "packages": [package.name for package in packages],
        "versions": {package.name: package.version for package in packages},
        "time": int(time.time()),
    }
    os.sync()
    with open(f"{folder}/complete", "w", encoding="utf-8") as file:
        json.dump(record, file)
        file.flush()
        os.fsync(file.fileno())


def _sweep(target: str) -> None:
    """Remove what a killed setup left, and apt's private directories."""
    for name in os.listdir(target):
        if name.startswith((".new-", ".old-", ".apt-")):
            shutil.rmtree(f"{target}/{name}", ignore_errors=True)


def _line(outcome: Outcome) -> str:
    words = {"host": "this host's", "present": "already there"}.get(outcome.state, outcome.state)
    cost = f", {outcome.bytes / 1e6:.1f} MB, {outcome.seconds:.1f} s" if outcome.bytes else ""
    return f"{outcome.part:<15} {outcome.version or '-':<24} {words}{cost}: {outcome.where}"


def _wish(options: argparse.Namespace, places: Places) -> Wish:
    target = f"{places.state}/parts" if options.user else parts.SYSTEM_PARTS
    if not options.user and os.geteuid() != 0 and not options.show:
        raise InvalidRequest(
            f"only root may write {parts.SYSTEM_PARTS}", code="needs-root", next_step=f"{NAME} setup --user"
        )
    return Wish(target, options.all, options.show, options.kernel, options.modules)


def _options(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=f"{NAME} setup", description="Fetch what virtual machines need. Nothing is installed into this system."
    )
    parser.add_argument("--user", action="store_true", help="into this user's own directory; needs no privilege")
    parser.add_argument("--show", action="store_true", help="only say what would be done")
    parser.add_argument("--all", action="store_true", help="fetch also what this host already has")
    parser.add_argument("--kernel", default="", metavar="FILE", help="use this kernel instead of the distribution's")
    parser.add_argument("--modules", default="", metavar="DIR", help="its modules: the directory that holds kernel/")
    parser.add_argument("--json", action="store_true", help="print the outcome as JSON")
    parser.add_argument("--root", default="", metavar="DIR", help="the engine's directories lie below DIR")
    return parser.parse_args(argv)


def main(argv: list[str] | None = None) -> None:
    """Entry point; ends with SystemExit: 0, or the error's exit code."""
    options = _options(sys.argv[1:] if argv is None else argv)
    os.umask(0o022)
    try:
        places = find(options.root)
        wish = _wish(options, places)
        progress = Progress(sys.stderr, sys.stdout, quiet=options.json or options.show)
        outcomes = Setup(places, wish, progress).run()
    except ProaError as problem:
        sys.exit(_complain(problem, options.json))
    except OSError as problem:
        where = str(problem.filename or "")
        what = f"setup could not go on: {problem.strerror or problem}" + (f": {where}" if where else "")
        sys.exit(_complain(HostCannot(what, hull="vm", code="setup-failed", input=where), options.json))
    except KeyboardInterrupt:
        sys.exit(130)
    if options.json:
        print(json.dumps({"target": wish.target, "parts": [_as_json(one) for one in outcomes]}))
    elif options.show:
        print("\n".join(_line(one) for one in outcomes))
    else:
        print(f"ready: {NAME} run --isolation vm IMAGE")


def _as_json(outcome: Outcome) -> dict[str, object]:
    return {name: getattr(outcome, name) for name in Outcome.__slots__}


def _complain(problem: ProaError, as_json: bool) -> int:
    if as_json:
        print(json.dumps(problem.to_json()))
    else:
        step = f"\n{NAME}: try: {problem.next_step}" if problem.next_step else ""
        print(f"{NAME}: {problem.what}{step}", file=sys.stderr)
    return problem.exit
