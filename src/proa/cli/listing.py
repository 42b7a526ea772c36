"""``--format`` of the commands that print one row for each thing: table, json, a template, a table of a template."""

from .jsonview import row
from .output import text
from .table import render
from .template import Template, closed, fields

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from typing import Any


def show(rows: "Sequence[dict[str, Any]]", format: str, default: str, heads: "Mapping[str, str]") -> None:
    """Print ``rows`` by ``format`` ("" is "table"); ``default``: a plain table's template, ``heads``: its titles."""
    format = format or "table"
    if format == "json":
        text("".join(row(each) + "\n" for each in rows))
    elif format == "table" or format.startswith("table "):
        _table(rows, format[6:].strip() or default, heads)
    else:
        template = Template(format)
        text("".join(template.render(closed(row)) + "\n" for row in rows))


def _table(rows: "Sequence[dict[str, Any]]", text_: str, heads: "Mapping[str, str]") -> None:
    template = Template(text_)
    head = Template(text_).render({name: heads.get(name, name.upper()) for name in _names(text_)})
    text(render([head, *(template.render(closed(row)) for row in rows)]))


def _names(template: str) -> list[str]:
    return [name.partition(".")[0] for name in fields(template)]
