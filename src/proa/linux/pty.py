"""pts(4): a terminal pair out of a given devpts, its slave opened by descriptor and never by name."""

import fcntl
import os
import struct
import termios

_TIOCSPTLCK = 0x40045431
_TIOCGPTN = 0x80045430
_TIOCGPTPEER = 0x5441
_PTMX = os.makedev(5, 2)
_S_IFMT, _S_IFCHR = 0o170000, 0o020000


def pair(master: int) -> "tuple[int, int]":
    """(slave, its number) of the open ``ptmx``; the caller owns the slave. Raises OSError for what is no ptmx."""
    info = os.fstat(master)
    if info.st_mode & _S_IFMT != _S_IFCHR or info.st_rdev != _PTMX:
        raise OSError(25, "not a pseudo-terminal multiplexer")  # ENOTTY
    fcntl.ioctl(master, _TIOCSPTLCK, struct.pack("i", 0))
    (number,) = struct.unpack("i", fcntl.ioctl(master, _TIOCGPTN, b"\0\0\0\0"))
    return fcntl.ioctl(master, _TIOCGPTPEER, os.O_RDWR | os.O_NOCTTY | os.O_CLOEXEC), number


def resize(fd: int, height: int, width: int) -> None:
    """Set the window size; the foreground process group is sent SIGWINCH."""
    fcntl.ioctl(fd, termios.TIOCSWINSZ, struct.pack("4H", height, width, 0, 0))


def control(fd: int) -> None:
    """Make the terminal ``fd`` the controlling one of this session, which this process leads."""
    fcntl.ioctl(fd, termios.TIOCSCTTY, 0)
