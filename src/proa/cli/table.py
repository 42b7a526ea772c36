"""Columns as docker prints them: Go's tabwriter with cells of at least 10 characters and 3 spaces between."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

_LEAST = 10
_BETWEEN = 3


def render(rows: "Sequence[str]") -> str:
    """``rows``, each with tabs between its cells, as lines with aligned columns. The last cell is never padded."""
    cells = [row.split("\t") for row in rows]
    widths = _widths(cells)
    lines = []
    for row in cells:
        padded = [cell.ljust(widths[index]) for index, cell in enumerate(row[:-1])]
        lines.append("".join(padded) + row[-1] + "\n")
    return "".join(lines)


def _widths(cells: "Sequence[Sequence[str]]") -> list[int]:
    widths: list[int] = []
    for row in cells:
        for index, cell in enumerate(row[:-1]):
            if index == len(widths):
                widths.append(_LEAST)
            widths[index] = max(widths[index], len(cell) + _BETWEEN)
    return widths


def shorten(text: str, width: int) -> str:
    """At most ``width`` characters, the last of them ``…`` where something was cut off."""
    return text if len(text) <= width else text[: width - 1] + "…"


def quote(text: str) -> str:
    """As Go's strconv.Quote: in double quotes, control characters escaped."""
    out = []
    for char in text:
        out.append(_ESCAPES.get(char) or (char if char.isprintable() else _escape(char)))
    return '"' + "".join(out) + '"'


_ESCAPES = {
    '"': '\\"', "\\": "\\\\", "\a": "\\a", "\b": "\\b", "\f": "\\f", "\n": "\\n", "\r": "\\r", "\t": "\\t",
    "\v": "\\v", " ": " ",
}  # fmt: skip


def _escape(char: str) -> str:
    code = ord(char)
    if code < 0x80:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code < 0x10000 else f"\\U{code:08x}"
