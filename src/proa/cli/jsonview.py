"""JSON for reading: indented by four spaces, as ``docker inspect`` prints it."""

from .. import jsontext

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


def indented(value: "Any", before: str = "") -> str:
    """``value`` as indented JSON, without a newline at its end."""
    inner = before + "    "
    if isinstance(value, dict) and value:
        rows = [f"{inner}{_scalar(key)}: {indented(item, inner)}" for key, item in value.items()]
        return "{\n" + ",\n".join(rows) + f"\n{before}}}"
    if isinstance(value, list) and value:
        rows = [inner + indented(item, inner) for item in value]
        return "[\n" + ",\n".join(rows) + f"\n{before}]"
    return _scalar(value)


def _scalar(value: "Any") -> str:
    """A value on one line; characters beyond ASCII are shown, not escaped."""
    import _json

    if isinstance(value, str):
        return _json.encode_basestring(value)
    return jsontext.dumps(value).decode("ascii")
