"""hosts(5) and resolver(5) as dockerd makes them; compared with its own in tests/functional/test_host_files.py."""

from __future__ import annotations

import pytest

from proa.dockerapi.containers import HostConfig
from proa.engine import hostfiles
from proa.errors import InvalidRequest

OWN = "# made by hand\nsearch a.example b.example\nnameserver 10.0.0.1\nnameserver 127.0.0.1\noptions edns0\n"


def test_hosts() -> None:
    plain = hostfiles.hosts(HostConfig(network_mode="none"))
    assert plain.startswith("127.0.0.1\tlocalhost\n::1\t")
    more = hostfiles.hosts(HostConfig(network_mode="none", extra_hosts=["a:1.2.3.4", "b:fe80::1"]))
    assert more == plain + "1.2.3.4\ta\nfe80::1\tb\n"


def test_a_server_on_the_hosts_loopback_is_left_out() -> None:
    assert hostfiles.resolv_conf(HostConfig(network_mode="none"), OWN) == OWN.replace("nameserver 127.0.0.1\n", "")
    assert hostfiles.resolv_conf(HostConfig(network_mode="host"), OWN) == OWN


@pytest.mark.parametrize(
    ("host", "lines"),
    [
        (
            HostConfig(dns=["9.9.9.9"]),
            ["search a.example b.example", "nameserver 9.9.9.9", "options edns0"],
        ),
        (HostConfig(dns=["9.9.9.9"], dns_search=["."]), ["nameserver 9.9.9.9", "options edns0"]),
        (
            HostConfig(dns_search=["x"], dns_options=["ndots:3", "rotate"]),
            ["search x", "nameserver 10.0.0.1", "nameserver 127.0.0.1", "options ndots:3 rotate"],
        ),
    ],
)
def test_what_was_asked_for_wins(host: HostConfig, lines: list[str]) -> None:
    assert hostfiles.resolv_conf(host, OWN).splitlines() == lines


@pytest.mark.parametrize("entry", ["", "a", ":1.2.3.4", "a:", "a:1.2.3", "a:host-gateway"])
def test_an_extra_host_that_is_none(entry: str) -> None:
    with pytest.raises(InvalidRequest) as caught:
        hostfiles.check(HostConfig(extra_hosts=[entry]))
    assert caught.value.code == "invalid-extra-host"
