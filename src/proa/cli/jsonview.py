"""JSON for reading: characters beyond ASCII as they are; on one line, or indented as ``docker inspect`` prints it."""

import _json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def _unknown(value: object) -> object:
    raise TypeError(f"not JSON: {type(value).__name__}")


_encode = _json.make_encoder(None, _unknown, _json.encode_basestring, None, ":", ",", False, False, False)


def compact(value: "Any") -> str:
    """``value`` on one line, without spaces."""
    return "".join(_encode(value, 0))


def row(value: "dict[str, Any]") -> str:
    """A row of ``--format json``: keys in order, and what HTML takes for markup escaped, as Go does it."""
    text = compact(dict(sorted(value.items())))
    return text.replace("&", "\\u0026").replace("<", "\\u003c").replace(">", "\\u003e")


def indented(value: "Any", before: str = "") -> str:
    """``value`` indented by four spaces, without a newline at its end."""
    inner = before + "    "
    if isinstance(value, dict) and value:
        rows = [f"{inner}{compact(key)}: {indented(item, inner)}" for key, item in value.items()]
        return "{\n" + ",\n".join(rows) + f"\n{before}}}"
    if isinstance(value, list) and value:
        rows = [inner + indented(item, inner) for item in value]
        return "[\n" + ",\n".join(rows) + f"\n{before}]"
    return compact(value)
