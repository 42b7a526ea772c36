"""The distribution's own package client, apt, used with directories of our own: nothing is installed into the system.

apt-get(8) resolves, fetches and verifies as it always does (the distribution's sources and keys, signatures required),
but its lists, cache and idea of what is installed are private and empty. dpkg-deb(1) then only unpacks. Needs no
privilege. Hooks of the host's configuration are cleared: they would act on the host.
"""

from __future__ import annotations

import functools
import os
import re
import shutil
import subprocess
import tarfile
import tempfile
import time
import urllib.parse
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import IO

from ...errors import HostCannot

_LISTS = "/var/lib/apt/lists"
_CONFIG = """\
Dir::State "{work}/state";
Dir::State::status "{work}/state/status";
Dir::State::extended_states "{work}/state/extended_states";
Dir::Cache "{work}/cache";
Dir::Cache::pkgcache "pkgcache.bin";
Dir::Cache::srcpkgcache "srcpkgcache.bin";
Dir::Log "{work}/log";
APT::Get::AllowUnauthenticated "false";
APT::Install-Recommends "false";
APT::Install-Suggests "false";
Acquire::AllowInsecureRepositories "false";
Acquire::AllowWeakRepositories "false";
Acquire::AllowDowngradeToInsecureRepositories "false";
Acquire::Languages "none";
Acquire::Retries "3";
Acquire::http::Timeout "30";
Acquire::https::Timeout "30";
#clear APT::Update::Pre-Invoke;
#clear APT::Update::Post-Invoke;
#clear APT::Update::Post-Invoke-Success;
#clear Acquire::IndexTargets;
Acquire::IndexTargets::deb::Packages {{
  MetaKey "$(COMPONENT)/binary-$(ARCHITECTURE)/Packages"; flatMetaKey "Packages";
  ShortDescription "Packages"; Description "$(RELEASE)/$(COMPONENT) $(ARCHITECTURE) Packages";
  flatDescription "$(RELEASE) Packages"; Optional "false";
}};
"""
_CAN_SWITCH_USER = (1 << 0) | (1 << 6) | (1 << 7)  # CAP_CHOWN, CAP_SETGID, CAP_SETUID


@dataclass(frozen=True, slots=True)
class Package:
    """One package that can be fetched; ``size`` in bytes."""

    name: str
    version: str
    size: int
    file: str


class Apt:
    """apt-get with private directories below ``work``, which is the caller's to create and remove."""

    def __init__(self, work: str) -> None:
        client = shutil.which("apt-get", path="/usr/bin:/bin")
        if not client or not shutil.which("dpkg-deb", path="/usr/bin:/bin"):
            raise HostCannot(
                "parts are fetched by apt-get and dpkg-deb, which this host does not have",
                hull="vm", missing="apt-get", code="no-package-client",
                next_step="install QEMU and squashfs-tools with this host's package manager, "
                "then: proa setup --kernel FILE --modules DIR",
            )  # fmt: skip
        self.work = work
        self.config = f"{work}/apt.conf"
        for folder in ("state/lists/partial", "cache/archives/partial", "log", "debs"):
            os.makedirs(f"{work}/{folder}", exist_ok=True)
        with open(f"{work}/state/status", "wb"):
            pass
        with open(self.config, "w", encoding="utf-8") as file:
            file.write(_CONFIG.format(work=work))
            if not _sandbox_possible(work):
                file.write('APT::Sandbox::User "root";\n')

    def update(self) -> None:
        """Fetch and verify the lists of packages; those of the host, if there are any, save most of it.

        A source of the host that fails is not an error here: what is needed may come from another one.
        """
        _seed(_LISTS, f"{self.work}/state/lists")
        self._run("apt-get", "update", "-q", check=False)

    def closure(self, names: Iterable[str]) -> list[Package]:
        """``names`` with all that they depend on, as if nothing was installed. Raises HostCannot."""
        return _packages(self._run("apt-get", "-qq", "--print-uris", "install", *names))

    def one(self, name: str) -> Package:
        """The newest package of that name alone. Raises HostCannot."""
        return _packages(self._run("apt-get", "-qq", "--print-uris", "download", name))[0]

    def depends(self, name: str) -> str:
        """The Depends line of the newest package ``name``, "" if there is no such package."""
        text = self._run("apt-cache", "show", "--no-all-versions", name, check=False)
        found = re.search(r"^Depends: (.*)$", text, re.MULTILINE)
        return found[1] if found else ""

    def download(self, packages: Iterable[Package], watch: Callable[[int], None]) -> list[str]:
        """Fetch and verify ``packages``; the paths of the .deb files. ``watch`` is told the bytes that are there."""
        wanted = list(packages)
        folder = f"{self.work}/debs"
        command = self._command("apt-get", "-q", "download", *(f"{p.name}={p.version}" for p in wanted))
        with open(f"{self.work}/download.log", "w+b") as log:
            child = subprocess.Popen(
                command, cwd=folder, env=_environment(), stdin=subprocess.DEVNULL, stdout=log, stderr=log
            )
            try:
                while child.poll() is None:
                    watch(_bytes(folder))
                    time.sleep(0.1)
            finally:
                if child.poll() is None:
                    child.terminate()
                    child.wait()
            log.seek(0)
            words = log.read().decode(errors="replace")
        missing = [p.name for p in wanted if not os.path.exists(f"{folder}/{p.file}")]
        if child.returncode or missing:
            raise _failed("packages could not be fetched", words)
        return [f"{folder}/{p.file}" for p in wanted]

    def _command(self, program: str, *args: str) -> list[str]:
        return [*_dying(), program, "-c", self.config, *args]

    def _run(self, program: str, *args: str, check: bool = True) -> str:
        command = self._command(program, *args)
        done = subprocess.run(command, env=_environment(), stdin=subprocess.DEVNULL, capture_output=True, check=False)
        if done.returncode and check:
            raise _failed(f"{program} could not resolve {args[-1]}", done.stderr.decode(errors="replace"))
        return done.stdout.decode(errors="replace")


def unpack(debs: Iterable[str], root: str, watch: Callable[[int], None]) -> None:
    """Unpack .deb files below ``root``: no scripts run, nothing is recorded. ``watch`` is told how many are done.

    The files are written by this process, not by tar(1): a killed setup must not go on writing through its orphans.
    """
    os.makedirs(root, exist_ok=True)
    for number, deb in enumerate(debs):
        watch(number)
        command = [*_dying(), "dpkg-deb", "--fsys-tarfile", deb]
        with tempfile.TemporaryFile() as words:
            child = subprocess.Popen(
                command, env=_environment(), stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=words
            )
            problem = _write(child.stdout, root)
            if child.wait() or problem:
                words.seek(0)
                said = problem or words.read().decode(errors="replace")
                raise _failed(f"{os.path.basename(deb)} could not be unpacked", said)


def _write(stream: IO[bytes] | None, root: str) -> str:
    """Write a tar stream's files below ``root``, as ours and without set-id bits; what went wrong, or ""."""
    assert stream is not None
    try:
        with stream, tarfile.open(fileobj=stream, mode="r|") as archive:
            # packages are signed and checked by apt; as an attribute, because 3.11's first releases know no argument
            archive.extraction_filter = _as_it_is
            for member in archive:
                member.uid = member.gid = os.geteuid()
                member.uname = member.gname = ""
                member.mode &= 0o777
                if member.name.startswith("/") or ".." in member.name.split("/"):
                    return f"a path leads out of the package: {member.name}"
                archive.extract(member, root)
    except (tarfile.TarError, OSError) as problem:
        return str(problem)
    return ""


def _as_it_is(member: tarfile.TarInfo, _path: str) -> tarfile.TarInfo:
    return member


def _failed(what: str, words: str) -> HostCannot:
    lines = [line for line in words.splitlines() if line.startswith(("E:", "Err:", "W:", "dpkg-deb:", "tar:"))]
    reason = "; ".join(line.strip() for line in (lines or words.splitlines())[-3:])
    return HostCannot(
        f"{what}: {reason}", hull="vm", code="fetch-failed", next_step="check the network and apt's sources"
    )


def _packages(text: str) -> list[Package]:
    """What apt-get --print-uris says: 'URI' FILE SIZE HASH, one a line."""
    found = []
    for line in text.splitlines():
        words = line.split()
        if len(words) < 3 or not words[0].startswith("'"):
            continue
        name, version, _architecture = words[1].removesuffix(".deb").split("_")
        found.append(Package(name, urllib.parse.unquote(version), int(words[2]), words[1]))
    if not found:
        raise _failed("apt names nothing to fetch", text)
    return found


def _seed(source: str, target: str) -> None:
    """Copy the host's lists, so that apt fetches only what has changed; they are verified again all the same."""
    try:
        names = os.listdir(source)
    except OSError:
        return
    for name in names:
        if name.endswith(("Release", "Release.gpg")) or "_Packages" in name:
            try:
                shutil.copy2(f"{source}/{name}", f"{target}/{name}")
            except OSError:
                continue


def _bytes(folder: str) -> int:
    """The size of all files below ``folder``, which apt is writing."""
    total = 0
    for path, _folders, names in os.walk(folder):
        for name in names:
            try:
                total += os.lstat(f"{path}/{name}").st_size
            except OSError:
                continue
    return total


@functools.cache
def _dying() -> tuple[str, ...]:
    """What to start a program by, so that it ends with us, however we end (setpriv(1); every Debian has it)."""
    wrapper = shutil.which("setpriv", path="/usr/bin:/bin")
    return (wrapper, "--pdeathsig", "KILL") if wrapper else ()


def _environment() -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if name.lower().endswith("_proxy") or name == "HOME"}
    return {**kept, "LC_ALL": "C", "PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "DEBIAN_FRONTEND": "noninteractive"}


def _sandbox_possible(work: str) -> bool:
    """May apt fetch as its own user? It must be able to become that user, and that user to reach ``work``."""
    with open("/proc/self/status", encoding="ascii", errors="replace") as file:
        effective = next((int(line.split()[1], 16) for line in file if line.startswith("CapEff:")), 0)
    if os.geteuid() != 0 or effective & _CAN_SWITCH_USER != _CAN_SWITCH_USER:
        return False
    path = os.path.realpath(work)
    while path != "/":
        if not os.stat(path).st_mode & 0o001:
            return False
        path = os.path.dirname(path)
    return True
