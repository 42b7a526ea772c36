"""Cgroup by version 1: a directory in each mounted hierarchy of use, and one in a hybrid host's version 2 tree.

The version 2 tree, even without controllers, gives birth inside, freezing that SIGKILL can end, and cgroup.kill; where
it is missing the freezer does it. A process joins the others by writing 0 into ``tasks``: moving only itself, it need
not wait for every fork of the machine, as a write of ``cgroup.procs`` does (7 ms on an idle machine).
"""

import errno
import os
import select
import time

from . import tree
from .contract import Cgroup, field, read, write

TYPE_CHECKING = False
if TYPE_CHECKING:
    import signal as _signal
    from collections.abc import Callable, Sequence

    from ..oci.runtime import DeviceRule, Memory, Resources
else:
    import _signal

UNIFIED = "unified"
_FREEZE_PATIENCE = 10.0
_NO_LIMIT = -1


class V1(Cgroup):
    """See the contract. ``mounts``: {controller: directory of its hierarchy}, ``unified`` for the version 2 tree."""

    version = 1

    def __init__(self, mounts: "dict[str, str]", parent: str, name: str) -> None:
        self._mounts = mounts
        self._parent = parent
        self._name = name
        self._fds: list[int] = []
        self._into = -1
        self._oom: tuple[int, int] = (-1, 0)
        self._limited = False
        together: dict[str, list[str]] = {}
        for controller, base in mounts.items():
            if controller != UNIFIED:
                together.setdefault(base, []).append(controller)
        self._bases = together
        self.hierarchies = tuple(base.rpartition("/")[2] if "," in base else c[0] for base, c in together.items())

    def _path(self, controller: str) -> str:
        return f"{self._mounts[controller]}/{self._parent}/{self._name}"

    def _all(self) -> "list[str]":
        bases = [*self._bases, *([self._mounts[UNIFIED]] if UNIFIED in self._mounts else [])]
        return [f"{base}/{self._parent}/{self._name}" for base in bases]

    def create(self, resources: "Resources") -> None:
        """See the contract."""
        _check(resources, self._mounts)
        made: list[str] = []
        try:
            for base in self._bases:
                made.append(tree.make(base, self._parent, self._name))
            if UNIFIED in self._mounts:
                made.append(tree.make(self._mounts[UNIFIED], self._parent, self._name))
            self._limit(resources)
            if "devices" in self._mounts and "devices" in resources:
                _allow_devices(self._path("devices"), resources["devices"])
        except BaseException:
            for path in reversed(made):
                tree.remove(path)
            raise

    def into(self) -> int:
        """See the contract."""
        if self._into < 0 and UNIFIED in self._mounts:
            self._into = os.open(self._path(UNIFIED), os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
        return self._into

    def joins(self) -> "Sequence[int]":
        """See the contract."""
        if not self._fds:
            self._fds = [
                os.open(f"{base}/{self._parent}/{self._name}/tasks", os.O_WRONLY | os.O_CLOEXEC) for base in self._bases
            ]
        return self._fds

    def join(self, pid: int) -> None:
        """See the contract."""
        for path in self._all():
            write(path + "/cgroup.procs", str(pid))

    def update(self, resources: "Resources") -> None:
        """See the contract."""
        _check(resources, self._mounts)
        self._limit(resources)

    def _limit(self, resources: "Resources") -> None:
        memory = resources.get("memory")
        if memory:
            self._limited = True
            _limit_memory(self._path("memory"), memory)
        cpu = resources.get("cpu")
        if cpu:
            path = self._path("cpu")
            if cpu.get("shares"):
                write(path + "/cpu.shares", str(cpu["shares"]))
            if cpu.get("period"):
                write(path + "/cpu.cfs_period_us", str(cpu["period"]))
            if cpu.get("quota"):
                write(path + "/cpu.cfs_quota_us", str(cpu["quota"]))
        pids = resources.get("pids")
        if pids:
            write(self._path("pids") + "/pids.max", str(pids["limit"]) if pids["limit"] > 0 else "max")

    def freeze(self, frozen: bool) -> None:
        """See the contract."""
        if UNIFIED in self._mounts:
            path = self._path(UNIFIED)
            write(path + "/cgroup.freeze", "1" if frozen else "0")
            _until(lambda: field(read(path + "/cgroup.events"), "frozen") == int(frozen), path)
        else:
            path = self._path("freezer")
            wanted = "FROZEN" if frozen else "THAWED"
            write(path + "/freezer.state", wanted)
            _until(lambda: read(path + "/freezer.state").strip() == wanted, path)

    def kill(self) -> bool:
        """See the contract."""
        try:
            if UNIFIED in self._mounts:
                write(self._path(UNIFIED) + "/cgroup.kill", "1")
                return True
        except FileNotFoundError:  # Linux before 5.14, or the group is gone
            pass
        for _ in range(100):
            pids = self.pids()
            for pid in pids:
                _kill(pid)
            if "freezer" in self._mounts and os.path.exists(self._path("freezer")):
                write(self._path("freezer") + "/freezer.state", "THAWED")
            if not pids:
                break
            time.sleep(0.01)
        return True

    def pids(self) -> "list[int]":
        """See the contract."""
        for path in reversed(self._all()):
            try:
                return [int(word) for word in read(path + "/cgroup.procs").split()]
            except FileNotFoundError:
                continue
        return []

    def oom_kills(self) -> int:
        """See the contract."""
        if "memory" not in self._mounts:
            return 0
        try:
            return field(read(self._path("memory") + "/memory.oom_control"), "oom_kill")
        except FileNotFoundError:
            return 0

    def oom_fd(self) -> "tuple[int, int]":
        """See the contract. Only a group with a limit of its own is watched."""
        if self._oom[0] < 0 and self._limited:
            path = self._path("memory")
            control = os.open(path + "/memory.oom_control", os.O_RDONLY | os.O_CLOEXEC)
            event = os.eventfd(0, os.EFD_CLOEXEC | os.EFD_NONBLOCK)
            try:
                write(path + "/cgroup.event_control", f"{event} {control}")
            finally:
                os.close(control)
            self._oom = (event, select.POLLIN)
        return self._oom

    def usage(self) -> "dict[str, int]":
        """See the contract."""
        found = {}
        for name, controller, file in (
            ("memory", "memory", "memory.usage_in_bytes"),
            ("memory_peak", "memory", "memory.max_usage_in_bytes"),
            ("pids", "pids", "pids.current"),
        ):
            if controller in self._mounts:
                try:
                    found[name] = int(read(f"{self._path(controller)}/{file}"))
                except FileNotFoundError:
                    continue
        if UNIFIED in self._mounts:  # counted there even without the cpu controller
            try:
                found["cpu"] = field(read(self._path(UNIFIED) + "/cpu.stat"), "usage_usec") * 1000
            except FileNotFoundError:
                return found
        return found

    def close(self) -> None:
        """See the contract."""
        for fd in (*self._fds, self._into, self._oom[0]):
            if fd >= 0:
                os.close(fd)
        self._fds, self._into, self._oom = [], -1, (-1, 0)

    def remove(self) -> None:
        """See the contract."""
        for path in self._all():
            tree.remove(path)


def _check(resources: "Resources", mounts: "dict[str, str]") -> None:
    for name in ("memory", "cpu", "pids"):
        if resources.get(name) and name not in mounts:
            raise OSError(errno.ENODEV, f"the cgroup controller {name} is not there", name)


def _limit_memory(path: str, memory: "Memory") -> None:
    """Docker's rule: memory and swap together may be twice the limit unless said otherwise; -1 is no limit."""
    limit, swap = memory.get("limit", 0), memory.get("swap", 0)
    if limit and not swap:
        swap = limit * 2 if limit > 0 else _NO_LIMIT
    both = [("memory.limit_in_bytes", limit)]
    if os.path.exists(path + "/memory.memsw.limit_in_bytes"):
        both.append(("memory.memsw.limit_in_bytes", swap))
    both = [(name, value) for name, value in both if value]
    try:
        for name, value in both:
            write(f"{path}/{name}", str(value))
    except OSError as problem:
        if problem.errno != errno.EINVAL or len(both) < 2:
            raise
        for name, value in reversed(both):  # raising both: the outer limit must go first
            write(f"{path}/{name}", str(value))
    if memory.get("reservation"):
        write(path + "/memory.soft_limit_in_bytes", str(memory["reservation"]))


def device_line(rule: "DeviceRule") -> str:
    """A rule as devices.allow and devices.deny read it."""
    type = rule.get("type") or "a"
    if type == "a":
        return "a"
    major, minor = rule.get("major", -1), rule.get("minor", -1)
    numbers = f"{'*' if major < 0 else major}:{'*' if minor < 0 else minor}"
    return f"{type} {numbers} {rule.get('access') or 'rwm'}"


def _allow_devices(path: str, rules: "Sequence[DeviceRule]") -> None:
    for rule in rules:
        write(f"{path}/devices.{'allow' if rule['allow'] else 'deny'}", device_line(rule))


def _until(true: "Callable[[], bool]", path: str) -> None:
    end = time.monotonic() + _FREEZE_PATIENCE
    pause = 0.0005
    while not true():
        if time.monotonic() > end:
            raise OSError(errno.ETIMEDOUT, os.strerror(errno.ETIMEDOUT), path)
        time.sleep(pause)
        pause = min(pause * 2, 0.05)


def _kill(pid: int) -> None:
    try:
        os.kill(pid, _signal.SIGKILL)
    except ProcessLookupError:
        return
