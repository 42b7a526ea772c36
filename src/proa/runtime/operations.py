"""The operations that build a container's root and its names.  See ``operation``."""

import errno
import os

from ..linux import mount as m
from ..linux import mounttree as tree
from ..linux import uname
from . import defaults, mounting
from .failure import quote
from .operation import Operation, Setup
from .options import Options
from .root import Root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from ..oci.runtime import Device, Mount

_S_IFCHR, _S_IFBLK, _S_IFIFO = 0o020000, 0o060000, 0o010000
_TYPES = {"c": _S_IFCHR, "u": _S_IFCHR, "b": _S_IFBLK, "p": _S_IFIFO}


class Detach(Operation):
    """From here on, nothing that is mounted is seen outside."""

    def describe(self) -> str:
        return "making / a slave"

    def execute(self, setup: Setup) -> None:
        m.mount("none", "/", "", m.MS_REC | m.MS_SLAVE)


class RootMount(Operation):
    """One mount that makes the root, at an absolute path of the host."""

    __slots__ = ("mount",)

    def __init__(self, mount: "Mount") -> None:
        self.mount = mount

    def describe(self) -> str:
        return f"mounting {self.mount.get('type', 'bind')} as rootfs at {quote(self.mount['destination'])}"

    def execute(self, setup: Setup) -> None:
        options = Options(self.mount.get("options", ()))
        type, source = self.mount.get("type", ""), self.mount.get("source", "")
        m.mount(source or type, self.mount["destination"], type, options.flags, options.data)


class BindRoot(Operation):
    """Make a plain directory a mount, as pivot_root(2) wants it."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path

    def describe(self) -> str:
        return f"binding rootfs {quote(self.path)}"

    def execute(self, setup: Setup) -> None:
        m.mount(self.path, self.path, "", m.MS_BIND | m.MS_REC)


class OpenRoot(Operation):
    """Hold the root; all later paths are resolved inside it."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path

    def describe(self) -> str:
        return f"opening rootfs {quote(self.path)}"

    def execute(self, setup: Setup) -> None:
        setup.root = Root(self.path)


class MountInside(Operation):
    """One mount of the spec. ``hierarchies``: what a mount of type cgroup shows."""

    __slots__ = ("hierarchies", "mount")

    def __init__(self, mount: "Mount", hierarchies: "Sequence[str]" = ()) -> None:
        self.mount = mount
        self.hierarchies = hierarchies

    def describe(self) -> str:
        source = self.mount.get("source") or self.mount.get("type", "")
        return f"mounting {quote(source)} to rootfs at {quote(self.mount['destination'])}"

    def execute(self, setup: Setup) -> None:
        options = Options(self.mount.get("options", ()))
        type, source = self.mount.get("type", ""), self.mount.get("source", "")
        destination = self.mount["destination"].rstrip("/")
        if type == "bind" or options.flags & m.MS_BIND:
            mounting.bind(source, options, setup.root, destination)
        elif type == "cgroup":
            mounting.hierarchies(self.hierarchies, options, setup.root, destination)
        else:
            mounting.filesystem(type, source, options, setup.root, destination)


class Nodes(Operation):
    """Device nodes; bound from the host's where this process may not make them."""

    __slots__ = ("devices", "make")

    def __init__(self, devices: "Sequence[Device]", make: bool) -> None:
        self.devices = devices
        self.make = make

    def describe(self) -> str:
        return "creating device nodes"

    def execute(self, setup: Setup) -> None:
        held: dict[str, int] = {}
        for device in self.devices:
            parent, _, name = device["path"].rpartition("/")
            if parent not in held:
                held[parent] = setup.root.directory(parent or "/")
            if self.make:
                _make_node(device, name, held[parent])
            else:
                mounting.bind(device["path"], Options(("bind",)), setup.root, device["path"])
        for fd in held.values():
            os.close(fd)


def _make_node(device: "Device", name: str, parent: int) -> None:
    mode = _TYPES[device["type"]] | device.get("fileMode", 0o666) & 0o7777
    try:
        os.mknod(name, mode, os.makedev(device.get("major", 0), device.get("minor", 0)), dir_fd=parent)
    except FileExistsError:
        return
    uid, gid = device.get("uid", 0), device.get("gid", 0)
    if uid or gid:
        os.chown(name, uid, gid, dir_fd=parent, follow_symlinks=False)


_KCORE = "/proc/kcore"


class Links(Operation):
    """/dev/fd, /dev/stdin and so on."""

    def describe(self) -> str:
        return "creating symbolic links in /dev"

    def execute(self, setup: Setup) -> None:
        directory = setup.root.directory("/dev")
        for target, name in defaults.LINKS:
            if target == _KCORE and not os.access(target, os.F_OK):
                continue  # a kernel without CONFIG_PROC_KCORE
            try:
                os.symlink(target, name, dir_fd=directory)
            except FileExistsError:
                continue
        os.close(directory)


class Sysctl(Operation):
    """One kernel parameter of the container's own namespaces; validate has checked that it is one."""

    __slots__ = ("name", "value")

    def __init__(self, name: str, value: str) -> None:
        self.name = name
        self.value = value

    def describe(self) -> str:
        return f"setting sysctl {self.name}"

    def execute(self, setup: Setup) -> None:
        fd = os.open("/proc/sys/" + self.name.replace(".", "/"), os.O_WRONLY | os.O_CLOEXEC)
        try:
            os.write(fd, self.value.encode())
        finally:
            os.close(fd)


class WorkingDirectory(Operation):
    """Make the program's working directory where missing, as runc does."""

    __slots__ = ("path",)

    def __init__(self, path: str) -> None:
        self.path = path

    def describe(self) -> str:
        return f"creating working directory {quote(self.path)}"

    def execute(self, setup: Setup) -> None:
        try:
            os.close(setup.root.directory(self.path))
        except NotADirectoryError:
            return  # the program's chdir says it better


class ReadonlyRoot(Operation):
    """Make the root itself read-only; what is mounted below stays as it is."""

    def describe(self) -> str:
        return "making rootfs read-only"

    def execute(self, setup: Setup) -> None:
        tree.set_attributes(setup.root.fd, tree.MOUNT_ATTR_RDONLY)


class Pivot(Operation):
    """Let the root be the root, and the host's tree be gone."""

    def describe(self) -> str:
        return "pivoting to rootfs"

    def execute(self, setup: Setup) -> None:
        os.fchdir(setup.root.fd)
        try:
            m.pivot_root(".", ".")
        except OSError as problem:
            if problem.errno != errno.EINVAL or not _on_initramfs():
                raise
            m.mount(".", "/", "", m.MS_MOVE)
            os.chroot(".")
        else:
            m.umount(".", m.MNT_DETACH)
        os.chdir("/")


def _on_initramfs() -> bool:
    """Whether / is the kernel's first file system, which cannot be pivoted away: a guest's process 1 runs there."""
    with open("/proc/self/mountinfo", "rb") as table:
        return any(line.split()[4] == b"/" and b" - rootfs " in line for line in table)


class Names(Operation):
    """The container's host name and domain name."""

    __slots__ = ("domain", "host")

    def __init__(self, host: str, domain: str) -> None:
        self.host = host
        self.domain = domain

    def describe(self) -> str:
        return f"setting host name {quote(self.host)}"

    def execute(self, setup: Setup) -> None:
        if self.host:
            uname.set_hostname(self.host)
        if self.domain:
            uname.set_domainname(self.domain)
