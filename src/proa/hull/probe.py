"""What this host lets us do for containers: found out by doing it, in a child that ends; never concluded from the uid.

``probe()`` must be called where there are no threads (the spawner calls it once). As a program, ``proa.hull.probe``
prints the findings: ``{"container": {"missing", "text"} | null, "may": {mknod, mount, setuid}}``.
"""

import os
import sys

from .. import jsontext
from ..linux import clone, namespaces
from ..linux import mount as mounts

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable
    from typing import Any

    Findings = dict[str, Any]

_SPACES = (
    namespaces.CLONE_NEWNS
    | namespaces.CLONE_NEWPID
    | namespaces.CLONE_NEWUTS
    | namespaces.CLONE_NEWIPC
    | namespaces.CLONE_NEWNET
    | namespaces.CLONE_NEWCGROUP
)
_STAGE = "/proc"  # every host has this directory; the child covers it in a mount namespace of its own
_STRANGER = 0x7000_0000  # a user id as VMs get them: a user namespace may not have it


def main() -> None:
    """The program."""
    sys.stdout.write(jsontext.dumps(probe()).decode() + "\n")


def probe() -> "Findings":
    """The findings; takes a few ms. ``container`` names what is missing for the container hull, None if nothing is."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    try:
        pid, pidfd = clone.clone(_SPACES)
    except OSError as problem:
        os.close(reader)
        os.close(writer)
        return _without("namespaces", problem, setuid=_in_a_child(_setuid))
    if pid == 0:
        _child(writer)
    os.close(writer)
    said = os.read(reader, 65536)
    os.close(reader)
    os.close(pidfd)
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass  # the caller ignores SIGCHLD
    findings: "Findings" = jsontext.loads(said) if said else _without("namespaces", OSError("the probe died"))
    return findings


def _without(missing: str, problem: OSError, *, setuid: bool = False) -> "Findings":
    text = problem.strerror or str(problem)
    return {
        "container": {"missing": missing, "text": text},
        "may": {"mknod": False, "mount": missing != "namespaces" and missing != "mount", "setuid": setuid},
    }


def _in_a_child(attempt: "Callable[[], None]") -> bool:
    """Whether it succeeds, tried where it changes nobody else."""
    reader, writer = os.pipe2(os.O_CLOEXEC)
    pid = os.fork()
    if pid == 0:
        try:
            os.write(writer, b"1" if _succeeds(attempt) else b"0")
        finally:
            os._exit(0)
    os.close(writer)
    said = os.read(reader, 1)
    os.close(reader)
    try:
        os.waitpid(pid, 0)
    except ChildProcessError:
        pass  # the caller ignores SIGCHLD
    return said == b"1"


def _child(writer: int) -> None:
    """Try everything, say what happened, end."""
    try:
        os.write(writer, jsontext.dumps(_findings()))
    finally:
        os._exit(0)


def _findings() -> "Findings":
    for missing, attempt in (("mount", _mount), ("proc", _proc), ("overlay", _overlay)):
        try:
            attempt()
        except OSError as problem:
            return _without(missing, problem, setuid=_succeeds(_setuid))
    return {"container": None, "may": {"mknod": _succeeds(_mknod), "mount": True, "setuid": _succeeds(_setuid)}}


def _mount() -> None:
    mounts.mount("", "/", "", mounts.MS_REC | mounts.MS_PRIVATE)
    mounts.mount("tmpfs", _STAGE, "tmpfs", 0, "mode=700,size=1m")
    for name in ("proc", "lower", "upper", "work", "root"):
        os.mkdir(f"{_STAGE}/{name}")


def _proc() -> None:
    mounts.mount("proc", f"{_STAGE}/proc", "proc")


def _overlay() -> None:
    data = f"lowerdir={_STAGE}/lower,upperdir={_STAGE}/upper,workdir={_STAGE}/work"
    mounts.mount("overlay", f"{_STAGE}/root", "overlay", 0, data)


def _mknod() -> None:
    os.mknod(f"{_STAGE}/null", 0o20666, os.makedev(1, 3))
    os.close(os.open(f"{_STAGE}/null", os.O_RDWR))


def _setuid() -> None:
    os.setgroups([])
    os.setresgid(_STRANGER, _STRANGER, _STRANGER)
    os.setresuid(_STRANGER, _STRANGER, _STRANGER)


def _succeeds(attempt: "Callable[[], None]") -> bool:
    try:
        attempt()
    except OSError:
        return False
    return True
