"""Bodies as dockerd reads them."""

from __future__ import annotations

import msgspec
import pytest

from proa.dockerapi.containers import CreateBody, HostConfig
from proa.dockerapi.decode import decode, encode
from proa.errors import InvalidRequest


def test_null_missing_and_zero_are_alike() -> None:
    given = decode(
        b'{"Image":"x","Env":null,"Labels":null,"HostConfig":{"Memory":null,"Binds":null,"ConsoleSize":[0,0]}}',
        CreateBody,
    )
    assert given == decode(b'{"Image":"x","HostConfig":{"Memory":0}}', CreateBody)


def test_unknown_fields_are_ignored_and_words_may_be_text() -> None:
    assert decode(b'{"Image":"x","Cmd":"ls","Zebra":[1,{"a":null}]}', CreateBody).cmd == "ls"


@pytest.mark.parametrize(
    "body", [b"{", b"[]", b'{"Image":1}', b'{"HostConfig":{"Memory":"1"}}', b"[" * 100_000, b"\xff"]
)
def test_malformed_bodies_are_refused(body: bytes) -> None:
    with pytest.raises(InvalidRequest) as caught:
        decode(body, CreateBody)
    assert caught.value.code == "invalid-json"


def test_host_config_is_written_as_dockerd_names_it() -> None:
    names = set(msgspec.to_builtins(HostConfig()))
    assert {"ContainerIDFile", "UTSMode", "IOMaximumIOps", "BlkioDeviceReadIOps", "PidsLimit", "CgroupnsMode"} <= names
    assert not {"Mounts", "Tmpfs", "Sysctls", "Init", "StorageOpt"} & names  # left out when empty


def test_text_that_is_no_utf8_is_shown_with_marks() -> None:
    assert msgspec.json.decode(encode({"a": ["x\udcff"]})) == {"a": ["x�"]}


@pytest.mark.parametrize("number", [1 << 63, -(1 << 63) - 1, 1 << 70])
def test_a_number_that_docker_s_types_cannot_hold(number: int) -> None:
    with pytest.raises(InvalidRequest, match="is out of range"):
        decode(b'{"HostConfig": {"Memory": %d}}' % number, CreateBody)
    assert decode(b'{"HostConfig": {"Memory": %d}}' % ((1 << 63) - 1), CreateBody).host_config.memory == (1 << 63) - 1
