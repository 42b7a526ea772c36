"""An empty ext4 in a sparse file, by mke2fs and debugfs (e2fsprogs): the only programs that a root needs."""

from __future__ import annotations

import subprocess
from typing import TYPE_CHECKING

from ..errors import HostCannot, ProaError
from . import tools

if TYPE_CHECKING:
    from ..places import Places

_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "MKE2FS_CONFIG": "/dev/null"}
_MESSAGE_MAX = 2000
_FEATURES = (
    "none,extent,flex_bg,huge_file,dir_index,dir_nlink,extra_isize,filetype,large_file,large_dir,sparse_super2,"
    "metadata_csum,64bit,ext_attr"
)
_JOURNAL = 16  # MB
# prezeroed: what a sparse file has not is zero, so that the guest's kernel does not write inode tables full of zeros
_PREZEROED = "assume_storage_prezeroed=1,"
_EXTENDED = "lazy_itable_init=1,nodiscard,packed_meta_blocks=1,num_backup_sb=0,root_owner=0:0"


def failed(what: str, why: str) -> ProaError:
    """A block image could not be made."""
    return ProaError(f"{what}: {why}", code="block-image-failed")


def make(places: Places, path: str, size: int, *, journal: bool) -> None:
    """Make an empty ext4 of ``size`` bytes at ``path``, sparse. Raises HostCannot, ProaError, OSError."""
    with open(path, "xb") as file:
        file.truncate(size)
    features = (f"{_FEATURES},has_journal", "-J", f"size={_JOURNAL}") if journal else (_FEATURES,)
    for extended in (_PREZEROED + _EXTENDED, _EXTENDED):
        options = ("-q", "-F", "-b", "4096", "-I", "256", "-m", "0", "-i", "65536", "-L", "upper")
        argv = [*tools.find("mke2fs", places), *options, "-E", extended, "-O", *features, path]
        status, output = _run(argv)
        if not status:
            _directories(places, path)
            return
        if b"prezeroed" not in output:  # else it is older than that option
            break
    raise failed(f"mke2fs failed with status {status}", _inert(output))


def _directories(places: Places, path: str) -> None:
    """The overlay's two directories, root's whoever runs this; without the tool a guest makes them."""
    try:
        tool = tools.find("debugfs", places)
    except HostCannot:
        return
    for name in ("upper", "work"):
        status, output = _run([*tool, "-w", "-R", f"mkdir {name}", path])
        if status:
            raise failed(f"debugfs failed with status {status}", _inert(output))


def _run(argv: list[str]) -> tuple[int, bytes]:
    done = subprocess.run(
        argv, stdin=subprocess.DEVNULL, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, env=_ENVIRONMENT, cwd="/"
    )
    return done.returncode, done.stdout


def _inert(output: bytes) -> str:
    text = output[-_MESSAGE_MAX:].decode("utf-8", "replace")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split()) or "it said nothing"
