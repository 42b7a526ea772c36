"""reboot(2) and finit_module(2): what only a machine's process 1 does."""

import ctypes
import os

from . import libc

_RB_POWER_OFF = 0x4321FEDC
_RB_AUTOBOOT = 0x01234567

_reboot = libc.function("reboot", ctypes.c_int)
_finit_module = libc.syscall("finit_module", ctypes.c_int, ctypes.c_char_p, ctypes.c_int)


def power_off() -> None:
    """Switch the machine off, without syncing."""
    libc.check(_reboot(ctypes.c_int(_RB_POWER_OFF).value), "reboot")


def restart() -> None:
    """Restart the machine, without syncing."""
    libc.check(_reboot(_RB_AUTOBOOT), "reboot")


def load_module(path: str, parameters: str = "") -> None:
    """Load a kernel module file."""
    fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    try:
        libc.check(_finit_module(fd, parameters.encode(), 0), "finit_module", path)
    finally:
        os.close(fd)
