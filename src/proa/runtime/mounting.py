"""How one Mount of a spec is made: a new file system, a bind, or the cgroup hierarchies."""

import errno
import os

from ..linux import mount as m
from ..linux import mounttree as tree
from .options import Options
from .root import Root, path_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_S_IFMT, _S_IFDIR = 0o170000, 0o040000
_KERNEL_OWN = ("/proc", "/sys")
_INSIDE_PROC = tuple(
    "/proc/" + name
    for name in ("cpuinfo", "diskstats", "loadavg", "meminfo", "net/dev", "slabinfo", "stat", "swaps", "uptime")
)
"""What lxcfs and its like bind over, as runc allows it."""


def is_directory(fd: int) -> bool:
    """Whether ``fd`` holds a directory."""
    return os.fstat(fd).st_mode & _S_IFMT == _S_IFDIR


def bind(source: str, options: Options, root: Root, destination: str) -> None:
    """Bind the host's ``source`` (directory, file, socket, fifo) to ``destination`` inside the root."""
    recursive = bool(options.flags & m.MS_REC)
    copy = tree.open_tree(source, recursive=recursive)
    try:
        wanted, cleared = options.attributes
        if wanted or cleared:
            tree.set_attributes(copy, wanted, cleared)
        if options.recursive:
            tree.set_attributes(copy, options.recursive, recursive=True)
        for kind in options.propagation or [m.MS_PRIVATE | m.MS_REC]:
            tree.set_attributes(copy, 0, propagation=kind & ~m.MS_REC, recursive=bool(kind & m.MS_REC))
        target = root.directory(destination) if is_directory(copy) else root.file(destination)
        try:
            _outside_proc(root, target, destination)
            tree.move_mount(copy, target)
        finally:
            os.close(target)
    finally:
        os.close(copy)


def filesystem(type: str, source: str, options: Options, root: Root, destination: str) -> None:
    """Mount a new file system at ``destination`` inside the root."""
    target = _kernel_own(root, destination) if destination in _KERNEL_OWN else root.directory(destination)
    try:
        _outside_proc(root, target, destination)
        data = options.data
        if type == "tmpfs" and "mode=" not in data:
            mode = f"mode={os.fstat(target).st_mode & 0o7777:o}"
            data = f"{data},{mode}" if data else mode
        m.mount(source or type, path_of(target), type, options.flags, data)
    finally:
        os.close(target)
    if type == "proc":
        root.proc = _device(root, destination)
    if options.recursive or options.propagation:
        _adjust(options, root, destination)


def _device(root: Root, path: str) -> int:
    fd = root.open(path)
    try:
        return os.fstat(fd).st_dev
    finally:
        os.close(fd)


def _outside_proc(root: Root, target: int, destination: str) -> None:
    """Nothing is mounted inside /proc, wherever a symlink leads: masked paths and security labels live there."""
    if os.fstat(target).st_dev == root.proc and destination not in _INSIDE_PROC:
        raise ValueError("cannot be mounted because it is inside /proc")


def _adjust(options: Options, root: Root, destination: str) -> None:
    made = root.open(destination)
    try:
        if options.recursive:
            tree.set_attributes(made, options.recursive, recursive=True)
        for kind in options.propagation:
            tree.set_attributes(made, 0, propagation=kind & ~m.MS_REC, recursive=bool(kind & m.MS_REC))
    finally:
        os.close(made)


def _kernel_own(root: Root, destination: str) -> int:
    """/proc and /sys must be ordinary directories: through a symlink, an image would have them mounted elsewhere."""
    try:
        return root.plain(destination)
    except FileNotFoundError:
        return root.directory(destination)
    except OSError as problem:
        if problem.errno != errno.ELOOP:
            raise
        raise ValueError("must be mounted on an ordinary directory") from problem


def hierarchies(shown: "Sequence[str]", options: Options, root: Root, destination: str) -> None:
    """What a mount of type cgroup means: version 2's tree, or a tmpfs with version 1's hierarchies, of ours only.

    The process must be in its cgroups and in a cgroup namespace of its own: that is what makes them show nothing else.
    """
    if not shown:
        return
    flags = options.flags & ~m.MS_BIND
    if list(shown) == [""]:
        filesystem("cgroup2", "cgroup", options, root, destination)
        return
    target = root.directory(destination)
    try:
        m.mount("tmpfs", path_of(target), "tmpfs", flags & ~m.MS_RDONLY, "mode=755")
    finally:
        os.close(target)
    top = root.open(destination)
    try:
        for controllers in shown:
            _hierarchy(controllers, flags, top)
        if flags & m.MS_RDONLY:
            tree.set_attributes(top, tree.MOUNT_ATTR_RDONLY)
    finally:
        os.close(top)


def _hierarchy(controllers: str, flags: int, top: int) -> None:
    os.mkdir(controllers, 0o755, dir_fd=top)
    m.mount("cgroup", f"{path_of(top)}/{controllers}", "cgroup", flags, controllers)
    if "," in controllers:
        for name in controllers.split(","):
            os.symlink(controllers, name, dir_fd=top)
