"""The guest's process 1: prepare, say hello, then do what the host says until the port hangs up.

Everything up to the hello happens once, before the machine is saved; what follows happens in each restored copy.
Nothing is imported later on: code that has never run in this machine is slow, and a file system to read it from is
not promised.
"""

import gc
import os
import sys

from ....linux import namespaces, reboot
from ....runtime import parent
from ...loop import ERR, HUP, IN, OUT, Loop
from ..port import PAGE, PROTOCOL, Hangup, Port
from . import files, prepare, ready
from .limits import Limits
from .orders import Orders

_INIT = (
    namespaces.CLONE_NEWPID
    | namespaces.CLONE_NEWNS
    | namespaces.CLONE_NEWUTS
    | namespaces.CLONE_NEWIPC
    | namespaces.CLONE_NEWCGROUP
)


class Guest:
    """Process 1's loop: the port, and whatever the orders put beside it."""

    def __init__(self, port: Port, disks: "dict[str, str]") -> None:
        self.loop = Loop()
        self._port = port
        limits = Limits(self.loop, lambda: port.send({"op": "oom"}))
        init = parent.launch_init(_INIT, into=limits.into())
        ready.build(init, limits)
        files.prepare()
        self._orders = Orders(self.loop, port, disks, init, limits)
        self.loop.add(port.fd, self._on_port)

    def serve(self) -> None:
        """Until the port hangs up."""
        while True:
            self._flush()
            self.loop.turn(self.loop.patience())

    def _on_port(self, events: int) -> None:
        if events & (IN | HUP | ERR):
            for stream, message in self._port.receive():
                if stream:
                    self._orders.input(stream, message)
                else:
                    self._orders.obey(message)

    def _flush(self) -> None:
        self._port.flush()
        self.loop.change(self._port.fd, IN | OUT if self._port.pending else IN)


def main() -> None:
    """Never returns: without a host there is nothing to run for."""
    try:
        _run()
    except Hangup:
        pass
    except BaseException:  # whatever it is, the console is the only place that can still hear of it
        sys.excepthook(*sys.exc_info())
    finally:
        reboot.power_off()


def _run() -> None:
    prepare.root()
    prepare.file_systems()
    port = Port(prepare.open_port(), PAGE)
    prepare.late()
    prepare.filter()
    disks = prepare.disks()
    boot = prepare.fact("/proc/sys/kernel/random/boot_id")
    print(f"proa: booted {boot}", flush=True)
    gc.freeze()  # a collection would write to every page that the copies share
    gc.disable()
    hello = {"op": "hello", "protocol": PROTOCOL, "boot": boot, "kernel": os.uname().release, "disks": sorted(disks)}
    guest = Guest(port, disks)
    port.send(hello)
    guest.serve()
