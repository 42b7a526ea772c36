"""landlock(7) (Linux 5.13): a process gives up rights over files, TCP ports, signals, for itself and its children.

    ruleset = Ruleset(files=ALL_FILES, tcp=CONNECT | BIND, scope=ALL_SCOPES)   only what this kernel's ABI knows
    ruleset.allow_path(fd, READ)
    ruleset.restrict()                                                           needs no_new_privs

What a kernel does not know is left out of the ruleset, and ``Ruleset`` says what it really handles.
"""

import ctypes
import os

from . import libc

EXECUTE = 1 << 0
WRITE_FILE = 1 << 1
READ_FILE = 1 << 2
READ_DIR = 1 << 3
REMOVE_DIR = 1 << 4
REMOVE_FILE = 1 << 5
MAKE_CHAR = 1 << 6
MAKE_DIR = 1 << 7
MAKE_REG = 1 << 8
MAKE_SOCK = 1 << 9
MAKE_FIFO = 1 << 10
MAKE_BLOCK = 1 << 11
MAKE_SYM = 1 << 12
REFER = 1 << 13  # ABI 2
TRUNCATE = 1 << 14  # ABI 3
IOCTL_DEV = 1 << 15  # ABI 5
ALL_FILES = (1 << 16) - 1
READ = READ_FILE | READ_DIR

BIND = 1 << 0  # ABI 4
CONNECT = 1 << 1  # ABI 4
ALL_TCP = BIND | CONNECT

ABSTRACT_SOCKETS = 1 << 0  # ABI 6
SIGNALS = 1 << 1  # ABI 6
ALL_SCOPES = ABSTRACT_SOCKETS | SIGNALS

_CREATE_RULESET_VERSION = 1
_RULE_PATH_BENEATH = 1
_RULE_NET_PORT = 2


class _RulesetAttr(ctypes.Structure):
    _fields_ = (
        ("handled_access_fs", ctypes.c_uint64),
        ("handled_access_net", ctypes.c_uint64),
        ("scoped", ctypes.c_uint64),
    )


class _PathBeneath(ctypes.Structure):
    _pack_ = 1
    _layout_ = "ms"  # from Python 3.14 on _pack_ must say so; for these two fields both layouts are the same
    _fields_ = (("allowed_access", ctypes.c_uint64), ("parent_fd", ctypes.c_int32))


class _NetPort(ctypes.Structure):
    _fields_ = (("allowed_access", ctypes.c_uint64), ("port", ctypes.c_uint64))


_create = libc.syscall("landlock_create_ruleset", ctypes.c_void_p, ctypes.c_size_t, ctypes.c_uint)
_add = libc.syscall("landlock_add_rule", ctypes.c_int, ctypes.c_int, ctypes.c_void_p, ctypes.c_uint)
_restrict = libc.syscall("landlock_restrict_self", ctypes.c_int, ctypes.c_uint)


def abi() -> int:
    """The version of this kernel's Landlock; 0 when it has none, or it is off."""
    return max(_create(None, 0, _CREATE_RULESET_VERSION), 0)


def files_of(version: int) -> int:
    """The file rights that a Landlock of this ABI version can handle."""
    last = {1: 12, 2: 13, 3: 14, 4: 14}.get(version, 15)
    return (1 << last + 1) - 1 if version else 0


class Ruleset:
    """What is denied unless a rule allows it. ``files``, ``tcp``, ``scope``: what is really handled here."""

    __slots__ = ("_fd", "files", "scope", "tcp")

    def __init__(self, files: int = ALL_FILES, tcp: int = 0, scope: int = 0) -> None:
        """Raises OSError (ENOSYS, EOPNOTSUPP) where there is no Landlock."""
        version = libc.check(_create(None, 0, _CREATE_RULESET_VERSION), "landlock_create_ruleset")
        self.files = files & files_of(version)
        self.tcp = tcp if version >= 4 else 0
        self.scope = scope if version >= 6 else 0
        attributes = _RulesetAttr(self.files, self.tcp, self.scope)
        size = 24 if version >= 6 else 16 if version >= 4 else 8
        self._fd = libc.check(_create(ctypes.addressof(attributes), size, 0), "landlock_create_ruleset")

    def allow_path(self, fd: int, rights: int) -> None:
        """Allow ``rights`` on the file that ``fd`` (O_PATH will do) holds, or on all beneath that directory."""
        rule = _PathBeneath(rights & self.files, fd)
        libc.check(_add(self._fd, _RULE_PATH_BENEATH, ctypes.addressof(rule), 0), "landlock_add_rule")

    def allow_port(self, port: int, rights: int) -> None:
        """Allow ``rights`` (BIND, CONNECT) on a TCP port."""
        if not rights & self.tcp:
            return
        rule = _NetPort(rights & self.tcp, port)
        libc.check(_add(self._fd, _RULE_NET_PORT, ctypes.addressof(rule), 0), "landlock_add_rule")

    def restrict(self) -> None:
        """Put this thread under the ruleset, for good. Needs no_new_privs or CAP_SYS_ADMIN. Uses the ruleset up."""
        try:
            libc.check(_restrict(self._fd, 0), "landlock_restrict_self")
        finally:
            self.close()

    def close(self) -> None:
        """Give the ruleset up, unused."""
        if self._fd >= 0:
            os.close(self._fd)
            self._fd = -1
