"""What process 1 does before it says hello, once per template: file systems, kernel modules, disks by serial."""

import errno
import os
import time

from .... import jsontext
from ....linux import loopback, mount, namespaces, reboot, seccomp
from ..standard import FILTER

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

HOME = "/proa"
_CLONE_FS = 0x200  # process 1 shares its working directory with the kernel's threads: setns(2) refuses that
_PORTS = "/sys/class/virtio-ports"
_PORT_ATTEMPTS, _PORT_PAUSE = 6000, 0.005
_PLAIN = mount.MS_NOSUID | mount.MS_NODEV | mount.MS_NOEXEC
_MOUNTS = (
    ("proc", "/proc", "proc", _PLAIN, ""),
    ("sysfs", "/sys", "sysfs", _PLAIN, ""),
    ("devtmpfs", "/dev", "devtmpfs", mount.MS_NOSUID, "mode=755"),
    ("tmpfs", "/run", "tmpfs", mount.MS_NOSUID | mount.MS_NODEV, "mode=755"),
)


def root() -> None:
    """Make the root a mount that pivot_root(2) can leave: the initramfs itself is none. Before any other mount."""
    namespaces.unshare(_CLONE_FS)
    mount.mount("/", "/mnt", flags=mount.MS_BIND)
    os.chdir("/mnt")
    mount.mount(".", "/", flags=mount.MS_MOVE)
    os.chroot(".")
    os.chdir("/")


def file_systems() -> None:
    """proc, sys, dev and run: what the port needs."""
    for source, target, kind, flags, data in _MOUNTS:
        mount.mount(source, target, kind, flags, data)


def late() -> None:
    """What only the program needs."""
    _load("late")
    mount.mount("cgroup2", "/sys/fs/cgroup", "cgroup2", _PLAIN)
    loopback.up()
    for name in ("lower", "upper", "root"):
        os.mkdir(f"/run/{name}", 0o755)


def filter() -> None:
    """Make the filter that nearly every program gets ready, for all processes that are forked from here."""
    code = _bytes(f"{HOME}/{FILTER}")
    if code:
        seccomp.ready[FILTER] = seccomp.Filter(code)


def open_port() -> int:
    """Load what drives the virtio port and open it. Returns a non-blocking descriptor."""
    _load("early")
    # the driver makes the node before the port can be opened (ENXIO), and both some time after it was loaded
    for _attempt in range(_PORT_ATTEMPTS):
        for name in os.listdir(_PORTS) if os.path.isdir(_PORTS) else ():
            try:
                return os.open(f"/dev/{name}", os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)
            except OSError as problem:
                if problem.errno not in (errno.ENXIO, errno.ENOENT):
                    raise
        time.sleep(_PORT_PAUSE)
    raise OSError(errno.ENODEV, os.strerror(errno.ENODEV), _PORTS)


def disks() -> "dict[str, str]":
    """Device nodes of the disks by serial number: their names (vda, vdb) may change between machines."""
    found = {}
    for name in os.listdir("/sys/block"):
        serial = _text(f"/sys/block/{name}/serial")
        if serial:
            found[serial] = f"/dev/{name}"
    return found


def fact(path: str) -> str:
    """One line of a file in /proc or /sys."""
    return _text(path)


def _load(group: str) -> None:
    names: "Iterable[str]" = jsontext.loads(_bytes(f"{HOME}/modules.json"))[group]
    for name in names:
        reboot.load_module(f"{HOME}/modules/{name}.ko")


def _text(path: str) -> str:
    try:
        return _bytes(path).decode("utf-8", "replace").strip()
    except FileNotFoundError:
        return ""


def _bytes(path: str) -> bytes:
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return os.read(fd, 65536)
    finally:
        os.close(fd)
