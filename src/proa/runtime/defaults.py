"""Docker's defaults, as values: what a container's /proc, /dev and /sys look like, and what it may do."""

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..oci.runtime import Device, DeviceRule, Mount

_RW = 0o666


def _node(path: str, major: int, minor: int) -> "Device":
    return {"type": "c", "path": path, "major": major, "minor": minor, "fileMode": _RW, "uid": 0, "gid": 0}


DEVICES: "list[Device]" = [
    _node("/dev/null", 1, 3),
    _node("/dev/zero", 1, 5),
    _node("/dev/full", 1, 7),
    _node("/dev/random", 1, 8),
    _node("/dev/urandom", 1, 9),
    _node("/dev/tty", 5, 0),
]
"""The nodes that every container has; the runtime adds them where a spec leaves them out."""

LINKS = (
    ("/proc/self/fd", "fd"),
    ("/proc/self/fd/0", "stdin"),
    ("/proc/self/fd/1", "stdout"),
    ("/proc/self/fd/2", "stderr"),
    ("/proc/kcore", "core"),
    ("pts/ptmx", "ptmx"),
)
"""(target, name in /dev)."""

MASKED = [
    "/proc/asound",
    "/proc/acpi",
    "/proc/interrupts",
    "/proc/kcore",
    "/proc/keys",
    "/proc/latency_stats",
    "/proc/timer_list",
    "/proc/timer_stats",
    "/proc/sched_debug",
    "/proc/scsi",
    "/sys/firmware",
    "/sys/devices/virtual/powercap",
]
READONLY = ["/proc/bus", "/proc/fs", "/proc/irq", "/proc/sys", "/proc/sysrq-trigger"]

CAPABILITIES = [
    "CAP_CHOWN",
    "CAP_DAC_OVERRIDE",
    "CAP_FSETID",
    "CAP_FOWNER",
    "CAP_MKNOD",
    "CAP_NET_RAW",
    "CAP_SETGID",
    "CAP_SETUID",
    "CAP_SETFCAP",
    "CAP_SETPCAP",
    "CAP_NET_BIND_SERVICE",
    "CAP_SYS_CHROOT",
    "CAP_KILL",
    "CAP_AUDIT_WRITE",
]


def _allow(type: str, access: str, major: int | None = None, minor: int | None = None) -> "DeviceRule":
    rule: DeviceRule = {"allow": True, "type": type, "access": access}
    if major is not None:
        rule["major"] = major
    if minor is not None:
        rule["minor"] = minor
    return rule


DEVICE_RULES: "list[DeviceRule]" = [
    {"allow": False, "access": "rwm"},
    _allow("c", "m"),
    _allow("b", "m"),
    *(_allow("c", "rwm", node["major"], node["minor"]) for node in DEVICES),
    _allow("c", "rwm", 5, 1),
    _allow("c", "rwm", 5, 2),
    _allow("c", "rwm", 136),
]
"""Nothing but: making any node (using it is another matter), the nodes above, console, ptmx, pseudo-terminals."""

ALL_DEVICES: "list[DeviceRule]" = [{"allow": True, "access": "rwm"}]
"""Privileged."""


def mounts(cgroup_version: int, *, privileged: bool = False, shm_size: int = 64 << 20) -> "list[Mount]":
    """Docker's mounts, in order. ``cgroup_version`` 0: no cgroup is shown."""
    hidden = ["nosuid", "noexec", "nodev"]
    readonly = [] if privileged else ["ro"]
    made: list[Mount] = [
        _mount("/proc", "proc", "proc", hidden),
        _mount("/dev", "tmpfs", "tmpfs", ["nosuid", "strictatime", "mode=755", "size=65536k"]),
        _mount(
            "/dev/pts", "devpts", "devpts", ["nosuid", "noexec", "newinstance", "ptmxmode=0666", "mode=0620", "gid=5"]
        ),
        _mount("/sys", "sysfs", "sysfs", [*hidden, *readonly]),
        _mount("/dev/mqueue", "mqueue", "mqueue", hidden),
        _mount("/dev/shm", "tmpfs", "shm", [*hidden, "mode=1777", f"size={shm_size >> 10}k"]),
    ]
    if cgroup_version:
        made.insert(4, _mount("/sys/fs/cgroup", "cgroup", "cgroup", [*hidden, *readonly]))
    return made


def _mount(destination: str, type: str, source: str, options: "list[str]") -> "Mount":
    return {"destination": destination, "type": type, "source": source, "options": options}
