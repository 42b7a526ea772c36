"""``--change`` of import and commit: single Dockerfile instructions applied to an image's container defaults.

Docker's list: CMD ENTRYPOINT ENV EXPOSE HEALTHCHECK LABEL ONBUILD STOPSIGNAL USER VOLUME WORKDIR. The result has
Docker's names. Errors are InvalidRequest (``change-invalid``), naming the instruction.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import msgspec

from ..errors import InvalidRequest
from . import healthcheck
from .words import pairs, split

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

Defaults = dict[str, Any]
SHELL = ["/bin/sh", "-c"]


def apply(defaults: Defaults, changes: Iterable[str]) -> Defaults:
    """``defaults`` with each instruction carried out in turn; the argument stays as it was."""
    result = dict(defaults)
    for change in changes:
        name, _, rest = change.strip().partition(" ")
        instruction = _INSTRUCTIONS.get(name.upper())
        if instruction is None:
            raise invalid(change, f"{name.upper() or 'nothing'} is not a valid change command")
        if not rest.strip():
            raise invalid(change, f"{name.upper()} requires at least one argument")
        try:
            instruction(result, rest.strip())
        except ValueError as problem:
            raise invalid(change, str(problem)) from problem
    return result


def invalid(change: str, why: str) -> InvalidRequest:
    """An instruction that cannot be carried out."""
    shown = change if len(change) <= 200 else change[:200] + "…"
    return InvalidRequest(f"invalid change {shown!r}: {why}", code="change-invalid", input=shown)


def command(text: str) -> list[str]:
    """The exec form (a JSON list of strings), else the shell form."""
    if text.startswith("["):
        try:
            return msgspec.json.decode(text, type=list[str])
        except msgspec.DecodeError:
            pass  # docker takes what is not such a list as a shell's text
    return [*SHELL, text]


def _cmd(result: Defaults, text: str) -> None:
    result["Cmd"] = command(text)


def _entrypoint(result: Defaults, text: str) -> None:
    result["Entrypoint"] = command(text)


def _env(result: Defaults, text: str) -> None:
    known = list(result.get("Env") or [])
    for key, value in pairs(text, old_form=True):
        known = [entry for entry in known if entry.partition("=")[0] != key] + [f"{key}={value}"]
    result["Env"] = known


def _label(result: Defaults, text: str) -> None:
    result["Labels"] = {**(result.get("Labels") or {}), **dict(pairs(text, old_form=True))}


def _expose(result: Defaults, text: str) -> None:
    ports = dict(result.get("ExposedPorts") or {})
    for word in split(text):
        ports |= {port: {} for port in _ports(word)}
    result["ExposedPorts"] = ports


def _ports(word: str) -> list[str]:
    numbers, _, protocol = word.partition("/")
    first, _, last = numbers.partition("-")
    if protocol.lower() not in ("", "tcp", "udp", "sctp") or not first.isdigit() or not (last or first).isdigit():
        raise ValueError(f"invalid port {word}")
    if not 0 < int(first) <= int(last or first) <= 65535:
        raise ValueError(f"invalid port {word}")
    return [f"{port}/{protocol.lower() or 'tcp'}" for port in range(int(first), int(last or first) + 1)]


def _healthcheck(result: Defaults, text: str) -> None:
    result["Healthcheck"] = healthcheck.parse(text, command)


def _onbuild(result: Defaults, text: str) -> None:
    result["OnBuild"] = [*(result.get("OnBuild") or []), text]


def _stopsignal(result: Defaults, text: str) -> None:
    result["StopSignal"] = text


def _user(result: Defaults, text: str) -> None:
    result["User"] = text


def _volume(result: Defaults, text: str) -> None:
    paths = command(text) if text.startswith("[") else split(text)
    result["Volumes"] = {**(result.get("Volumes") or {}), **{path: {} for path in paths}}


def _workdir(result: Defaults, text: str) -> None:
    at = text if text.startswith("/") else (result.get("WorkingDir") or "") + "/" + text
    parts: list[str] = []
    for part in at.split("/"):
        if part == "..":
            parts = parts[:-1]
        elif part not in ("", "."):
            parts.append(part)
    result["WorkingDir"] = "/" + "/".join(parts)


_INSTRUCTIONS: dict[str, Callable[[Defaults, str], None]] = {
    "CMD": _cmd,
    "ENTRYPOINT": _entrypoint,
    "ENV": _env,
    "EXPOSE": _expose,
    "HEALTHCHECK": _healthcheck,
    "LABEL": _label,
    "ONBUILD": _onbuild,
    "STOPSIGNAL": _stopsignal,
    "USER": _user,
    "VOLUME": _volume,
    "WORKDIR": _workdir,
}
