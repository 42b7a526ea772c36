"""The jail that QEMU runs in, built by the shim's child from within, before QEMU's first instruction.

It is made as if it were the only wall (QEMU's policy: emulation is no security boundary). What it consists of:

    where root may      a user id of the VM's own; new mount, pid, net, ipc, uts and cgroup namespaces; a private
                        read-only root that holds QEMU's files and nothing else; no capabilities
    everywhere          no_new_privs; Landlock: reads of QEMU's files only, no TCP, no signals or abstract sockets to
                        the outside; a seccomp filter (``jailfilter``); limits; no descriptors but the VM's own

Files of the VM itself (disks, memory, sockets) come as descriptors, never as paths: disks in descriptor sets, memory as
a memfd, which /proc/self/fd may open again. The order is fixed by what takes rights away: mounts, limits, user, death
signal, no_new_privs, Landlock, filter, execve.

    parent = os.pidfd_open(os.getpid())    in the shim, single-threaded
    pid, pidfd = jail.fork(value)
    if not pid:                            in the child, which must never return to the shim's code
        …                                  the VM's descriptors at 0 … n, all others but ``parent`` closed
        program = jail.confine(value, parent)
        os.execve(program, argv, env)      the one execve that is still possible; argv[0] is value["program"]

The value is plain JSON, made by ``confinement`` in the engine; this file is on the shim's light diet.
"""

import fcntl
import os
import resource
import select

from ...linux import capability, clone, landlock, mount, mounttree, namespaces, prctl, seccomp
from ...linux.arch import MACHINE
from . import jailfilter

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import TypedDict

    class Jail(TypedDict):
        """``program``: what is started (argv[0]); ``executes``: it and its loader; ``reads``: files and directories
        that may be read; ``devices``: device nodes that may be used; ``namespaces``: new ones may be made; ``uid``:
        the VM's user and group, -1 to stay; ``groups``: further groups (for devices); ``root``: an empty or unneeded
        directory on which the private root is mounted; ``network``: internet sockets are needed; ``file_size``: bytes,
        how far a file may be written."""

        program: str
        executes: list[str]
        reads: list[str]
        devices: list[str]
        namespaces: bool
        uid: int
        groups: list[int]
        root: str
        network: bool
        file_size: int


OPEN_MAX = 512
"""Limit on open files inside the jail."""
EXEC_FD = 1000
"""The program's descriptor: above OPEN_MAX, so that this number can never be had again."""
_PROCESSES_MAX = 512  # threads of a user of the VM's own: virtual CPUs and at most 64 workers a disk
_NAMESPACES = (
    namespaces.CLONE_NEWNS
    | namespaces.CLONE_NEWPID
    | namespaces.CLONE_NEWNET
    | namespaces.CLONE_NEWIPC
    | namespaces.CLONE_NEWUTS
    | namespaces.CLONE_NEWCGROUP
)
_SIGKILL = 9


def fork(jail: "Jail") -> "tuple[int, int]":
    """(pid, pidfd) in the shim, (0, -1) in the child, which is born in the jail's namespaces. Raises OSError."""
    if jail["namespaces"]:
        return clone.clone(_NAMESPACES)
    pid = os.fork()  # clone3 may be missing here (ENOSYS on the floor)
    return (pid, os.pidfd_open(pid)) if pid else (0, -1)


def confine(jail: "Jail", parent: int) -> int:
    """Shut the jail around this process; returns the descriptor (close-on-exec) of the program that it must become.

    ``parent``: a pidfd of the shim, opened before the fork: the jail ends with it. Raises OSError: the jail is not
    shut, the process must exit.
    """
    program = _hold_program(jail["program"])
    if jail["namespaces"]:
        _private_root(jail)
    _limit(jail, program)
    if jail["uid"] >= 0:
        _become(jail["uid"], jail["groups"])
    _drop_capabilities()
    _die_with(parent)
    prctl.no_new_privileges()
    _restrict_files(jail)
    seccomp.Filter(jailfilter.build(MACHINE, os.getpid(), program, jail["network"])).load()
    return program


def _hold_program(path: str) -> int:
    """The program at EXEC_FD (or as high as the limits let it), whatever becomes of its path."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    number = EXEC_FD if hard == resource.RLIM_INFINITY else min(EXEC_FD, hard - 1)
    if soft != resource.RLIM_INFINITY and soft <= number:
        resource.setrlimit(resource.RLIMIT_NOFILE, (number + 1, hard))
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        return fcntl.fcntl(fd, fcntl.F_DUPFD_CLOEXEC, number)
    finally:
        os.close(fd)


def _private_root(jail: "Jail") -> None:
    """A root of nothing but QEMU's files, under the paths that they have on the host; /proc of this pid namespace."""
    trees = [(path, mounttree.open_tree(path)) for path in _tops([*jail["reads"], *jail["executes"]])]
    devices = [(path, mounttree.open_tree(path)) for path in ["/dev/null", "/dev/urandom", *jail["devices"]]]
    mount.mount("", "/", flags=mount.MS_REC | mount.MS_PRIVATE)
    mount.mount("proa-jail", jail["root"], "tmpfs", mount.MS_NOSUID | mount.MS_NODEV, "mode=755,size=1m")
    os.chdir(jail["root"])
    os.mkdir("proc")
    for path, tree in trees:
        _place(path, tree)
    root = os.open(".", os.O_PATH | os.O_CLOEXEC)
    readonly = mounttree.MOUNT_ATTR_RDONLY | mounttree.MOUNT_ATTR_NOSUID | mounttree.MOUNT_ATTR_NODEV
    for path, tree in devices:
        _prepare(path, tree)
    mounttree.set_attributes(root, readonly, recursive=True)
    for path, tree in devices:
        _attach(path, tree)
    flags = mount.MS_NOSUID | mount.MS_NODEV | mount.MS_NOEXEC
    mount.mount("proc", "proc", "proc", flags, "subset=pid")
    os.close(root)
    mount.pivot_root(".", ".")
    mount.umount(".", mount.MNT_DETACH)
    os.chdir("/")


def _tops(paths: "list[str]") -> "list[str]":
    """``paths`` without those that lie below others: these come along with them."""
    found: list[str] = []
    for path in sorted(paths):
        if not found or not (path == found[-1] or path.startswith(found[-1] + "/")):
            found.append(path)
    return found


def _place(path: str, tree: int) -> None:
    _prepare(path, tree)
    _attach(path, tree)


def _prepare(path: str, tree: int) -> None:
    """An empty file or directory at ``path`` below the working directory, of the kind that ``tree`` is."""
    relative = path.lstrip("/")
    folder = relative.rpartition("/")[0]
    if folder:
        os.makedirs(folder, mode=0o755, exist_ok=True)
    if os.stat(tree).st_mode & 0o170000 == 0o040000:
        os.makedirs(relative, mode=0o755, exist_ok=True)
    else:
        os.close(os.open(relative, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o644))


def _attach(path: str, tree: int) -> None:
    target = os.open(path.lstrip("/"), os.O_PATH | os.O_CLOEXEC)
    mounttree.move_mount(tree, target)
    os.close(target)
    os.close(tree)


def _limit(jail: "Jail", program: int) -> None:
    """setrlimit(2): hard limits, which nothing inside can raise again; ``program`` must lie above that on files."""
    limits = [
        (resource.RLIMIT_NOFILE, min(OPEN_MAX, program)),
        (resource.RLIMIT_CORE, 0),
        (resource.RLIMIT_FSIZE, jail["file_size"]),
    ]
    if jail["uid"] >= 0:  # elsewhere the limit would count the user's other processes too
        limits.append((resource.RLIMIT_NPROC, _PROCESSES_MAX))
    for number, value in limits:
        _soft, hard = resource.getrlimit(number)
        wanted = value if hard == resource.RLIM_INFINITY else min(value, hard)
        resource.setrlimit(number, (wanted, wanted))


def _become(uid: int, groups: "list[int]") -> None:
    try:
        capability.drop_bounding(0)
    except PermissionError:
        pass  # without CAP_SETPCAP; no_new_privs lets nobody gain by it
    os.setgroups(groups)
    os.setresgid(uid, uid, uid)
    os.setresuid(uid, uid, uid)


def _drop_capabilities() -> None:
    """All of them; for an ordinary user there are none, and for uid 0 without any this changes nothing."""
    capability.set_ambient(0)
    capability.set(0, 0, 0)


def _die_with(parent: int) -> None:
    """SIGKILL when the shim ends; after the last change of credentials, and not too late."""
    prctl.death_signal(_SIGKILL)
    poll = select.poll()
    poll.register(parent, select.POLLIN)
    if poll.poll(0):
        os._exit(137)


def _restrict_files(jail: "Jail") -> None:
    """Landlock, as far as this kernel has it: rules for what may be read, executed, used; the rest is denied."""
    if not landlock.abi():
        return
    tcp = 0 if jail["network"] else landlock.ALL_TCP
    rules = landlock.Ruleset(landlock.ALL_FILES, tcp, landlock.ALL_SCOPES)
    for path in jail["reads"]:
        _allow(rules, path, landlock.READ)
    for path in jail["executes"]:
        _allow(rules, path, landlock.READ_FILE | landlock.EXECUTE)
    for path in ("/dev/null", "/dev/urandom", *jail["devices"]):
        _allow(rules, path, landlock.READ_FILE | landlock.WRITE_FILE | landlock.IOCTL_DEV)
    rules.restrict()


def _allow(rules: "landlock.Ruleset", path: str, rights: int) -> None:
    try:
        fd = os.open(path, os.O_PATH | os.O_CLOEXEC)
    except FileNotFoundError:
        return
    if os.stat(fd).st_mode & 0o170000 != 0o040000:
        rights &= ~landlock.READ_DIR
    try:
        rules.allow_path(fd, rights)
    finally:
        os.close(fd)
