"""What must differ between two machines that were restored from one memory: their time and their randomness."""

import time

from ....linux import random


def set_clock(nanoseconds: int) -> None:
    """Set the time of day; a restored machine has its template's."""
    time.clock_settime_ns(time.CLOCK_REALTIME, nanoseconds)


def reseed(seed: bytes) -> None:
    """Nothing random was handed out before this; everything after it is this machine's own."""
    random.reseed(seed)
