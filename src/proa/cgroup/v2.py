"""Cgroup by version 2: one directory, its parent's controllers delegated to it; devices by a BPF program."""

import errno
import os
import select
import time

from . import devices, tree
from .contract import Cgroup, field, read, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..oci.runtime import Cpu, Memory, Resources

CONTROLLERS = ("memory", "cpu", "pids")
_FREEZE_PATIENCE = 10.0


class V2(Cgroup):
    """See the contract. ``base``: the directory below which ``parent`` is ours."""

    version = 2
    hierarchies = ("",)

    def __init__(self, base: str, parent: str, name: str) -> None:
        self._base = base
        self._parent = parent
        self._name = name
        self._path = f"{base}/{parent}/{name}"
        self._into = self._events = -1

    def create(self, resources: "Resources") -> None:
        """See the contract."""
        tree.make(self._base, self._parent, self._name)
        try:
            self._delegate([name for name in CONTROLLERS if resources.get(name)])
            self.update(resources)
            if "devices" in resources and not devices.all_allowed(resources["devices"]):
                devices.attach(self.into(), resources["devices"])
        except BaseException:
            self.close()
            tree.remove(self._path)
            raise

    def _delegate(self, asked: "list[str]") -> None:
        """Have the controllers of use in the group; one that is asked for and cannot be had is an error."""
        have = read(self._path + "/cgroup.controllers").split()
        missing = [name for name in CONTROLLERS if name not in have]
        for directory in (self._base, f"{self._base}/{self._parent}") if missing else ():
            for name in missing:
                _enable(directory, name)
        have = read(self._path + "/cgroup.controllers").split() if missing else have
        for name in asked:
            if name not in have:
                raise OSError(errno.ENODEV, f"the cgroup controller {name} is not there", name)

    def into(self) -> int:
        """See the contract."""
        if self._into < 0:
            self._into = os.open(self._path, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return self._into

    def join(self, pid: int) -> None:
        """See the contract."""
        write(self._path + "/cgroup.procs", str(pid))

    def update(self, resources: "Resources") -> None:
        """See the contract."""
        memory = resources.get("memory")
        if memory:
            _limit_memory(self._path, memory)
        cpu = resources.get("cpu")
        if cpu:
            _limit_cpu(self._path, cpu)
        pids = resources.get("pids")
        if pids:
            write(self._path + "/pids.max", str(pids["limit"]) if pids["limit"] > 0 else "max")

    def freeze(self, frozen: bool) -> None:
        """See the contract."""
        write(self._path + "/cgroup.freeze", "1" if frozen else "0")
        end = time.monotonic() + _FREEZE_PATIENCE
        pause = 0.0005
        while field(read(self._path + "/cgroup.events"), "frozen") != int(frozen):
            if time.monotonic() > end:
                raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT), self._path)
            time.sleep(pause)
            pause = min(pause * 2, 0.05)

    def kill(self) -> bool:
        """See the contract."""
        try:
            write(self._path + "/cgroup.kill", "1")
        except FileNotFoundError:
            return False
        return True

    def pids(self) -> "list[int]":
        """See the contract."""
        try:
            return [int(word) for word in read(self._path + "/cgroup.procs").split()]
        except FileNotFoundError:
            return []

    def oom_kills(self) -> int:
        """See the contract."""
        try:
            return field(read(self._path + "/memory.events"), "oom_kill")
        except FileNotFoundError:
            return 0

    def oom_fd(self) -> "tuple[int, int]":
        """See the contract."""
        if self._events < 0:
            try:
                self._events = os.open(self._path + "/memory.events", os.O_RDONLY | os.O_CLOEXEC)
            except FileNotFoundError:
                return -1, 0
        return self._events, select.POLLPRI

    def usage(self) -> "dict[str, int]":
        """See the contract."""
        found = {}
        for name, file in (("memory", "memory.current"), ("memory_peak", "memory.peak"), ("pids", "pids.current")):
            try:
                found[name] = int(read(f"{self._path}/{file}"))
            except FileNotFoundError:
                continue
        try:
            found["cpu"] = field(read(self._path + "/cpu.stat"), "usage_usec") * 1000
        except FileNotFoundError:
            return found
        return found

    def close(self) -> None:
        """See the contract."""
        for fd in (self._into, self._events):
            if fd >= 0:
                os.close(fd)
        self._into = self._events = -1

    def remove(self) -> None:
        """See the contract."""
        tree.remove(self._path)


def _enable(directory: str, controller: str) -> None:
    """Best effort: whether it was enough is seen below."""
    try:
        write(directory + "/cgroup.subtree_control", "+" + controller)
    except OSError:
        return


def _limit_memory(path: str, memory: "Memory") -> None:
    """Docker's ``swap`` counts memory and swap together; here swap is counted alone."""
    limit, swap = memory.get("limit", 0), memory.get("swap", 0)
    if limit:
        write(path + "/memory.max", _maximum(limit))
    if limit and os.path.exists(path + "/memory.swap.max"):
        write(path + "/memory.swap.max", _maximum(swap if swap < 0 else limit if not swap else max(swap - limit, 0)))
    if memory.get("reservation"):
        write(path + "/memory.low", str(memory["reservation"]))


def _maximum(value: int) -> str:
    return "max" if value < 0 else str(value)


def _limit_cpu(path: str, cpu: "Cpu") -> None:
    quota, period, shares = cpu.get("quota", 0), cpu.get("period", 0), cpu.get("shares", 0)
    if quota or period:
        write(path + "/cpu.max", f"{quota if quota > 0 else 'max'} {period or 100_000}")
    if shares:
        write(path + "/cpu.weight", str(weight(shares)))


def weight(shares: int) -> int:
    """Version 1's cpu.shares (2 to 262144) as a weight (1 to 10000): the specification's linear rule."""
    shares = min(max(shares, 2), 262_144)
    return 1 + (shares - 2) * 9999 // 262_142
