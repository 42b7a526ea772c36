"""Clients that come in the very moment in which a shim dies: each ends, and tells how the program ended."""

from __future__ import annotations

import socket
import time

import pytest

from support.box import IMAGE, Result

from . import processes
from .plan import on
from .player import Player

NAME = "late"
SPAN = 0.15
"""Seconds within which the commands reach the shim; on every hull, since only the commands take them."""
pytestmark = on("container", "vm", "floor")

STOPPED = b"stopped container"
COMMANDS = {
    "attach": ["attach", "--no-stdin", NAME],
    "exec": ["exec", NAME, "sleep", "600"],
    "logs": ["logs", "-f", NAME],
    "wait": ["wait", NAME],
}


def running(player: Player) -> int:
    """A container that runs; its shim."""
    id = player.box.detached("--name", NAME, IMAGE, "sleep", "600")
    return processes.shim(player.run, id)


def test_commands_end(player: Player) -> None:
    rounds = 5 if player.box.is_vm else 20
    for number in range(rounds):
        shim = running(player)
        clients = [(command, player.client(*words)) for command, words in COMMANDS.items()]
        time.sleep(SPAN * number / rounds)
        processes.kill(shim)
        for command, client in clients:
            seen = player._finish(client)
            assert right(command, seen), (command, number, seen)
        player.box.cli("rm", "-f", NAME).ok()


def right(command: str, seen: Result) -> bool:
    """How it may end: with the program's code, or refused because that does not run any more."""
    if command == "logs":
        return seen == Result(0, b"", b"")
    if command == "wait":
        return seen == Result(0, b"137\n", b"")
    if command == "attach":
        return seen == Result(137, b"", b"") or (seen.code == 1 and STOPPED in seen.err)
    refused = b"is not running" in seen.out + seen.err
    return seen.code == 137 or (seen.code in (1, 126) and refused)


@pytest.mark.parametrize("first", ["client", "death"])
def test_a_stream_ends(player: Player, first: str) -> None:
    """Docker's way to attach: does it run, attach, does it still, and then read: for ever, if nobody ends the stream.

    The shim is killed right behind the answer's head, or a few milliseconds before the request."""
    for number in range(4 if player.box.is_vm else 16):
        shim = running(player)
        if first == "death":
            processes.kill(shim)
            time.sleep(number * 0.001)
        if runs(player):
            with attached(player.box.socket) as stream:
                if first == "client":
                    processes.kill(shim)
                if first == "client" or runs(player):
                    stream.settimeout(20)
                    assert stream.recv(4096) == b"", number
        assert player.box.wait(NAME) == 137
        player.box.cli("rm", NAME).ok()


def runs(player: Player) -> bool:
    status, body = player.box.api("GET", f"/containers/{NAME}/json")
    assert status == 200
    return bool(body["State"]["Running"])


def attached(path: str) -> socket.socket:
    """A connection that has become a stream."""
    stream = socket.socket(socket.AF_UNIX)
    stream.connect(path)
    query = f"POST /v1.45/containers/{NAME}/attach?stream=1&stdout=1&stderr=1 HTTP/1.1\r\n"
    stream.sendall(query.encode() + b"Host: docker\r\nConnection: Upgrade\r\nUpgrade: tcp\r\n\r\n")
    head = b""
    while not head.endswith(b"\r\n\r\n"):
        head += stream.recv(1)
    assert head.startswith(b"HTTP/1.1 101 "), head
    return stream
