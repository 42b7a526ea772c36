"""/etc/hostname, /etc/hosts and /etc/resolv.conf: files that a container gets from its engine, with dockerd's content.

They lie in STATE/containers/ID and are written anew at each start; the bundle hands them to the hull as values.
"""

from __future__ import annotations

import os
import re
from typing import TYPE_CHECKING

from ..errors import InvalidRequest
from ..runtime.failure import quote

if TYPE_CHECKING:
    from ..dockerapi.containers import HostConfig
    from ..hull.bundle import File
    from .records import Record

HOSTNAME, HOSTS, RESOLV_CONF = "hostname", "hosts", "resolv.conf"
_LOCAL = """\
127.0.0.1\tlocalhost
::1\tlocalhost ip6-localhost ip6-loopback
fe00::0\tip6-localnet
ff00::0\tip6-mcastprefix
ff02::1\tip6-allnodes
ff02::2\tip6-allrouters
"""
_RESOLVED = "/run/systemd/resolve/resolv.conf"
_READ_MAX = 1 << 16
_ZONE = re.compile("[a-zA-Z0-9_.-]{1,15}")


def make(record: Record, directory: str, covered: set[str]) -> list[File]:
    """The files of ``record``, whose directory is ``directory``. ``covered``: paths inside at which something else is
    mounted: what would lie there is left out."""
    host = record.host
    texts = {HOSTNAME: record.config.hostname + "\n", HOSTS: hosts(host), RESOLV_CONF: resolv_conf(host)}
    return [
        {
            "destination": f"/etc/{name}",
            "source": f"{directory}/{name}",
            "text": text,
            "readonly": host.readonly_rootfs,
        }
        for name, text in texts.items()
        if f"/etc/{name}" not in covered
    ]


def write(files: list[File]) -> None:
    """Put them where a hull finds them. Raises OSError."""
    for file in files:
        _write(file["source"], file["text"])


def check(host: HostConfig) -> None:
    """Raises InvalidRequest for an ``--add-host`` that is none, in dockerd's words, and for a ``--dns`` that is no
    address, which dockerd would write down all the same."""
    for entry in host.extra_hosts or []:
        name, separator, address = entry.partition(":")
        if not name or not separator:
            raise InvalidRequest(f"bad format for add-host: {quote(entry)}", code="invalid-extra-host", input=entry)
        if not _is_address(address):
            what = f"invalid IP address in add-host: {quote(address)}"
            raise InvalidRequest(what, code="invalid-extra-host", input=entry)
    for address in host.dns or []:
        plain, zone, name = address.partition("%")
        if not _is_address(plain) or (zone and not _ZONE.fullmatch(name)):
            raise InvalidRequest(f"invalid name server: {quote(address)}", code="invalid-dns", input=quote(address))


def hosts(host: HostConfig) -> str:
    """hosts(5): localhost and what ``--add-host`` named; the host's own file where its network is shared."""
    extra = [entry.partition(":") for entry in host.extra_hosts or []]
    if host.network_mode == "host" and not extra:
        return _read("/etc/hosts") or _LOCAL
    return _LOCAL + "".join(f"{address}\t{name}\n" for name, _, address in extra)


def resolv_conf(host: HostConfig, own: str = "") -> str:
    """resolver(5): what was asked for, the rest as this host has it (``own``: its file's text, read if not given).

    A name server on the host's loopback cannot be reached from another network and is left out. dockerd puts a public
    one in place of the last; whom a program's look-ups are told is not ours to choose.
    """
    own = own or _host_resolv_conf()
    if host.dns or host.dns_search or host.dns_options:
        return _built(host, own)
    if host.network_mode == "host":
        return own
    return "".join(line for line in own.splitlines(keepends=True) if not _is_local(line))


def _built(host: HostConfig, own: str) -> str:
    search = host.dns_search or _words(own, "search")[-1:]
    options = host.dns_options or _words(own, "options")[-1:]
    lines = [f"search {' '.join(search)}"] if search and search != ["."] else []
    lines += [f"nameserver {address}" for address in host.dns or _words(own, "nameserver")]
    lines += [f"options {' '.join(options)}"] if options and any(options) else []
    return "".join(line + "\n" for line in lines)


def _words(text: str, keyword: str) -> list[str]:
    """What stands behind each line's ``keyword``."""
    lines = [line.split(None, 1) for line in text.splitlines()]
    return [" ".join(line[1].split()) for line in lines if len(line) == 2 and line[0] == keyword]


def _is_local(line: str) -> bool:
    words = line.split()
    return len(words) > 1 and words[0] == "nameserver" and (words[1].startswith("127.") or words[1] == "::1")


def _host_resolv_conf() -> str:
    """This host's file; systemd-resolved's own where the former names nothing but its stub."""
    text = _read("/etc/resolv.conf")
    return _read(_RESOLVED) or text if _words(text, "nameserver") == ["127.0.0.53"] else text


def _is_address(text: str) -> bool:
    """Without a zone (fe80::1%eth0): Python lets anything stand behind the %, a line break too."""
    from ipaddress import ip_address  # off the launch path

    try:
        ip_address(text)
    except ValueError:
        return False
    return "%" not in text


def _read(path: str) -> str:
    try:
        fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK)
    except OSError:
        return ""
    try:
        return os.read(fd, _READ_MAX).decode("utf-8", "surrogateescape")
    except OSError:
        return ""
    finally:
        os.close(fd)


def _write(path: str, text: str) -> None:
    fd = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC | os.O_NOFOLLOW, 0o644)
    try:
        os.write(fd, text.encode("utf-8", "surrogateescape"))
    finally:
        os.close(fd)
