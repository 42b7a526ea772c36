"""One QEMU of the lab: started cold or from a save, saved, ended. Nothing here listens on a network.

    machine = Machine.start(parts)                             cold boot, or what parts.state holds
    machine.agent.…                                            see agent.Agent
    machine.save(state)                                        ends it; the RAM file and the disk stay as they were

A save holds no RAM: that is a file, mapped shared by the machine that is saved and private by those restored from it,
so a restore costs what the guest touches. A save fits one QEMU, one command line and its disk at that moment only.
"""

from __future__ import annotations

import json
import os
import socket
import subprocess
import time
from dataclasses import dataclass
from pathlib import Path

from . import qcow2
from .agent import Agent
from .disk import SIZE, Disk

QEMU = "qemu-system-x86_64"
ACCELERATOR = os.environ.get("PROA_LAB_ACCEL", "tcg,thread=multi")
MEMORY = 4096
"""MiB; sparse."""
PROCESSORS = 2
KERNEL_LINE = "root=/dev/vda rw console=ttyS0 tsc=reliable loglevel=5 systemd.show_status=error"
"""tsc=reliable: under TCG two processors make Linux distrust their clocks, and read a slower one."""
PLUG_SIZE = 256 << 20
"""Bytes that the plugged disk has in every machine: a restored guest does not look again."""


@dataclass(frozen=True)
class Parts:
    """Files of one machine. ``overlay``: its own disk (qcow2); ``state``: where it goes on from, else it boots.

    ``ram`` is mapped private with a ``state``, so that many may start from it, unless this machine will be saved.
    """

    disk: Disk
    overlay: Path
    plug: Path
    ram: Path
    serial: Path
    state: Path | None = None
    saving: bool = False


IGNORE_RAM = {"capability": "x-ignore-shared", "state": True}


class Monitor:
    """QEMU's own socket (QMP)."""

    def __init__(self, connection: socket.socket) -> None:
        self._connection = connection
        self._lines = connection.makefile("rb")
        self._greeted = False

    def ask(self, command: str, arguments: dict[str, object]) -> dict[str, object]:
        """One command's answer. Raises OSError: QEMU refused it, or is gone."""
        if not self._greeted:
            self._greeted = True
            self.ask("qmp_capabilities", {})
        self._connection.sendall(json.dumps({"execute": command, "arguments": arguments}).encode())
        for line in self._lines:
            answer = json.loads(line)
            if "return" in answer:
                return dict(answer["return"])
            if "error" in answer:
                raise OSError(str(answer["error"]))
        raise OSError("QEMU is gone")

    def close(self) -> None:
        self._lines.close()
        self._connection.close()


class Lost(Exception):
    """The machine or its agent is gone; the text has the end of the serial log."""


def arguments(parts: Parts, agent: int, monitor: int) -> list[str]:
    """QEMU's command line; ``agent`` and ``monitor`` are socket descriptors that it inherits."""
    shared = "on" if parts.saving or not parts.state else "off"
    drive = "if=none,cache=unsafe,discard=unmap,format="
    return [
        *(QEMU, "-M", "q35,memory-backend=ram,sata=off,smbus=off,usb=off,vmport=off", "-accel", ACCELERATOR),
        *("-cpu", "max", "-smp", str(PROCESSORS), "-m", str(MEMORY)),
        *("-object", f"memory-backend-file,id=ram,mem-path={parts.ram},share={shared},size={MEMORY}M"),
        *("-nodefaults", "-no-user-config", "-display", "none", "-kernel", str(parts.disk.kernel)),
        *("-initrd", str(parts.disk.initrd), "-append", KERNEL_LINE),
        *("-drive", f"{drive}qcow2,id=disk,file={parts.overlay}", "-device", "virtio-blk-pci,drive=disk"),
        *("-drive", f"{drive}raw,id=plug,readonly=on,file={parts.plug}", "-device", "virtio-blk-pci,drive=plug"),
        *("-device", "virtio-rng-pci", "-device", "virtio-serial-pci"),
        *("-chardev", f"socket,id=agent,fd={agent}", "-device", "virtserialport,chardev=agent,name=proa.lab"),
        *("-serial", f"file:{parts.serial}", "-chardev", f"socket,id=monitor,fd={monitor}"),
        *("-mon", "chardev=monitor,mode=control"),
        *(("-incoming", "defer") if parts.state else ()),
    ]


class Machine:
    """A running QEMU; ``agent`` talks to the service inside."""

    def __init__(self, parts: Parts, process: subprocess.Popen[bytes], agent: Agent, monitor: Monitor) -> None:
        self.parts = parts
        self.agent = agent
        self._process = process
        self._monitor = monitor

    @classmethod
    def start(cls, parts: Parts) -> Machine:
        """Start it; a machine with a ``state`` goes on from there by itself."""
        agent, agent_end = socket.socketpair()
        monitor, monitor_end = socket.socketpair()
        complaints = parts.serial.with_suffix(".qemu")
        with agent_end, monitor_end, complaints.open("wb") as errors:
            ends = (agent_end.fileno(), monitor_end.fileno())
            process = subprocess.Popen(
                arguments(parts, *ends),
                stdin=subprocess.DEVNULL,
                stdout=subprocess.DEVNULL,
                stderr=errors,
                pass_fds=ends,
                start_new_session=True,
            )
        machine = cls(parts, process, Agent(agent), Monitor(monitor))
        if parts.state:
            machine._ask("migrate-set-capabilities", capabilities=[IGNORE_RAM])
            machine._ask("migrate-incoming", uri=f"exec:cat {parts.state}")
        return machine

    def save(self, state: Path, seconds: float = 120) -> None:
        """Write all but RAM and disk to ``state``, and end. The guest goes on from here when restored."""
        self._ask("migrate-set-capabilities", capabilities=[IGNORE_RAM])
        self._ask("migrate", uri=f"exec:cat > {state}")
        end = time.monotonic() + seconds
        while (status := self._ask("query-migrate").get("status")) != "completed":
            if status in ("failed", "cancelled") or time.monotonic() > end:
                raise Lost(f"the save: {status}: {self.last_words()}")
            time.sleep(0.02)
        self._ask("quit")
        self._process.wait(30)
        self.end()

    def _ask(self, command: str, **arguments: object) -> dict[str, object]:
        try:
            return self._monitor.ask(command, arguments)
        except OSError as problem:
            raise Lost(f"{command}: {problem}: {self.last_words()}") from problem

    def last_words(self, size: int = 4000) -> str:
        """The end of the serial log, and what QEMU itself complained about."""
        texts = []
        for path in (self.parts.serial, self.parts.serial.with_suffix(".qemu")):
            if path.exists():
                texts.append(path.read_bytes()[-size:].decode("utf-8", "replace"))
        return "\n".join(texts).strip()

    def end(self) -> None:
        """Cut its power."""
        self._process.kill()
        self._process.wait()
        self._monitor.close()
        self.agent.close()


def overlay(path: Path, below: Path, kind: str) -> Path:
    """A new disk at ``path`` that shows ``below`` (raw or qcow2) and keeps what is written."""
    return qcow2.create(path, below, kind, SIZE)


def version() -> str:
    """QEMU's own."""
    return subprocess.run([QEMU, "--version"], check=True, capture_output=True, text=True).stdout.split("\n")[0]


def copy_sparse(source: Path, target: Path) -> None:
    """A copy whose holes stay holes."""
    subprocess.run(["cp", "--sparse=always", "--reflink=auto", str(source), str(target)], check=True)
