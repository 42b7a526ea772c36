"""JSON without the standard library's ``json``: that package loads ``re`` and ``enum``, 9 ms on every start.

The C scanner and encoder that ``json`` itself uses are driven directly. For processes on the launch path and for the
guest; the engine's API uses msgspec. Lengths are checked by whoever reads the bytes; nesting is bounded by the
C scanner's recursion check, turned into ``ValueError`` here.
"""

import _json

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any


_NO_CONSTANTS: "dict[str, None]" = {}


class _Context:
    """What ``_json.make_scanner`` asks of a decoder."""

    strict = True
    object_hook = None
    object_pairs_hook = None
    parse_float = float
    parse_int = int
    parse_constant = _NO_CONSTANTS.__getitem__  # NaN and Infinity are not JSON: a KeyError
    memo: "dict[str, str]" = {}


_scan: "Any" = _json.make_scanner(_Context())  # type: ignore[arg-type]  # it asks for these attributes only


def _unknown(value: object) -> object:
    raise TypeError(f"not JSON: {type(value).__name__}")


_encode = _json.make_encoder(None, _unknown, _json.encode_basestring_ascii, None, ":", ",", False, False, False)


def dumps(value: object) -> bytes:
    """``value`` as compact ASCII JSON.  Lone surrogates survive as escapes. Raises TypeError, ValueError."""
    return "".join(_encode(value, 0)).encode("ascii")


def loads(data: "bytes | str") -> "Any":
    """The value of one JSON document, white space around it allowed. Raises ValueError for anything else."""
    text = data if isinstance(data, str) else data.decode("utf-8", "surrogatepass")
    text = text.strip(" \t\r\n")
    try:
        value, end = _scan(text, 0)
    except (StopIteration, ImportError, SystemError, RecursionError, KeyError) as problem:
        # ImportError, SystemError: the C code wants json.decoder only to raise its error; it is not loaded here
        raise ValueError("not JSON") from problem
    if end != len(text):
        raise ValueError("not JSON: trailing data")
    return value
