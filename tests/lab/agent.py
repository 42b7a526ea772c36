"""The host's end of the port to the lab's agent (guest/agent.py has the messages)."""

from __future__ import annotations

import json
import select
import socket
import time
from collections.abc import Iterator, Mapping, Sequence
from typing import Any


class Silent(Exception):
    """The agent said nothing for too long, or its machine is gone."""


class Agent:
    """One connection; one command at a time."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._buffered = b""

    def hello(self, seconds: float) -> None:
        """Returns once the system inside runs."""
        while "hello" not in self._next(time.monotonic() + seconds):
            pass

    def set_clock(self) -> None:
        """Give the guest this machine's time."""
        self._send({"time": time.time()})
        while "code" not in self._next(time.monotonic() + 60):
            pass

    def begin(self, command: Sequence[str], env: Mapping[str, str] | None = None, cwd: str = "/") -> None:
        """Start a command; ``messages`` tells what it says."""
        self._send({"run": list(command), "env": dict(env or {}), "cwd": cwd})

    def messages(self, quiet: float) -> Iterator[dict[str, Any]]:
        """Its messages up to and with the code. Raises Silent if none comes for ``quiet`` seconds."""
        message: dict[str, Any] = {}
        while "code" not in message:
            message = self._next(time.monotonic() + quiet)
            yield message

    def run(self, *command: str, seconds: float = 300, **env: str) -> str:
        """Run a command to its end; returns its output. Raises RuntimeError if it failed."""
        self.begin(command, env)
        out, code = "", 0
        for message in self.messages(seconds):
            out += message.get("out", "")
            code = message.get("code", 0)
        if code:
            raise RuntimeError(f"{command} ended with {code}: {out[-4000:]}")
        return out

    def _send(self, message: dict[str, Any]) -> None:
        self._connection.sendall(json.dumps(message).encode() + b"\n")

    def _next(self, end: float) -> dict[str, Any]:
        while b"\n" not in self._buffered:
            if not select.select([self._connection], [], [], max(end - time.monotonic(), 0))[0]:
                raise Silent("the agent inside says nothing")
            piece = self._connection.recv(1 << 16)
            if not piece:
                raise Silent("the machine is gone")
            self._buffered += piece
        line, _, self._buffered = self._buffered.partition(b"\n")
        message: dict[str, Any] = json.loads(line)
        return message

    def close(self) -> None:
        self._connection.close()
