"""The lab's service inside: runs commands that the host sends over a virtio port. It knows nothing about tests.

    guest → host   {"hello": 1}                                     systemd has said that the system runs
    host → guest   {"run": argv, "env": {…}, "cwd": path}           PROA_LAB_LINES in its environment: a descriptor
    guest → host   {"out": text}* {"line": text}*  {"code": number} its output; what it wrote into that descriptor
    host → guest   {"time": seconds}                                a restored machine has the clock of its template
    guest → host   {"code": 0}

One JSON text a line. One command at a time.
"""

from __future__ import annotations

import json
import os
import selectors
import subprocess
import time
from typing import BinaryIO

PORT = "/dev/virtio-ports/proa.lab"


def main() -> None:
    """The program."""
    _await_system()
    with open(PORT, "r+b", buffering=0) as port:
        _say(port, hello=1)
        while True:  # nobody is at the other end: a machine between save and restore
            serve(port)
            time.sleep(0.05)


def serve(port: BinaryIO) -> None:
    """Obey what comes, until nobody is there to say anything."""
    buffered = b""
    while piece := port.read(1 << 16):
        *lines, buffered = (buffered + piece).split(b"\n")
        for line in filter(None, lines):
            _obey(port, json.loads(line))


def _await_system() -> None:
    state = subprocess.run(["systemctl", "is-system-running", "--wait"], capture_output=True, text=True).stdout.strip()
    if state != "running":
        failed = subprocess.run(["systemctl", "--failed", "--no-legend"], capture_output=True, text=True).stdout
        with open("/dev/console", "w") as console:
            console.write(f"lab: the system is {state}: {failed}\n")


def _obey(port: BinaryIO, order: dict[str, object]) -> None:
    if "time" in order:
        time.clock_settime(time.CLOCK_REALTIME, float(str(order["time"])))
        _say(port, code=0)
    else:
        _say(port, code=_run(port, order))


def _run(port: BinaryIO, order: dict[str, object]) -> int:
    """Run one command, relaying what it says; returns its code (negative: a signal)."""
    out, out_end = os.pipe()
    lines, lines_end = os.pipe()
    argv, env, cwd = order["run"], order.get("env") or {}, order.get("cwd") or "/"
    assert isinstance(argv, list) and isinstance(env, dict)
    try:
        process = subprocess.Popen(
            [str(word) for word in argv],
            cwd=str(cwd),
            env={**os.environ, **env, "PROA_LAB_LINES": str(lines_end)},
            stdin=subprocess.DEVNULL,
            stdout=out_end,
            stderr=out_end,
            pass_fds=[lines_end],
        )
    except OSError as problem:
        _say(port, out=f"{argv[0]}: {problem}\n")
        return 127
    finally:
        os.close(out_end)
        os.close(lines_end)
    return _relay(port, process, out, lines)


def _relay(port: BinaryIO, process: subprocess.Popen[bytes], out: int, lines: int) -> int:
    """Until the command has ended: what it left running may hold its output open, and is not waited for."""
    rest = b""
    with selectors.DefaultSelector() as selector:
        selector.register(out, selectors.EVENT_READ)
        selector.register(lines, selectors.EVENT_READ)
        ended = False
        while selector.get_map():
            ready = selector.select(0 if ended else 0.2)
            if ended and not ready:
                break
            ended = process.poll() is not None
            for key, _ in ready:
                piece = os.read(key.fd, 1 << 16)
                if not piece:
                    selector.unregister(key.fd)
                elif key.fd == out:
                    _say(port, out=piece.decode("utf-8", "replace"))
                else:
                    *whole, rest = (rest + piece).split(b"\n")
                    for line in whole:
                        _say(port, line=line.decode("utf-8", "replace"))
    os.close(out)
    os.close(lines)
    return process.wait()


def _say(port: BinaryIO, **message: object) -> None:
    data = json.dumps(message).encode() + b"\n"
    while data:
        data = data[port.write(data) or 0 :]


if __name__ == "__main__":
    main()
