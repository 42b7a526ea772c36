"""The seccomp filter that QEMU is started under: loaded before its first instruction, for good.

QEMU's own ``-sandbox`` comes later, when its options have been read. This filter denies what a QEMU of ours never
needs and an intruder would: starting programs and processes, reaching into others, namespaces, mounts, keys, BPF,
io_uring (whose operations no filter sees) and, without a network, every socket. EPERM, so that a library that only
tries goes on; ENOSYS where the C library then takes an older call; the calls of other architectures kill.

The one execve(2) still to come, QEMU's, is let through by its form: execveat of one descriptor number that cannot come
into being again, because it lies above the limit on open files set just before. What Landlock lets be executed bounds
the rest. Classic BPF: seccomp(2), linux/filter.h.

One rule saves memory: QEMU asks for huge pages for each block of memory of a machine, so that a firmware table of some
KB in a block of 2 MiB takes all of it. It gets them for translated code and RAM, where they are worth it.
"""

import struct

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable

_ARCHITECTURES = {"x86_64": (0, 0xC000003E), "aarch64": (1, 0xC00000B7)}
_X32 = 0x40000000
_CLONE_THREAD = 0x10000
_AT_EMPTY_PATH = 0x1000
_AF_INET, _AF_INET6 = 2, 10
_MADV_HUGEPAGE = 14
HUGE_MIN = 32 << 20
"""Bytes that a block must have to be backed by huge pages."""
_EPERM, _ENOSYS = 1, 38

_LOAD, _EQUAL, _AT_LEAST, _HAS_BITS, _RETURN = 0x20, 0x15, 0x35, 0x45, 0x06
_ALLOW, _ERRNO, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_NUMBER, _ARCHITECTURE = 0, 4  # offsets in struct seccomp_data; the arguments follow, 8 bytes each

_NONE = -1  # a call that this architecture does not have

DENIED = {
    # programs and processes
    "execve": (59, 221), "fork": (57, _NONE), "vfork": (58, _NONE),
    # others, by number or descriptor
    "ptrace": (101, 117), "process_vm_readv": (310, 270), "process_vm_writev": (311, 271), "kcmp": (312, 272),
    "kill": (62, 129), "tkill": (200, 130), "rt_sigqueueinfo": (129, 138), "rt_tgsigqueueinfo": (297, 240),
    "pidfd_open": (434, 434), "pidfd_send_signal": (424, 424), "pidfd_getfd": (438, 438),
    "process_madvise": (440, 440), "process_mrelease": (448, 448), "migrate_pages": (256, 238),
    "move_pages": (279, 239), "setpriority": (141, 140), "ioprio_set": (251, 30),
    # namespaces, mounts, roots
    "unshare": (272, 97), "setns": (308, 268), "mount": (165, 40), "umount2": (166, 39), "pivot_root": (155, 41),
    "chroot": (161, 51), "open_tree": (428, 428), "move_mount": (429, 429), "fsopen": (430, 430),
    "fsconfig": (431, 431), "fsmount": (432, 432), "fspick": (433, 433), "mount_setattr": (442, 442),
    "open_by_handle_at": (304, 265), "name_to_handle_at": (303, 264), "quotactl": (179, 60), "swapon": (167, 224),
    # the kernel itself
    "bpf": (321, 280), "perf_event_open": (298, 241), "userfaultfd": (323, 282), "init_module": (175, 105),
    "finit_module": (313, 273), "delete_module": (176, 106), "kexec_load": (246, 104), "kexec_file_load": (320, 294),
    "reboot": (169, 142), "syslog": (103, 116), "acct": (163, 89), "settimeofday": (164, 170),
    "clock_settime": (227, 112), "adjtimex": (159, 171), "clock_adjtime": (305, 266), "iopl": (172, _NONE),
    "ioperm": (173, _NONE), "modify_ldt": (154, _NONE), "add_key": (248, 217), "request_key": (249, 218),
    "keyctl": (250, 219), "personality": (135, 92), "fanotify_init": (300, 262), "lookup_dcookie": (212, 18),
    # calls that hide calls
    "io_uring_setup": (425, 425), "io_uring_enter": (426, 426), "io_uring_register": (427, 427),
}  # fmt: skip
_SOCKETS = {"connect": (42, 203), "bind": (49, 200), "listen": (50, 201)}
_SOCKET, _CLONE, _CLONE3, _EXECVEAT, _TGKILL = (41, 198), (56, 220), (435, 435), (322, 281), (234, 131)
_MADVISE = (28, 233)


def build(machine: str, pid: int, exec_fd: int, network: bool) -> bytes:
    """The filter for a QEMU that has ``pid`` (as it sees itself) and is started by execveat(``exec_fd``).

    ``network``: internet sockets are allowed (user-mode networking). Raises KeyError for an unknown ``machine``.
    """
    column, architecture = _ARCHITECTURES[machine]
    code = [
        _op(_LOAD, _ARCHITECTURE),
        _op(_EQUAL, architecture, 1, 0),
        _op(_RETURN, _KILL),
        _op(_LOAD, _NUMBER),
    ]
    if machine == "x86_64":
        code += [_op(_AT_LEAST, _X32, 0, 1), _op(_RETURN, _KILL)]
    code += _deny(calls[column] for calls in DENIED.values())
    if not network:
        code += _deny(calls[column] for calls in _SOCKETS.values())
    code += _case(_CLONE3[column], [_op(_RETURN, _ERRNO | _ENOSYS)])
    code += _case(_CLONE[column], [_argument(0), _op(_HAS_BITS, _CLONE_THREAD, 0, 1), *_allow(), *_refuse()])
    code += _case(_TGKILL[column], [*_only(0, pid), *_allow()])
    code += _case(_EXECVEAT[column], [*_only(0, exec_fd), *_only(4, _AT_EMPTY_PATH), *_allow()])
    code += _case(_MADVISE[column], _huge_pages())
    code += _case(_SOCKET[column], _families() if network else _refuse())
    return b"".join([*code, *_allow()])


def _op(code: int, value: int, true: int = 0, false: int = 0) -> bytes:
    return struct.pack("<HBBI", code, true, false, value)


def _argument(number: int, high: bool = False) -> bytes:
    """Load half of an argument; the low one is all that the kernel looks at for an int."""
    return _op(_LOAD, 16 + 8 * number + 4 * high)


def _allow() -> "list[bytes]":
    return [_op(_RETURN, _ALLOW)]


def _refuse() -> "list[bytes]":
    return [_op(_RETURN, _ERRNO | _EPERM)]


def _deny(numbers: "Iterable[int]") -> "list[bytes]":
    code: list[bytes] = []
    for number in numbers:
        if number != _NONE:
            code += [_op(_EQUAL, number, 0, 1), *_refuse()]
    return code


def _case(number: int, body: "list[bytes]") -> "list[bytes]":
    """``body`` for one call; it must return on every path."""
    return [_op(_EQUAL, number, 0, len(body)), *body]


def _only(argument: int, value: int) -> "list[bytes]":
    """Refuse unless an argument has this value; go on otherwise."""
    return [_argument(argument), _op(_EQUAL, value, 1, 0), *_refuse()]


def _families() -> "list[bytes]":
    return [_argument(0), _op(_EQUAL, _AF_INET, 2, 0), _op(_EQUAL, _AF_INET6, 1, 0), *_refuse(), *_allow()]


def _huge_pages() -> "list[bytes]":
    length = [_argument(1, high=True), _op(_EQUAL, 0, 0, 2), _argument(1), _op(_AT_LEAST, HUGE_MIN, 0, 1), *_allow()]
    return [_argument(2), _op(_EQUAL, _MADV_HUGEPAGE, 1, 0), *_allow(), *length, *_refuse()]
