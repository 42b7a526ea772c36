"""The profile as a BPF program, compiled by libseccomp through ctypes: once for each set of capabilities, then cached.

Used where bundles are made, never on the launch path and never in a guest: both only load the bytes. libseccomp's
numbers and its rules for multiplexed calls (socketcall, ipc) are the reference that Docker's users have.
"""

import ctypes
import errno
import os

from ..errors import HostCannot, Internal
from . import profile

_ACT_ALLOW = 0x7FFF0000
_ACT_ERRNO = 0x00050000
_ATTRIBUTE_OPTIMIZE = 8
_BINARY_TREE = 2  # a third of the default's time to load, and fewer instructions run per call
_UNKNOWN = -1  # __NR_SCMP_ERROR

_OPERATORS = {"<": 2, "==": 4, ">": 6, "&==": 7}

_ARCHITECTURES = {
    "x86_64": (0xC000003E, 0x40000003, 0x4000003E),  # x86_64, x86, x32
    "aarch64": (0xC00000B7, 0x40000028),  # aarch64, arm
}
"""SCMP_ARCH_ tokens by uname(2)'s machine, the native one first. Any other architecture's calls kill the thread."""


class _Comparison(ctypes.Structure):
    """struct scmp_arg_cmp."""

    _fields_ = (("arg", ctypes.c_uint), ("op", ctypes.c_int), ("a", ctypes.c_uint64), ("b", ctypes.c_uint64))


def compile(capabilities: "frozenset[str]", machine: str = "") -> bytes:
    """The filter for a program that holds ``capabilities`` (its bounding set): 8 bytes an instruction, seccomp(2).

    Raises HostCannot (no libseccomp, an architecture without a profile), Internal when libseccomp refuses a rule.
    """
    machine = machine or os.uname().machine
    if machine not in _ARCHITECTURES:
        raise HostCannot(f"no system call filter for {machine}", hull="container", missing="seccomp", input=machine)
    library = _library()
    context = library.seccomp_init(_ACT_ERRNO | profile.EPERM)
    if not context:
        raise Internal("libseccomp cannot make a filter")
    try:
        _fill(library, context, capabilities, machine)
        return _export(library, context)
    finally:
        library.seccomp_release(context)


def key(capabilities: "frozenset[str]", machine: str = "") -> str:
    """A file name for the compiled filter: equal keys mean equal filters, for this libseccomp. Raises HostCannot."""
    import hashlib  # the engine's alone

    machine = machine or os.uname().machine
    rules = list(profile.rules(profile.relevant(capabilities), machine))
    return hashlib.sha256(repr((machine, _version(_library()), rules)).encode()).hexdigest()[:24]


def _fill(library: ctypes.CDLL, context: int, capabilities: "frozenset[str]", machine: str) -> None:
    _check("optimise", library.seccomp_attr_set(context, _ATTRIBUTE_OPTIMIZE, _BINARY_TREE))
    for token in _ARCHITECTURES[machine]:
        code = library.seccomp_arch_add(context, token)
        _check("add an architecture", 0 if code == -errno.EEXIST else code)
    for name, error, conditions in profile.rules(capabilities, machine):
        number = library.seccomp_syscall_resolve_name(name.encode())
        if number == _UNKNOWN:
            continue
        action = _ACT_ERRNO | error if error else _ACT_ALLOW
        _check(f"add {name}", _add(library, context, action, number, conditions))


def _add(
    library: ctypes.CDLL, context: int, action: int, number: int, conditions: "tuple[profile.Condition, ...]"
) -> int:
    compared = (_Comparison * len(conditions))()
    for slot, (index, operator, value, second) in zip(compared, conditions):
        slot.arg, slot.op, slot.a, slot.b = index, _OPERATORS[operator], value, second
    return int(library.seccomp_rule_add_array(context, action, number, len(conditions), compared))


def _export(library: ctypes.CDLL, context: int) -> bytes:
    fd = os.memfd_create("proa-seccomp", os.MFD_CLOEXEC)
    try:
        _check("export", library.seccomp_export_bpf(context, fd))
        return os.pread(fd, os.fstat(fd).st_size, 0)
    finally:
        os.close(fd)


def _check(what: str, code: int) -> None:
    if code < 0:
        raise Internal(f"libseccomp cannot {what}: {os.strerror(-code)}")


_loaded: "list[ctypes.CDLL]" = []


def _library() -> ctypes.CDLL:
    if not _loaded:
        try:
            _loaded.append(_declare(ctypes.CDLL("libseccomp.so.2")))
        except OSError as problem:
            raise HostCannot(
                "libseccomp is missing: no default system call filter can be made",
                hull="container",
                missing="libseccomp.so.2",
                next_step="apt-get install libseccomp2",
            ) from problem
    return _loaded[0]


def _declare(library: ctypes.CDLL) -> ctypes.CDLL:
    context = ctypes.c_void_p
    signatures = {
        "seccomp_init": (context, (ctypes.c_uint32,)),
        "seccomp_release": (None, (context,)),
        "seccomp_attr_set": (ctypes.c_int, (context, ctypes.c_int, ctypes.c_uint32)),
        "seccomp_arch_add": (ctypes.c_int, (context, ctypes.c_uint32)),
        "seccomp_syscall_resolve_name": (ctypes.c_int, (ctypes.c_char_p,)),
        "seccomp_rule_add_array": (
            ctypes.c_int,
            (context, ctypes.c_uint32, ctypes.c_int, ctypes.c_uint, ctypes.POINTER(_Comparison)),
        ),
        "seccomp_export_bpf": (ctypes.c_int, (context, ctypes.c_int)),
        "seccomp_version": (ctypes.POINTER(ctypes.c_uint * 3), ()),
    }
    for name, (result, arguments) in signatures.items():
        function = getattr(library, name)
        function.restype, function.argtypes = result, arguments
    return library


def _version(library: ctypes.CDLL) -> "tuple[int, ...]":
    return tuple(library.seccomp_version().contents)
