"""The terminal that the command was typed in: raw mode with a sure way back, and its size.

termios is loaded where there is a terminal to work on: most commands have none.
"""

import posix

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_IFLAG, _OFLAG, _CFLAG, _LFLAG, _CC = 0, 1, 2, 3, 6


class Terminal:
    """Standard input's terminal. ``restore`` may be called any number of times, from a signal handler too."""

    __slots__ = ("_before", "_fd")

    def __init__(self, fd: int = 0) -> None:
        self._fd = fd
        self._before: list[Any] | None = None

    def raw(self) -> None:
        """As cfmakeraw(3): every byte goes through, both ways, unchanged. Nothing where there is no terminal."""
        if self._before is not None or not posix.isatty(self._fd):
            return
        import termios

        before = termios.tcgetattr(self._fd)
        mode = [*before[:_CC], list(before[_CC])]
        mode[_IFLAG] &= ~(
            termios.IGNBRK | termios.BRKINT | termios.PARMRK | termios.ISTRIP
            | termios.INLCR | termios.IGNCR | termios.ICRNL | termios.IXON
        )  # fmt: skip
        mode[_OFLAG] &= ~termios.OPOST
        mode[_LFLAG] &= ~(termios.ECHO | termios.ECHONL | termios.ICANON | termios.ISIG | termios.IEXTEN)
        mode[_CFLAG] = mode[_CFLAG] & ~(termios.CSIZE | termios.PARENB) | termios.CS8
        mode[_CC][termios.VMIN] = 1
        mode[_CC][termios.VTIME] = 0
        self._before = before
        termios.tcsetattr(self._fd, termios.TCSANOW, mode)

    def restore(self) -> None:
        """The modes that ``raw`` found."""
        before, self._before = self._before, None
        if before is not None:
            import termios

            try:
                termios.tcsetattr(self._fd, termios.TCSANOW, before)
            except termios.error:
                pass  # the terminal has hung up: nobody is left to see its modes


def size(fd: int = 1) -> tuple[int, int] | None:
    """(rows, columns) of the terminal at ``fd``; None where there is none or it does not know."""
    if not posix.isatty(fd):
        return None
    import termios

    try:
        rows, columns = termios.tcgetwinsize(fd)
    except termios.error:
        return None
    return (rows, columns) if rows and columns else None
