"""The program's terminal: a pair made inside the container's own devpts, its slave opened by descriptor."""

import os

from ..linux import mounttree, pty
from .root import Root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..oci.runtime import Process

_PTMX = "/dev/pts/ptmx"
_FLAGS = os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC


class Console:
    """``master`` goes to the parent, ``slave`` becomes the program's streams; both are this object's to close."""

    __slots__ = ("master", "slave")

    def __init__(self, master: int, process: "Process") -> None:
        self.master = master
        self.slave, _ = pty.pair(master)
        size = process.get("consoleSize")
        if size:
            pty.resize(master, size["height"], size["width"])


def inside(root: Root, process: "Process") -> Console:
    """A terminal of the container that is being built, and its /dev/console."""
    console = Console(root.open(_PTMX, _FLAGS), process)
    target = root.file("/dev/console")
    copy = mounttree.copy_tree(console.slave)
    mounttree.move_mount(copy, target)
    os.close(copy)
    os.close(target)
    return console


def here(process: "Process") -> Console:
    """A terminal of the container that this process has joined."""
    return Console(os.open(_PTMX, _FLAGS), process)
