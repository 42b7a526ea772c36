"""The two programs that make file systems in files: sqfstar (squashfs-tools) and mke2fs (e2fsprogs)."""

from __future__ import annotations

import contextlib
import fcntl
import os
import subprocess
import tempfile
from typing import TYPE_CHECKING

from ..errors import ProaError
from ..image import emit
from . import tools

if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import IO

    from ..image.index import Directory
    from ..image.tree import Sources
    from ..places import Places

_PIPE_SIZE = 1 << 20
_F_SETPIPE_SZ = 1031  # fcntl(2); Python has the name from 3.10 on, but not on every platform
_ENVIRONMENT = {"PATH": "/usr/sbin:/usr/bin:/sbin:/bin", "LC_ALL": "C", "MKE2FS_CONFIG": "/dev/null"}
_MESSAGE_MAX = 2000
_EXT4 = (
    "none,extent,flex_bg,huge_file,dir_index,dir_nlink,extra_isize,filetype,large_file,large_dir,sparse_super2,"
    "metadata_csum,64bit,ext_attr"
)
_JOURNAL = 16  # MB
# prezeroed: what a sparse file has not is zero, so that the guest's kernel does not write inode tables full of zeros
_EXTENDED = (
    "assume_storage_prezeroed=1,lazy_itable_init=1,nodiscard,packed_meta_blocks=1,num_backup_sb=0,root_owner=0:0"
)


def failed(what: str, why: str) -> ProaError:
    """A block image could not be made."""
    return ProaError(f"{what}: {why}", code="block-image-failed")


def squashfs(places: Places, root: Directory, sources: Sources, path: str) -> None:
    """Build the squashfs of a merged tree at ``path``. Uncompressed: the fastest to make and, emulated, to read.
    Raises HostCannot, ProaError, OSError."""
    argv = [
        *tools.find("sqfstar", places),
        *("-no-progress", "-quiet", "-exit-on-error", "-noI", "-noD", "-noF", "-noX", "-no-duplicates"),
        # sqfstar does not read the root's own entry
        *("-root-mode", f"{root.mode:o}", "-root-uid", str(root.uid), "-root-gid", str(root.gid)),
        *("-root-time", str(min(max(root.mtime // 1_000_000_000, 0), (1 << 32) - 1))),
        *("-mkfs-time", "0"),
        path,
    ]
    with _running(argv, "sqfstar", stdin=subprocess.PIPE) as stdin:
        emit.emit(root, sources, stdin)


def ext4(places: Places, path: str, size: int, *, journal: bool) -> None:
    """Make an empty ext4 of ``size`` bytes at ``path``, sparse, with the directories upper and work."""
    with open(path, "xb") as file:
        file.truncate(size)
    with tempfile.TemporaryDirectory(prefix="proa-", dir=os.path.dirname(path)) as skeleton:
        os.mkdir(skeleton + "/upper", 0o755)
        os.mkdir(skeleton + "/work", 0o755)
        features = (f"{_EXT4},has_journal", "-J", f"size={_JOURNAL}") if journal else (_EXT4,)
        argv = [
            *tools.find("mke2fs", places),
            *("-q", "-F", "-b", "4096", "-I", "256", "-m", "0", "-i", "65536", "-L", "upper", "-d", skeleton),
            *("-E", _EXTENDED, "-O", *features),
            path,
        ]
        with _running(argv, "mke2fs", stdin=subprocess.DEVNULL):
            pass


@contextlib.contextmanager
def _running(argv: list[str], name: str, stdin: int) -> Iterator[int]:
    """Run a program, give its stdin to the block, and see that it ends well."""
    with tempfile.TemporaryFile() as messages:
        process = subprocess.Popen(
            argv, stdin=stdin, stdout=messages, stderr=messages, env=_ENVIRONMENT, cwd="/", start_new_session=True
        )
        try:
            with contextlib.suppress(BrokenPipeError):  # it ended early: its exit code and messages say why
                yield _widened(process.stdin)
            if process.stdin is not None:
                process.stdin.close()
            status = process.wait()
        finally:
            if process.poll() is None:
                process.kill()
                process.wait()
        if status != 0:
            raise failed(f"{name} failed with status {status}", _tail(messages))


def _widened(pipe: IO[bytes] | None) -> int:
    if pipe is None:
        return -1
    with contextlib.suppress(OSError):  # over the user's share of pipe memory: the usual size works, too
        fcntl.fcntl(pipe.fileno(), _F_SETPIPE_SZ, _PIPE_SIZE)
    return pipe.fileno()


def _tail(messages: IO[bytes]) -> str:
    messages.seek(0)
    text = messages.read()[-_MESSAGE_MAX:].decode("utf-8", "replace")
    return " ".join("".join(c if c.isprintable() else " " for c in text).split()) or "it said nothing"
