"""Odd bytes in what a client sends: refused where they would end in a file of the engine's, or be cut off at a NUL.

dockerd writes name servers, host names and the like into /etc/resolv.conf, /etc/hosts and /etc/hostname as they come; a
line break among them then makes lines of its own. Here they are refused, in one line that names them.
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import TYPE_CHECKING

from msgspec import UNSET

from ..errors import InvalidRequest
from ..runtime.failure import quote

if TYPE_CHECKING:
    from ..dockerapi.containers import Config, HostConfig

NAME_MAX = 64
"""Bytes of a host's or a domain's name: __NEW_UTS_LEN."""


def check(config: Config, host: HostConfig) -> None:
    """Raises InvalidRequest naming the first text that cannot be."""
    _clean("hostname", config.hostname, "invalid-hostname", NAME_MAX)
    _clean("domainname", config.domainname, "invalid-domainname", NAME_MAX)
    if "/" in config.hostname:
        raise InvalidRequest(f"invalid hostname: {config.hostname}", code="invalid-hostname", input=config.hostname)
    for value in host.dns_search or []:
        _clean("search domain", value, "invalid-dns")
    for value in host.dns_options or []:
        _clean("resolver option", value, "invalid-dns")
    for value in host.extra_hosts or []:
        _clean("extra host", value, "invalid-extra-host")
    no_nul(
        *(config.entrypoint or []), *(config.cmd or []), *(config.env or []), config.working_dir, config.user,
        *_of(config.volumes), *(host.binds or []), *_of(host.tmpfs), *_of(host.sysctls), *(host.group_add or []),
        *(host.security_opt or []), *(host.masked_paths or []), *(host.readonly_paths or []),
    )  # fmt: skip
    for mount in host.mounts or [] if host.mounts is not UNSET else []:
        no_nul(mount.source, mount.target)


def no_nul(*words: str) -> None:
    """Raises InvalidRequest for a NUL byte, at which the kernel would take a text to end."""
    if any("\0" in word for word in words):
        raise InvalidRequest("arguments and environment cannot hold a NUL byte", code="nul-byte")


def _of(pairs: object) -> Iterable[str]:
    """The texts of a dictionary, if there is one."""
    if isinstance(pairs, dict):
        yield from pairs
        yield from (value for value in pairs.values() if isinstance(value, str))


def _clean(what: str, value: str, code: str, most: int = 0) -> None:
    """Raises InvalidRequest for control characters, line breaks among them, and for more than ``most`` bytes."""
    odd = any(char < " " or char == "\x7f" for char in value)
    if odd or (most and len(value.encode("utf-8", "surrogateescape")) > most):
        shown = quote(value) if odd else value
        raise InvalidRequest(f"invalid {what}: {shown}", code=code, input=shown)
