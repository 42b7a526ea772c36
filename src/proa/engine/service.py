"""The engine's process from the lock to its end: open, listen, wait, close."""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import socket
from collections.abc import Callable
from typing import TYPE_CHECKING

from ..linux import signals
from .wiring import Engine

if TYPE_CHECKING:
    from ..places import Places

BACKLOG = 1024


def serve(places: Places, nofile: list[int], ready: Callable[[], None], *, foreground: bool = False) -> int:
    """Serve until told to end; ``ready`` is called once requests are answered. Raises ProaError, OSError.

    ``foreground``: what nohup(1) or a shell ignores for us stays ignored, and where we were put we stay."""
    _clean_signals((signal.SIGHUP, signal.SIGQUIT) if foreground else ())
    asyncio.run(_serve(places, nofile, ready, own_scope=not foreground))
    return 0


def _clean_signals(keep: tuple[int, ...]) -> None:
    """Nothing of a caller's: with SIGCHLD ignored no child could be waited for, and the C library's own signals (32 and
    33) would be ignored in every program that we start. Two that would end us are errors of a write instead."""
    kept = {number: signal.getsignal(number) for number in keep}
    signals.reset()
    for number, disposition in kept.items():
        signal.signal(number, disposition)
    signal.signal(signal.SIGPIPE, signal.SIG_IGN)
    signal.signal(signal.SIGXFSZ, signal.SIG_IGN)


async def _serve(places: Places, nofile: list[int], ready: Callable[[], None], *, own_scope: bool) -> None:
    from importlib import import_module

    # the engine knows nothing of the API above it: the one place where a program joins the two
    server = import_module("..api.server", __package__).Server
    loop = asyncio.get_running_loop()
    engine = Engine(places, nofile, own_scope=own_scope)
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, engine.request_stop)
    await engine.open()
    api = server(engine)
    sock = bind(places.socket)
    await api.listen(sock)
    os.rename(places.socket + ".new", places.socket)
    ready()
    gc.collect()
    gc.freeze()  # what was loaded stays: no collection walks it again
    try:
        await engine.stopping.wait()
    finally:
        _unlink(places.socket)
        await api.stop()
        await engine.close()


def bind(path: str) -> socket.socket:
    """A listening socket under ``path``.new, mode 0600 from its first moment."""
    _unlink(path + ".new")
    sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_CLOEXEC)
    old = os.umask(0o177)
    try:
        sock.bind(path + ".new")
    finally:
        os.umask(old)
    sock.listen(BACKLOG)
    sock.setblocking(False)
    return sock


def _unlink(path: str) -> None:
    try:
        os.unlink(path)
    except FileNotFoundError:
        pass
