"""What a machine says: its serial console and QEMU's own messages, on one socket, of which only the end is kept."""

import os

KEPT = 16384
_LINES = 8
_READS = 64


class Console:
    """Reads a non-blocking descriptor; ``text`` is the last ``KEPT`` bytes. A guest may write for ever."""

    __slots__ = ("fd", "text")

    def __init__(self, fd: int) -> None:
        os.set_blocking(fd, False)
        self.fd = fd
        self.text = b""

    def drain(self) -> bool:
        """Take what is there (not for ever: a guest may write faster); False at the end of file."""
        for _ in range(_READS):
            try:
                data = os.read(self.fd, 65536)
            except BlockingIOError:
                return True
            except OSError:
                return False
            if not data:
                return False
            self.text = (self.text + data)[-KEPT:]
        return True

    def last_words(self) -> str:
        """The last few lines, printable."""
        lines = [line.strip() for line in self.text.decode("ascii", "replace").splitlines()]
        words = [line for line in lines if line][-_LINES:]
        return "\n".join("".join(char if char.isprintable() else "?" for char in line) for line in words)
