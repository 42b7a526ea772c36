"""QEMU's command line, as a pure function: the same machine for a cold boot and for a restore, but for the kernel.

Everything the machine uses is a descriptor with a fixed number, so the command line names no file, is the same for
every VM of a shape (templates are keyed by it), and a jailed QEMU needs no path of ours.

q35 without what a container never touches; a virtio port; two placeholder disks of one fixed size, so that the guest
has seen its disks before any image is known; empty root ports for what is plugged later.
"""


class Shape:
    """``cpus``: virtual CPUs; ``memory``: MiB of guest RAM; ``accelerator``: "tcg" or "kvm"."""

    __slots__ = ("accelerator", "cpus", "memory")

    def __init__(self, cpus: int, memory: int, accelerator: str) -> None:
        self.cpus = cpus
        self.memory = memory
        self.accelerator = accelerator


class Boot:
    """What a cold boot adds: files on the host, and the kernel arguments that start process 1."""

    __slots__ = ("init", "initrd", "kernel")

    def __init__(self, kernel: str, initrd: str, init: str) -> None:
        self.kernel = kernel
        self.initrd = initrd
        self.init = init


QMP, PORT, CONSOLE, RAM, STATE, ROOT, UPPER = range(3, 10)
DESCRIPTORS = {"qmp": QMP, "port": PORT, "console": CONSOLE, "ram": RAM, "state": STATE, "root": ROOT, "upper": UPPER}
DISK_SIZE = 64 << 30
ROOT_PORTS = 2
MEMORY_STEP = 512
OVERHEAD = 112
"""MiB that the guest's kernel, its process 1 and page tables take of the RAM, measured; on top of a memory limit."""

CODE_BUFFER = 128
"""MiB of translated code that QEMU keeps at most; its default grows to a gigabyte."""
BURDEN = CODE_BUFFER + 192
"""MiB that QEMU itself may take on top of the guest's RAM."""

_MACHINE = "q35,sata=off,smbus=off,usb=off,vmport=off,hpet=off,smm=off,memory-backend=ram"
_SANDBOX = "on,obsolete=deny,elevateprivileges=deny,spawn=deny,resourcecontrol=deny"
_KERNEL = (
    "quiet panic=-1 no_timer_check cryptomgr.notests random.trust_cpu=on audit=0 i8042.noaux i8042.nomux i8042.nopnp"
    " i8042.dumbkbd cgroup_no_v1=all console=ttyS0"
)


def memory(limit: int) -> int:
    """MiB of RAM for a memory limit in bytes (0: none): a step, or limit and overhead rounded to a power of two."""
    if not limit:
        return MEMORY_STEP
    wanted = (limit + (1 << 20) - 1) // (1 << 20) + OVERHEAD
    size = MEMORY_STEP
    while size < wanted:
        size *= 2
    return size


def command(qemu: list[str], shape: Shape, boot: Boot | None = None, flush: bool = True) -> list[str]:
    """The command line: a cold boot with ``boot``, else one that waits for a template's state.

    ``qemu``: what it begins with; ``flush``: pass the guest's flushes on to the writable disk's file (off for a disk
    that nobody will read again).
    """
    return [
        *qemu,
        *("-M", _MACHINE),
        *("-accel", f"tcg,thread=multi,tb-size={CODE_BUFFER}" if shape.accelerator == "tcg" else shape.accelerator),
        *("-cpu", "max,erms=off,fsrm=off" if shape.accelerator == "tcg" else "host"),
        *("-smp", str(shape.cpus), "-m", str(shape.memory)),
        *_memory(shape, shared=boot is not None),
        *("-nodefaults", "-no-user-config", "-display", "none", "-no-reboot"),
        *_channels(),
        *_disk("root", ROOT, readonly=True, flush=False),
        *_disk("upper", UPPER, readonly=False, flush=flush),
        *_root_ports(),
        *("-sandbox", _SANDBOX),
        *(_cold(boot, shape) if boot is not None else ("-incoming", "defer")),
    ]


def _memory(shape: Shape, shared: bool) -> list[str]:
    share = "on" if shared else "off"
    return [
        "-object",
        f"memory-backend-file,id=ram,mem-path=/proc/self/fd/{RAM},share={share},size={shape.memory}M",
    ]


def _channels() -> list[str]:
    return [
        *("-chardev", f"socket,id=qmp,fd={QMP}", "-mon", "chardev=qmp,mode=control"),
        *("-device", "virtio-serial-pci,max_ports=2", "-chardev", f"socket,id=port,fd={PORT}"),
        *("-device", "virtserialport,chardev=port,name=proa,nr=1"),
        *("-chardev", f"socket,id=console,fd={CONSOLE}", "-serial", "chardev:console"),
    ]


def _disk(name: str, fd: int, readonly: bool, flush: bool) -> list[str]:
    """A virtio disk over an inherited descriptor (through a descriptor set: nothing is opened by path)."""
    read = "on" if readonly else "off"
    quiet = "off" if flush else "on"
    file = f"driver=file,node-name={name}-file,filename=/dev/fdset/{fd},read-only={read},locking=off"
    return [
        *("-add-fd", f"fd={fd},set={fd}"),
        *("-blockdev", f"{file},cache.no-flush={quiet}"),
        *("-blockdev", f"driver=raw,node-name={name},file={name}-file,read-only={read},cache.no-flush={quiet}"),
        *("-device", f"virtio-blk-pci,drive={name},serial=proa-{name},id=disk-{name}"),
    ]


def _root_ports() -> list[str]:
    ports: list[str] = []
    for number in range(1, ROOT_PORTS + 1):
        ports += ["-device", f"pcie-root-port,id=rp{number},chassis={number},slot={number}"]
    return ports


def _cold(boot: Boot, shape: Shape) -> list[str]:
    # without hardware there is no speculation to defend against, and its mitigations cost; with hardware they stay
    extra = " mitigations=off" if shape.accelerator == "tcg" else ""
    return ["-kernel", boot.kernel, "-initrd", boot.initrd, "-append", f"{_KERNEL}{extra} {boot.init}"]
