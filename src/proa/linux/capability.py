"""capabilities(7): capget(2), capset(2), and the sets that prctl(2) keeps (bounding, ambient). Sets are bit masks."""

import ctypes

from . import libc, prctl

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

NAMES = (
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_DAC_READ_SEARCH",
    "CAP_FOWNER",
    "CAP_FSETID",
    "CAP_KILL",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETPCAP",
    "CAP_LINUX_IMMUTABLE",
    "CAP_NET_BIND_SERVICE",
    "CAP_NET_BROADCAST",
    "CAP_NET_ADMIN",
    "CAP_NET_RAW",
    "CAP_IPC_LOCK",
    "CAP_IPC_OWNER",
    "CAP_SYS_MODULE",
    "CAP_SYS_RAWIO",
    "CAP_SYS_CHROOT",
    "CAP_SYS_PTRACE",
    "CAP_SYS_PACCT",
    "CAP_SYS_ADMIN",
    "CAP_SYS_BOOT",
    "CAP_SYS_NICE",
    "CAP_SYS_RESOURCE",
    "CAP_SYS_TIME",
    "CAP_SYS_TTY_CONFIG",
    "CAP_MKNOD",
    "CAP_LEASE",
    "CAP_AUDIT_WRITE",
    "CAP_AUDIT_CONTROL",
    "CAP_SETFCAP",
    "CAP_MAC_OVERRIDE",
    "CAP_MAC_ADMIN",
    "CAP_SYSLOG",
    "CAP_WAKE_ALARM",
    "CAP_BLOCK_SUSPEND",
    "CAP_AUDIT_READ",
    "CAP_PERFMON",
    "CAP_BPF",
    "CAP_CHECKPOINT_RESTORE",
)
"""Every capability by number (linux/capability.h)."""

BITS = {name: 1 << number for number, name in enumerate(NAMES)}

_VERSION_3 = 0x20080522
_PR_CAPBSET_READ = 23
_PR_CAPBSET_DROP = 24
_PR_CAP_AMBIENT = 47
_AMBIENT_RAISE = 2
_AMBIENT_CLEAR_ALL = 4


class _Header(ctypes.Structure):
    _fields_ = (("version", ctypes.c_uint32), ("pid", ctypes.c_int))


_Data = ctypes.c_uint32 * 6  # effective, permitted, inheritable: low words, then high words

_pointers = (ctypes.POINTER(_Header), ctypes.POINTER(_Data))
_capget = libc.syscall("capget", *_pointers)
_capset = libc.syscall("capset", *_pointers)
_header = _Header(_VERSION_3, 0)


def mask(names: "Iterable[str]") -> int:
    """The bit mask of capability names. Names that are not known are left out (the specification: warn, go on)."""
    bits = 0
    for name in names:
        bits |= BITS.get(name, 0)
    return bits


def names(bits: int) -> "list[str]":
    """The capability names in a bit mask."""
    return [name for name, bit in BITS.items() if bits & bit]


def get() -> "tuple[int, int, int]":
    """This thread's (effective, permitted, inheritable)."""
    data = _Data()
    libc.check(_capget(ctypes.byref(_header), ctypes.byref(data)), "capget")
    return data[0] | data[3] << 32, data[1] | data[4] << 32, data[2] | data[5] << 32


def set(effective: int, permitted: int, inheritable: int) -> None:
    """Set this thread's three sets."""
    low = 0xFFFFFFFF
    data = _Data(
        effective & low,
        permitted & low,
        inheritable & low,
        effective >> 32,
        permitted >> 32,
        inheritable >> 32,
    )
    libc.check(_capset(ctypes.byref(_header), ctypes.byref(data)), "capset")


def bounding() -> int:
    """The bounding set, as far as this kernel knows capabilities."""
    bits = 0
    for number in range(64):
        held = prctl.call(_PR_CAPBSET_READ, number)
        if held < 0:
            break
        bits |= held << number
    return bits


def drop_bounding(keep: int) -> None:
    """Drop all but ``keep`` from the bounding set. Needs CAP_SETPCAP."""
    for number in range(64):
        if keep >> number & 1:
            continue
        if prctl.call(_PR_CAPBSET_DROP, number) == -1:
            if ctypes.get_errno() == 22:  # EINVAL: past the last capability of this kernel
                return
            libc.fail("prctl(PR_CAPBSET_DROP)")


def set_ambient(bits: int) -> None:
    """Make ``bits`` the ambient set; they must be permitted and inheritable."""
    libc.check(prctl.call(_PR_CAP_AMBIENT, _AMBIENT_CLEAR_ALL), "prctl(PR_CAP_AMBIENT)")
    for number in range(bits.bit_length()):
        if bits >> number & 1:
            libc.check(prctl.call(_PR_CAP_AMBIENT, _AMBIENT_RAISE, number), "prctl(PR_CAP_AMBIENT)")
