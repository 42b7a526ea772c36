"""The log of a container that does not run, sent to a client that attaches with ``logs``."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING

from . import logs

if TYPE_CHECKING:
    from ..hull.contract import Attachment


SHORT = 64 << 10
"""Bytes of log whose output a fresh socket takes without its client."""


def is_long(path: str) -> bool:
    """Whether sending the log may have to wait for the client."""
    try:
        return os.path.exists(path + ".1") or os.stat(path).st_size > SHORT
    except FileNotFoundError:
        return False


async def send(path: str, attachment: Attachment, fd: int) -> None:
    """Write what is logged to the client's socket ``fd``, which stays the caller's. One that left is no error."""
    query = logs.Query(stdout=attachment.stdout, stderr=attachment.stderr, mux=attachment.mux)
    loop = asyncio.get_running_loop()
    with socket.socket(fileno=os.dup(fd)) as client:
        client.setblocking(False)
        try:
            async for piece in logs.read(path, query, lambda: False):
                await loop.sock_sendall(client, piece)
        except OSError:
            return
