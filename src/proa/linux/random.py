"""random(4): credit entropy and reseed at once. After a restore, two machines must not share a generator's state."""

import fcntl
import os
import struct

_RNDADDENTROPY = 0x40085203
_RNDRESEEDCRNG = 0x5207


def reseed(seed: bytes) -> None:
    """Mix ``seed`` into the pool, credit all its bits, and make the generator use it now. Needs CAP_SYS_ADMIN."""
    fd = os.open("/dev/urandom", os.O_RDWR | os.O_CLOEXEC)
    try:
        fcntl.ioctl(fd, _RNDADDENTROPY, struct.pack("ii", len(seed) * 8, len(seed)) + seed)
        fcntl.ioctl(fd, _RNDRESEEDCRNG)
    finally:
        os.close(fd)
