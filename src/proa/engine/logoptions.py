"""Docker's options of the json-file log: ``max-size``, ``max-file``."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import InvalidRequest

if TYPE_CHECKING:
    from ..dockerapi.containers import LogConfig
    from ..hull.bundle import Log

SIZE = 10 << 20
FILES = 5
_UNITS = {"k": 10, "m": 20, "g": 30, "t": 40}


def log(path: str, config: LogConfig) -> Log:
    """The log at ``path``. Raises InvalidRequest for a value that is none."""
    files = config.config.get("max-file") or str(FILES)
    if not files.isdecimal() or not int(files):
        raise _invalid("max-file", files)
    return {"path": path, "max_size": size(config.config.get("max-size", ""), SIZE), "max_file": int(files)}


def size(text: str, default: int) -> int:
    """``10m`` as bytes; ``-1`` (dockerd's "no limit") is our default: a log never grows without end."""
    if not text or text == "-1":
        return default
    number = text.lower().removesuffix("b").removesuffix("i")
    shift = _UNITS.get(number[-1:], 0)
    try:
        found = int(float(number[:-1] if shift else number) * (1 << shift))
    except (ValueError, OverflowError) as problem:
        raise _invalid("max-size", text) from problem
    if found <= 0:
        raise _invalid("max-size", text)
    return found


def _invalid(name: str, text: str) -> InvalidRequest:
    return InvalidRequest(f'invalid value for log option {name}: "{text}"', code="invalid-log-opt", input=text)
