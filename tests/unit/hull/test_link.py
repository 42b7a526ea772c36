"""The engine's end of a connection: replies, what comes unasked, a peer that is slow or gone."""

from __future__ import annotations

import asyncio
import os
from typing import Any

import pytest

from proa.hull import messages
from proa.hull.link import Link, pair


class Peer:
    """A link, and the raw socket at its other end."""

    def __init__(self) -> None:
        ours, self.socket = pair()
        self.heard: list[dict[str, Any]] = []
        self.gone = 0
        self.link = Link(ours, self.heard.append, self._on_gone)
        self.socket.setblocking(False)

    def _on_gone(self) -> None:
        self.gone += 1

    async def receive(self) -> tuple[dict[str, Any], list[int]]:
        while True:
            try:
                return messages.receive(self.socket)
            except BlockingIOError:
                await asyncio.sleep(0)

    def close(self) -> None:
        self.link.close()
        self.socket.close()


def test_replies_find_their_requests() -> None:
    async def test() -> None:
        peer = Peer()
        order: list[str] = []
        one = asyncio.ensure_future(peer.link.request("a", on_reply=lambda reply: order.append("reply")))
        two = asyncio.ensure_future(peer.link.request("b", x=1))
        first, second = (await peer.receive())[0], (await peer.receive())[0]
        assert (first["op"], second) == ("a", {"op": "b", "n": 2, "x": 1})
        messages.send(peer.socket, {"op": "reply", "n": 2, "error": {"kind": "invalid", "text": "no"}})
        messages.send(peer.socket, {"op": "reply", "n": 1, "pid": 5})
        messages.send(peer.socket, {"op": "exited"})
        messages.send(peer.socket, {"op": "reply", "n": 99})
        assert (await one)["pid"] == 5
        assert "error" in await two
        await asyncio.sleep(0.01)
        assert peer.heard == [{"op": "exited"}]
        assert order == ["reply"]
        peer.close()

    asyncio.run(test())


def test_descriptors_travel_and_stay_the_callers() -> None:
    async def test() -> None:
        peer = Peer()
        reader, writer = os.pipe()
        peer.link.send({"op": "x"}, [writer])
        _, fds = await peer.receive()
        os.write(fds[0], b"a")
        os.write(writer, b"b")
        assert os.read(reader, 2) == b"ab"
        for fd in (reader, writer, *fds):
            os.close(fd)
        peer.close()

    asyncio.run(test())


def test_gone_fails_what_waits_and_is_told_once() -> None:
    async def test() -> None:
        peer = Peer()
        waiting = asyncio.ensure_future(peer.link.request("a"))
        await peer.receive()
        peer.socket.close()
        with pytest.raises(messages.Gone):
            await waiting
        with pytest.raises(messages.Gone):
            await peer.link.request("b")
        assert peer.gone == 1
        peer.close()
        assert peer.gone == 1

    asyncio.run(test())


def test_closing_it_ourselves_is_not_gone() -> None:
    async def test() -> None:
        peer = Peer()
        waiting = asyncio.ensure_future(peer.link.request("a"))
        await peer.receive()
        peer.close()
        with pytest.raises(messages.Gone):
            await waiting
        assert peer.gone == 0

    asyncio.run(test())


def test_a_peer_that_does_not_read_delays_and_loses_nothing() -> None:
    async def test() -> None:
        peer = Peer()
        before = len(os.listdir("/proc/self/fd"))
        reader, writer = os.pipe()
        for number in range(1000):
            peer.link.send({"op": "x", "number": number, "fill": "x" * 2000}, [writer] if number == 900 else [])
        os.close(writer)
        got = [await peer.receive() for _ in range(1000)]
        assert [message["number"] for message, _ in got] == list(range(1000))
        (fd,) = got[900][1]
        os.close(fd)
        assert os.read(reader, 1) == b""
        os.close(reader)
        assert len(os.listdir("/proc/self/fd")) == before
        peer.close()

    asyncio.run(test())
