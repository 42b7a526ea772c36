"""What must differ between two machines that were restored from one memory: their time and their randomness."""

import os
import time

from ....linux import random

MACHINE_ID = "/run/machine-id"


def set_clock(nanoseconds: int) -> None:
    """Set the time of day; a restored machine has its template's."""
    time.clock_settime_ns(time.CLOCK_REALTIME, nanoseconds)


def reseed(seed: bytes) -> None:
    """Nothing random was handed out before this; everything after it is this machine's own."""
    random.reseed(seed)


def set_machine_id(text: str) -> None:
    """Write machine-id(5) where the program's root gets it from."""
    fd = os.open(MACHINE_ID, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o444)
    try:
        os.write(fd, text.encode() + b"\n")
    finally:
        os.close(fd)
