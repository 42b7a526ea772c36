"""birth: how often a shim's process is used."""

from __future__ import annotations

import os
import socket
from typing import Any

import pytest

from proa.hull import birth, messages


class Ended(Exception):
    """Instead of os._exit."""


def _end(status: int) -> None:
    raise Ended(status)


@pytest.mark.parametrize("offered", [True, False])
def test_a_process_carries_again_if_it_may_and_ends_after_so_many(
    monkeypatch: pytest.MonkeyPatch, offered: bool
) -> None:
    asked: list[bool] = []
    sockets: list[socket.socket] = []

    def carry(control: int, bundle: int, fds: list[int], network: int, *, again: bool) -> int:
        os.close(control)
        os.close(bundle)
        asked.append(again)
        return order() if offered and again else -1

    def order() -> int:
        ours, theirs = socket.socketpair(socket.AF_UNIX, socket.SOCK_SEQPACKET)
        sockets.append(ours)
        with open(os.devnull) as bundle:
            messages.send(ours, {"op": "carry"}, [bundle.fileno()])
        return theirs.detach()

    fakes: dict[str, Any] = {"_carry": carry, "_new_network": lambda: -1}
    for name, fake in fakes.items():
        monkeypatch.setattr(birth, name, fake)
    monkeypatch.setattr(birth.os, "_exit", _end)
    with pytest.raises(Ended):
        birth._wait(order(), 4)
    assert asked == ([True, True, True, False] if offered else [True])
    for sock in sockets:
        sock.close()
