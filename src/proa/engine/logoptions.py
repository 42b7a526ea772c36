"""Docker's options of the json-file log: ``max-size``, ``max-file``."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING

from ..errors import InvalidRequest

if TYPE_CHECKING:
    from ..dockerapi.containers import LogConfig
    from ..hull.bundle import Log

SIZE = 10 << 20
FILES = 5
_UNITS = {"k": 10, "m": 20, "g": 30, "t": 40}
_SIZE = re.compile(r"([0-9]{1,18}(?:\.[0-9]{0,9})?) ?([kmgt]?)i?b?")


def log(path: str, config: LogConfig) -> Log:
    """The log at ``path``. Raises InvalidRequest for a value that is none."""
    files = config.config.get("max-file") or str(FILES)
    if not re.fullmatch("0*[1-9][0-9]{0,3}", files):
        raise _invalid("max-file", files)
    return {"path": path, "max_size": size(config.config.get("max-size", ""), SIZE), "max_file": int(files)}


def size(text: str, default: int) -> int:
    """``10m`` as bytes; ``-1`` (dockerd's "no limit") is our default: a log never grows without end."""
    if not text or text == "-1":
        return default
    found = _SIZE.fullmatch(text.lower())
    wanted = int(float(found[1]) * (1 << _UNITS.get(found[2], 0))) if found is not None else 0
    if not 0 < wanted < 1 << 63:
        raise _invalid("max-size", text)
    return wanted


def _invalid(name: str, text: str) -> InvalidRequest:
    return InvalidRequest(f'invalid value for log option {name}: "{text}"', code="invalid-log-opt", input=text)
