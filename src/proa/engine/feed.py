"""A byte stream from the event loop to a thread that reads it like a file: bounded, with both ends' failures seen."""

from __future__ import annotations

import asyncio
import threading
from collections import deque
from collections.abc import AsyncIterator, Callable
from typing import TypeVar

WAITING_MAX = 4 << 20
T = TypeVar("T")


class Cut(Exception):
    """The sender went away before the end."""


class Feed:
    """``put`` and ``end`` belong to the loop, ``read`` to the thread."""

    def __init__(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._chunks: deque[bytes] = deque()
        self._size = 0
        self._ended = False
        self._cut = False
        self._closed = False
        self._news = threading.Condition()
        self._room = asyncio.Event()

    async def put(self, chunk: bytes) -> bool:
        """Hand ``chunk`` over, waiting while too much is unread; False when nobody reads any more."""
        with self._news:
            if self._closed:
                return False
            self._chunks.append(chunk)
            self._size += len(chunk)
            self._news.notify()
            full = self._size > WAITING_MAX
            if full:
                self._room.clear()
        if full:
            await self._room.wait()
        return True

    def end(self, *, cut: bool = False) -> None:
        """No more comes. ``cut``: the stream broke off, so the reader must not take it as whole."""
        with self._news:
            self._ended = True
            self._cut = cut
            self._news.notify()

    def read(self, size: int = -1) -> bytes:
        """At most ``size`` bytes, b"" at the end. Blocks. Raises Cut."""
        with self._news:
            while not self._chunks and not self._ended:
                self._news.wait()
            if self._cut:
                raise Cut
            if not self._chunks:
                return b""
            chunk = self._chunks.popleft()
            if 0 <= size < len(chunk):
                self._chunks.appendleft(chunk[size:])
                chunk = chunk[:size]
            self._size -= len(chunk)
            if self._size <= WAITING_MAX // 2:
                self._loop.call_soon_threadsafe(self._room.set)
            return chunk

    def close(self) -> None:
        """The reader wants no more."""
        with self._news:
            self._closed = True
            self._chunks.clear()
            self._size = 0
        self._room.set()


async def consume(chunks: AsyncIterator[bytes], reader: Callable[[Feed], T]) -> T:
    """Run ``reader(feed)`` in a thread while ``chunks`` are fed to it; its result, or its error.

    A sender that breaks off makes ``reader`` fail with Cut before its error is passed on.
    """
    feed = Feed()
    work = asyncio.ensure_future(asyncio.to_thread(_reading, reader, feed))
    work.add_done_callback(lambda _: feed.close())
    try:
        async for chunk in chunks:
            if chunk and not await feed.put(chunk):
                break
        feed.end()
    except BaseException:
        feed.end(cut=True)
        await asyncio.wait({work})
        if not work.cancelled():
            work.exception()
        raise
    return await work


def _reading(reader: Callable[[Feed], T], feed: Feed) -> T:
    return reader(feed)
