"""``-v``, ``--mount`` and ``--tmpfs``: docker's three ways to say a mount."""

from ..errors import InvalidRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

_TRUE = ("", "1", "true")
_NAMES = {
    "type": "Type", "source": "Source", "src": "Source", "target": "Target", "dst": "Target",
    "destination": "Target",
}  # fmt: skip


def is_bind(text: str) -> bool:
    """Whether a ``-v`` names a source; without one it is an anonymous volume."""
    return ":" in text


def bind(text: str, cwd: str) -> str:
    """A ``-v SOURCE:TARGET[:OPTIONS]`` with a relative source (``.``, ``./x``, ``../x``) made absolute."""
    source, colon, rest = text.partition(":")
    if source in (".", "..") or source.startswith(("./", "../")):
        source = _normal(f"{cwd}/{source}")
    return source + colon + rest


def _normal(path: str) -> str:
    parts: list[str] = []
    for part in path.split("/"):
        if part == "..":
            del parts[-1:]
        elif part not in ("", "."):
            parts.append(part)
    return "/" + "/".join(parts)


def mount(text: str) -> "dict[str, Any]":
    """A ``--mount type=bind,source=S,target=T[,readonly]`` as the API has it. Raises InvalidRequest."""
    out: dict[str, Any] = {"Type": "volume"}
    for part in text.split(","):
        name, equals, value = part.partition("=")
        name = name.strip().lower()
        if name in ("readonly", "ro") and value in (*_TRUE, "0", "false"):
            out["ReadOnly"] = value in _TRUE
        elif not equals:
            raise _invalid(text, f"invalid field '{part}' must be a key=value pair")
        elif name in _NAMES:
            out[_NAMES[name]] = value
        elif name in ("tmpfs-size", "tmpfs-mode", "bind-propagation"):
            _special(out, name, value, text)
        else:
            raise _invalid(text, f"unexpected key '{name}' in '{part}'")
    if not out.get("Target"):
        raise _invalid(text, "target is required")
    return out


def _special(out: "dict[str, Any]", name: str, value: str, text: str) -> None:
    from .quantities import size

    try:
        if name == "tmpfs-size":
            out.setdefault("TmpfsOptions", {})["SizeBytes"] = size(value)
        elif name == "tmpfs-mode":
            out.setdefault("TmpfsOptions", {})["Mode"] = int(value, 8)
        else:
            out.setdefault("BindOptions", {})["Propagation"] = value
    except ValueError as problem:
        raise _invalid(text, f"invalid value for {name}: {value}") from problem


def tmpfs(text: str) -> "tuple[str, str]":
    """A ``--tmpfs TARGET[:OPTIONS]``."""
    path, _, options = text.partition(":")
    return path, options


def _invalid(text: str, reason: str) -> InvalidRequest:
    what = f'invalid argument "{text}" for "--mount" flag: {reason}'
    return InvalidRequest(what, code="flag-argument", input=text, exit=125)
