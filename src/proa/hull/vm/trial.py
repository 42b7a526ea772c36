"""The program that carries a trial out: one QEMU, under an alarm, dead with this process. Prints one line of JSON.

``kvm``        boots ``kernel`` with no root: a kernel that comes to its end of options ("unable to mount root") has run
               through all of its start
``emulation``  runs the same loop on the processor and in an emulated machine that has nothing but a ROM
"""

from __future__ import annotations

import ctypes
import json
import mmap
import os
import re
import select
import signal
import sys
import time
from typing import Any

from ...linux import pidfd
from . import process, rom

_BOOTED = re.compile(rb"Unable to mount root fs|No working init found|not syncing: VFS")
_WORDS = 200
_ROM = 3
_FIXED = (
    *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-serial", "stdio"),
    *("-sandbox", "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"),
)


def main() -> None:
    """Entry point: the request as JSON in the first argument."""
    request = json.loads(sys.argv[1])
    signal.alarm(int(2 * request["deadline"]) + 5)
    answer = {"kvm": _kvm, "emulation": _emulation}[request["kind"]](request)
    print(json.dumps(answer), flush=True)


def _kvm(request: dict[str, Any]) -> dict[str, Any]:
    options = [
        *("-M", "q35" if os.uname().machine == "x86_64" else "virt", "-accel", "kvm", "-cpu", "host", "-m", "256"),
        *("-kernel", request["kernel"], "-append", "console=ttyS0 console=ttyAMA0 panic=-1"),
    ]
    status, output, seconds = _qemu(request, options)
    if _BOOTED.search(output):
        return {"boots": True, "reason": f"in {seconds:.1f} s", "seconds": seconds}
    last = output.decode(errors="replace").strip()[-_WORDS:].splitlines()
    words = last[-1] if last else "the machine said nothing"
    how = f"not within {request['deadline']:.0f} s" if status is None else f"exit status {status}"
    return {"boots": False, "reason": f"{how}: {words}"}


def _emulation(request: dict[str, Any]) -> dict[str, Any]:
    if os.uname().machine != "x86_64":
        return {"reason": "not measured on this architecture"}
    empty, loaded = _rom_seconds(request, 0), _rom_seconds(request, rom.ROUNDS)
    native = _native_seconds()
    if empty is None or loaded is None or loaded <= empty:
        return {"reason": "the emulated machine did not end"}
    return {"times": round((loaded - empty) / native, 1), "seconds": loaded}


def _rom_seconds(request: dict[str, Any], rounds: int) -> float | None:
    options = ["-M", "pc", "-accel", "tcg", "-cpu", "max", "-m", "16", "-bios", f"/proc/self/fd/{_ROM}"]
    options += ["-device", f"isa-debug-exit,iobase={rom.EXIT_PORT},iosize=1"]
    image = os.memfd_create("proa-rom", os.MFD_CLOEXEC)
    try:
        os.write(image, rom.build(rounds))
        status, _output, seconds = _qemu(request, options, {_ROM: image})
    finally:
        os.close(image)
    return seconds if status == rom.EXIT_STATUS else None


def _native_seconds() -> float:
    """The ROM's loop on this processor itself: its machine code in a page of our own."""
    code = rom.native(rom.ROUNDS)
    page = mmap.mmap(-1, mmap.PAGESIZE, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    page.write(code)
    address = ctypes.addressof(ctypes.c_char.from_buffer(page))
    cell = (ctypes.c_uint32 * 16)()
    function = ctypes.CFUNCTYPE(None, ctypes.c_void_p)(address)
    started = time.monotonic()
    function(ctypes.addressof(cell))
    return time.monotonic() - started


def _qemu(
    request: dict[str, Any], options: list[str], files: dict[int, int] | None = None
) -> tuple[int | None, bytes, float]:
    """Run QEMU to its end, or the deadline: (exit status or None, what it printed, seconds)."""
    reader, writer = os.pipe()
    command = [*request["argv"], *options, *_FIXED]
    started = time.monotonic()
    _pid, handle = process.start(command, request["env"], {1: writer, 2: writer, **(files or {})})
    os.close(writer)
    output = _drain(reader, started + request["deadline"])
    status = pidfd.status(handle, block=output[1])
    seconds = time.monotonic() - started
    process.kill(handle)
    return status, output[0], seconds


def _drain(fd: int, deadline: float) -> tuple[bytes, bool]:
    """(all that is written to ``fd``, whether its end was reached)."""
    poll = select.poll()
    poll.register(fd, select.POLLIN)
    data = b""
    while (left := deadline - time.monotonic()) > 0:
        if poll.poll(left * 1000):
            chunk = os.read(fd, 65536)
            if not chunk:
                return data, True
            data += chunk
    return data, False
