"""The program's cgroup inside the machine (version 2): made before the machine is saved, limited by the order."""

import os

from ....cgroup import devices, v2
from ....runtime import defaults
from .stall import Stall

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable

    from ....hull.loop import Loop
    from ....oci.runtime import Resources

_BASE = "/sys/fs/cgroup"


class Limits:
    """One group; ``oom`` is called when something was killed in it for want of memory."""

    def __init__(self, loop: "Loop", oom: "Callable[[], None]") -> None:
        self._loop = loop
        self._oom = oom
        self._told = False
        self._killed = False
        self._group = v2.V2(_BASE, "proa", "program")
        self._group.create({"memory": {}, "cpu": {}, "pids": {"limit": -1}, "devices": list(defaults.DEVICE_RULES)})
        self._fd, mask = self._group.oom_fd()
        if self._fd >= 0:
            self._loop.add(self._fd, self._changed, mask)
        self._stall = Stall(loop, f"{_BASE}/proa/program", self._kill)

    def into(self) -> int:
        """Where programs are born."""
        return self._group.into()

    def join(self) -> None:
        """Move this process in."""
        self._group.join(os.getpid())

    def apply(self, resources: "Resources") -> None:
        """Set the limits; rules for devices replace Docker's own, which hold already. Raises OSError."""
        self._group.update(resources)
        if "devices" in resources:
            every = devices.all_allowed(resources["devices"])
            devices.attach(self._group.into(), defaults.ALL_DEVICES if every else resources["devices"])

    def check(self) -> bool:
        """Whether anything was killed for want of memory; ``oom`` has then been called."""
        if not self._told and (self._killed or self._group.oom_kills()):
            self._told = True
            self._oom()
        return self._told

    def _kill(self) -> None:
        self._killed = True
        self.check()

    def _changed(self, _events: int) -> None:
        os.pread(self._fd, 4096, 0)  # or the file stays readable
        self.check()
