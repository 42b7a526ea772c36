"""Binds, mounts and tmpfs of a HostConfig as OCI mounts."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING

from msgspec import UNSET

from ..errors import InvalidRequest

if TYPE_CHECKING:
    from ..dockerapi.containers import HostConfig, MountRequest
    from ..oci.runtime import Mount

_MODES = frozenset({"ro", "rw", "z", "Z", "nocopy", "consistent", "cached", "delegated"})
_PROPAGATIONS = frozenset({"private", "rprivate", "shared", "rshared", "slave", "rslave"})


def mounts(host: HostConfig) -> list[Mount]:
    """All that was asked for, shallow destinations before deep ones. Raises InvalidRequest."""
    found = [_bind(text) for text in host.binds or []]
    if host.mounts is not UNSET:
        found += [_mount(request) for request in host.mounts]
    if host.tmpfs is not UNSET:
        found += [_tmpfs(path, options) for path, options in host.tmpfs.items()]
    seen: set[str] = set()
    for mount in found:
        if mount["destination"] in seen:
            raise InvalidRequest(
                f"Duplicate mount point: {mount['destination']}", code="duplicate-mount", input=mount["destination"]
            )
        seen.add(mount["destination"])
    return sorted(found, key=lambda mount: mount["destination"].count("/"))


def destinations(host: HostConfig) -> set[str]:
    """Where something that was asked for is mounted."""
    return {mount["destination"] for mount in mounts(host)}


def check_sources(host: HostConfig) -> None:
    """A ``--mount``'s source must be there. Raises InvalidRequest."""
    for request in [] if host.mounts is UNSET else host.mounts:
        if request.type == "bind" and not os.path.lexists(request.source):
            raise InvalidRequest(
                f'invalid mount config for type "bind": bind source path does not exist: {request.source}',
                code="bind-source-missing",
                input=request.source,
            )


def make_sources(host: HostConfig) -> None:
    """A ``-v``'s source that is not there becomes a directory, as dockerd has it. Raises OSError."""
    for text in host.binds or []:
        source, _, _ = parse_bind(text)
        if not os.path.lexists(source):
            os.makedirs(source, exist_ok=True)


def parse_bind(text: str) -> tuple[str, str, list[str]]:
    """``SOURCE:DESTINATION[:MODE]`` as (source, destination, mode words). Raises InvalidRequest."""
    parts = text.split(":")
    if len(parts) not in (2, 3) or not all(parts):
        raise InvalidRequest(f"invalid volume specification: '{text}'", code="invalid-bind", input=text)
    source, destination = parts[0], parts[1]
    words = parts[2].split(",") if len(parts) == 3 else []
    for word in words:
        if word not in _MODES and word not in _PROPAGATIONS:
            raise InvalidRequest(f"invalid mode: {parts[2]}", code="invalid-bind-mode", input=text)
    return source, _destination(destination, f"invalid volume specification: '{text}': ", "bind"), words


def _destination(path: str, where: str = "", kind: str = "tmpfs") -> str:
    if not path.startswith("/"):
        raise InvalidRequest(
            f'{where}invalid mount config for type "{kind}": '
            f"invalid mount path: '{path}' mount path must be absolute",
            code="invalid-mount",
            input=path,
        )
    clean = os.path.normpath(path)
    if clean in ("/", "//"):
        raise InvalidRequest("invalid specification: destination can't be '/'", code="invalid-mount", input=path)
    return clean


def _bind(text: str) -> Mount:
    source, destination, words = parse_bind(text)
    if not source.startswith("/"):
        raise InvalidRequest(
            f"{source}: named volumes are not supported yet: give an absolute path", code="named-volume", input=text
        )
    propagation = next((word for word in words if word in _PROPAGATIONS), "rprivate")
    return _bind_mount(source, destination, "ro" in words, propagation)


def _bind_mount(source: str, destination: str, readonly: bool, propagation: str) -> Mount:
    return {
        "destination": destination,
        "type": "bind",
        "source": source,
        "options": ["rbind", propagation, "ro" if readonly else "rw"],
    }


def _mount(request: MountRequest) -> Mount:
    destination = _destination(request.target, kind=request.type)
    if request.type == "tmpfs":
        options = []
        size = request.tmpfs_options.get("SizeBytes")
        mode = request.tmpfs_options.get("Mode")
        if size:
            options.append(f"size={int(size)}")
        if mode:
            options.append(f"mode={int(mode):o}")
        return _tmpfs(destination, ",".join(options))
    if not request.source.startswith("/"):
        path = request.source
        raise InvalidRequest(
            f"invalid mount config for type \"bind\": invalid mount path: '{path}' mount path must be absolute",
            code="invalid-mount",
            input=request.source,
        )
    propagation = str(request.bind_options.get("Propagation") or "rprivate")
    return _bind_mount(request.source, destination, request.read_only, propagation)


def _tmpfs(path: str, options: str) -> Mount:
    words = [word for word in options.split(",") if word]
    return {
        "destination": _destination(path),
        "type": "tmpfs",
        "source": "tmpfs",
        "options": ["noexec", "nosuid", "nodev", *words],
    }


def points(host: HostConfig) -> list[dict[str, object]]:
    """What inspect and list show as ``Mounts``."""
    found: list[dict[str, object]] = []
    for text in host.binds or []:
        source, destination, words = parse_bind(text)
        propagation = next((word for word in words if word in _PROPAGATIONS), "rprivate")
        found.append(_point("bind", source, destination, ",".join(words), "ro" not in words, propagation))
    for mount in [] if host.mounts is UNSET else host.mounts:
        propagation = str(mount.bind_options.get("Propagation") or "rprivate") if mount.type == "bind" else ""
        found.append(_point(mount.type, mount.source, mount.target, "", not mount.read_only, propagation))
    return found


def _point(type: str, source: str, destination: str, mode: str, writable: bool, propagation: str) -> dict[str, object]:
    return {
        "Type": type,
        "Source": source,
        "Destination": destination,
        "Mode": mode,
        "RW": writable,
        "Propagation": propagation,
    }
