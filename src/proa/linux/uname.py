"""sethostname(2), setdomainname(2), of this UTS namespace."""

import ctypes

from . import libc

_sethostname = libc.function("sethostname", ctypes.c_char_p, ctypes.c_size_t)
_setdomainname = libc.function("setdomainname", ctypes.c_char_p, ctypes.c_size_t)


def set_hostname(name: str) -> None:
    """At most 64 bytes."""
    text = name.encode("utf-8", "surrogateescape")
    libc.check(_sethostname(text, len(text)), "sethostname", name)


def set_domainname(name: str) -> None:
    """At most 64 bytes."""
    text = name.encode("utf-8", "surrogateescape")
    libc.check(_setdomainname(text, len(text)), "setdomainname", name)
