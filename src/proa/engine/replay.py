"""The log of a container that does not run, sent to a client that attaches with ``logs``."""

from __future__ import annotations

import asyncio
import os
import socket
from typing import TYPE_CHECKING

from . import logs

if TYPE_CHECKING:
    from ..hull.contract import Attachment


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
