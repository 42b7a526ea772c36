"""Plays the floor: the most locked-down host on which Proa still runs a VM. Run as root; execs a command in it.

    launch.py [--uid N] [--caps none|docker] [--home DIR] -- COMMAND…

What the command finds: uid 65534 (or ``--uid 0`` with no capability, or a container's usual ones without SYS_ADMIN),
no new privileges, no /dev/kvm, a read-only /sys, no XDG_RUNTIME_DIR, a private HOME, and a seccomp filter, loaded
before the first instruction of the command, that answers EPERM to unshare, setns, mounts in all their forms,
pivot_root, chroot and clone with NEW* flags, ENOSYS to clone3 and to every other architecture's calls.

Only the standard library; the mount namespace it makes ends with the command.
"""

import argparse
import ctypes
import os
import platform
import struct
import sys

EPERM, ENOSYS = 1, 38
NEW_FLAGS = 0x7E020080  # CLONE_NEW{NS,CGROUP,UTS,IPC,USER,PID,NET} and NEWTIME
DENIED = {  # system call: (x86_64, aarch64)
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "chroot": (161, 51), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    "open_tree_attr": (467, 467),
}  # fmt: skip
CLONE, CLONE3 = (56, 220), (435, 435)
ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
DOCKER_CAPS = (0, 1, 3, 4, 5, 6, 7, 8, 10, 13, 18, 27, 29, 31)
DEVICES = ("null", "zero", "full", "random", "urandom", "tty")

libc = ctypes.CDLL(None, use_errno=True)
libc.mount.argtypes = (ctypes.c_char_p, ctypes.c_char_p, ctypes.c_char_p, ctypes.c_ulong, ctypes.c_char_p)
libc.prctl.argtypes = (ctypes.c_int, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong, ctypes.c_ulong)

MS_RDONLY, MS_REMOUNT, MS_BIND, MS_REC, MS_PRIVATE = 1, 32, 4096, 16384, 1 << 18
PR_SET_KEEPCAPS, PR_SET_SECCOMP, PR_CAPBSET_DROP, PR_SET_NO_NEW_PRIVS, PR_CAP_AMBIENT = 8, 22, 24, 38, 47


def check(result, what):
    if result < 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number), what)


def mount(source, target, kind=None, flags=0, data=None):
    encoded = [None if value is None else os.fsencode(value) for value in (source, target, kind, data)]
    check(libc.mount(encoded[0], encoded[1], encoded[2], flags, encoded[3]), f"mount {target}")


def instruction(code, true, false, value):
    return struct.pack("<HBBI", code, true, false, value)


def program():
    """The filter, as classic BPF: seccomp(2)."""
    column, architecture = ARCHITECTURES[platform.machine()]
    load, equal, at_least, has_bits, answer = 0x20, 0x15, 0x35, 0x45, 0x06
    allow, refuse = 0x7FFF0000, 0x00050000
    lines = [
        instruction(load, 0, 0, 4),
        instruction(equal, 1, 0, architecture),
        instruction(answer, 0, 0, refuse | ENOSYS),
        instruction(load, 0, 0, 0),
    ]
    if column == 0:  # the x32 calls of x86_64
        lines += [instruction(at_least, 0, 1, 0x40000000), instruction(answer, 0, 0, refuse | ENOSYS)]
    for numbers in DENIED.values():
        lines += [instruction(equal, 0, 1, numbers[column]), instruction(answer, 0, 0, refuse | EPERM)]
    lines += [
        instruction(equal, 0, 1, CLONE3[column]),
        instruction(answer, 0, 0, refuse | ENOSYS),
        instruction(equal, 0, 3, CLONE[column]),
        instruction(load, 0, 0, 16),
        instruction(has_bits, 0, 1, NEW_FLAGS),
        instruction(answer, 0, 0, refuse | EPERM),
        instruction(answer, 0, 0, allow),
    ]
    return b"".join(lines)


def hide_devices():
    """A /dev without kvm, in a mount namespace of our own; /sys read-only, as in a pod."""
    check(libc.unshare(0x00020000), "unshare")
    mount(None, "/", flags=MS_REC | MS_PRIVATE)
    mount("tmpfs", "/mnt", "tmpfs", data="mode=755")
    for name in DEVICES:
        with open(f"/mnt/{name}", "wb"):
            pass
        mount(f"/dev/{name}", f"/mnt/{name}", flags=MS_BIND)
    for name in ("pts", "shm"):
        os.mkdir(f"/mnt/{name}")
        mount(f"/dev/{name}", f"/mnt/{name}", flags=MS_BIND)
    for name, target in (
        ("fd", "/proc/self/fd"),
        ("stdin", "fd/0"),
        ("stdout", "fd/1"),
        ("stderr", "fd/2"),
        ("ptmx", "pts/ptmx"),
    ):
        os.symlink(target, f"/mnt/{name}")
    mount("/mnt", "/dev", flags=MS_BIND | MS_REC)
    for line in open("/proc/self/mountinfo"):
        point = line.split()[4]
        if point == "/sys" or point.startswith("/sys/"):
            mount(None, point, flags=MS_REMOUNT | MS_BIND | MS_RDONLY)
    libc.umount2(b"/mnt", 2)


def drop(uid, capabilities):
    for number in range(64):
        if number not in capabilities:
            libc.prctl(PR_CAPBSET_DROP, number, 0, 0, 0)
    libc.prctl(PR_CAP_AMBIENT, 4, 0, 0, 0)
    if uid:
        os.setgroups([])
        os.setresgid(uid, uid, uid)
        os.setresuid(uid, uid, uid)
    else:
        os.setgroups([])
        mask = sum(1 << number for number in capabilities)
        low, high = mask & 0xFFFFFFFF, mask >> 32
        header = struct.pack("<Ii", 0x20080522, 0)
        check(libc.capset(header, struct.pack("<6I", low, low, 0, high, high, 0)), "capset")
    check(libc.prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0), "no_new_privs")


def load_filter():
    code = program()
    buffer = ctypes.create_string_buffer(code)
    header = ctypes.create_string_buffer(struct.pack("<H6xQ", len(code) // 8, ctypes.addressof(buffer)))
    check(libc.prctl(PR_SET_SECCOMP, 2, ctypes.addressof(header), 0, 0), "seccomp")


def environment(home):
    kept = {name: value for name, value in os.environ.items() if not name.startswith("XDG_")}
    return {**kept, "HOME": home, "USER": "nobody", "TMPDIR": home} if home else kept


def main():
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--uid", type=int, default=65534)
    parser.add_argument("--caps", choices=("none", "docker"), default="none")
    parser.add_argument("--home", default="")
    parser.add_argument("command", nargs="+")
    options = parser.parse_args()
    if options.home:
        os.makedirs(options.home, exist_ok=True)
        os.chown(options.home, options.uid, options.uid)
    hide_devices()
    drop(options.uid, DOCKER_CAPS if options.caps == "docker" and options.uid == 0 else ())
    load_filter()
    os.execvpe(options.command[0], options.command, environment(options.home))


if __name__ == "__main__":
    sys.exit(main())
