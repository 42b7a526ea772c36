"""bpf(2): load a program and attach it to a cgroup. Sixty-four bit fields only, as linux/bpf.h lays them out."""

import ctypes
import struct

from . import libc

_PROG_LOAD = 5
_PROG_ATTACH = 8
PROG_TYPE_CGROUP_DEVICE = 15
CGROUP_DEVICE = 6
_ATTR_SIZE = 72

_bpf = libc.syscall("bpf", ctypes.c_int, ctypes.c_void_p, ctypes.c_uint)


def instruction(code: int, dst: int = 0, src: int = 0, offset: int = 0, value: int = 0) -> bytes:
    """One ``struct bpf_insn``."""
    return struct.pack("=BBhi", code, dst | src << 4, offset, value)


def load(type: int, code: bytes) -> int:
    """Load a program; the descriptor (close-on-exec) is the caller's. Raises OSError: EPERM without CAP_BPF."""
    body = ctypes.create_string_buffer(code, len(code))
    licence = ctypes.create_string_buffer(b"Apache-2.0")
    fields = struct.pack("=IIQQ", type, len(code) // 8, ctypes.addressof(body), ctypes.addressof(licence))
    attributes = ctypes.create_string_buffer(fields, _ATTR_SIZE)
    return libc.check(_bpf(_PROG_LOAD, ctypes.addressof(attributes), _ATTR_SIZE), "bpf(BPF_PROG_LOAD)")


def attach(program: int, directory: int, type: int) -> None:
    """Attach a loaded program to the cgroup v2 directory that ``directory`` holds open; it lives as long as that."""
    attributes = ctypes.create_string_buffer(struct.pack("=IIII", directory, program, type, 0), _ATTR_SIZE)
    libc.check(_bpf(_PROG_ATTACH, ctypes.addressof(attributes), _ATTR_SIZE), "bpf(BPF_PROG_ATTACH)")
