"""The flags of ``run`` and ``create``, and the body of Docker's create request that they make."""

import posix

from ..errors import InvalidRequest

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from .options import Option, Values

OPTIONS: "tuple[Option, ...]" = (
    ("--add-host", "list", "Add a custom host-to-IP mapping (host:ip)"),
    ("--annotation", "list", "Add an annotation to the container (passed through to the OCI runtime)"),
    ("-a, --attach", "list", "Attach to STDIN, STDOUT or STDERR"),
    ("--cap-add", "list", "Add Linux capabilities"),
    ("--cap-drop", "list", "Drop Linux capabilities"),
    ("--cgroupns", "string", "Cgroup namespace to use (host|private)"),
    ("--cidfile", "string", "Write the container ID to the file"),
    ("--cpu-period", "int", "Limit CPU CFS (Completely Fair Scheduler) period"),
    ("--cpu-quota", "int", "Limit CPU CFS (Completely Fair Scheduler) quota"),
    ("-c, --cpu-shares", "int", "CPU shares (relative weight)"),
    ("--cpus", "decimal", "Number of CPUs"),
    ("--dns", "list", "Set custom DNS servers"),
    ("--dns-opt, --dns-option", "list", "Set DNS options"),
    ("--dns-search", "list", "Set custom DNS search domains"),
    ("--domainname", "string", "Container NIS domain name"),
    ("--entrypoint", "string", "Overwrite the default ENTRYPOINT of the image"),
    ("-e, --env", "list", "Set environment variables"),
    ("--env-file", "list", "Read in a file of environment variables"),
    ("--group-add", "list", "Add additional groups to join"),
    ("-h, --hostname", "string", "Container host name"),
    ("--init", "", "Run an init inside the container that forwards signals and reaps processes"),
    ("-i, --interactive", "", "Keep STDIN open even if not attached"),
    ("--ipc", "string", "IPC mode to use"),
    ("--isolation", "string", "How the container is kept apart: process (namespaces) or vm (its own kernel)"),
    ("-l, --label", "list", "Set meta data on a container"),
    ("--label-file", "list", "Read in a line delimited file of labels"),
    ("--log-driver", "string", "Logging driver for the container"),
    ("--log-opt", "list", "Log driver options"),
    ("-m, --memory", "bytes", "Memory limit"),
    ("--memory-reservation", "bytes", "Memory soft limit"),
    ("--memory-swap", "bytes", "Swap limit equal to memory plus swap: '-1' to enable unlimited swap"),
    ("--memory-swappiness", "int", "Tune container memory swappiness (0 to 100)"),
    ("--mount", "list", "Attach a filesystem mount to the container"),
    ("--name", "string", "Assign a name to the container"),
    ("--net, --network", "string", "Network of the container: none or host"),
    ("--oom-score-adj", "int", "Tune host's OOM preferences (-1000 to 1000)"),
    ("--pids-limit", "int", "Tune container pids limit (set -1 for unlimited)"),
    ("--privileged", "", "Give extended privileges to this container"),
    ("--pull", "string", 'Pull image before running ("missing", "never")'),
    ("-q, --quiet", "", "Suppress the pull output"),
    ("--read-only", "", "Mount the container's root filesystem as read only"),
    ("--rm", "", "Automatically remove the container and its associated anonymous volumes when it exits"),
    ("--runtime", "string", "Runtime to use for this container: vm is the same as --isolation vm"),
    ("--security-opt", "list", "Security Options"),
    ("--shm-size", "bytes", "Size of /dev/shm"),
    ("--stop-signal", "string", "Signal to stop the container"),
    ("--stop-timeout", "int", "Timeout (in seconds) to stop a container"),
    ("--sysctl", "list", "Sysctl options"),
    ("--tmpfs", "list", "Mount a tmpfs directory"),
    ("-t, --tty", "", "Allocate a pseudo-TTY"),
    ("--ulimit", "list", "Ulimit options"),
    ("-u, --user", "string", "Username or UID (format: <name|uid>[:<group|gid>])"),
    ("-v, --volume", "list", "Bind mount a volume"),
    ("-w, --workdir", "string", "Working directory inside the container"),
)
_TEXTS = (
    ("isolation", "Isolation"), ("runtime", "Runtime"), ("network", "NetworkMode"), ("ipc", "IpcMode"),
    ("cgroupns", "CgroupnsMode"),
)  # fmt: skip
_LISTS = (
    ("cap-add", "CapAdd"), ("cap-drop", "CapDrop"), ("group-add", "GroupAdd"), ("security-opt", "SecurityOpt"),
    ("add-host", "ExtraHosts"), ("dns", "Dns"), ("dns-option", "DnsOptions"), ("dns-search", "DnsSearch"),
)  # fmt: skip
_NUMBERS = (
    ("memory", "Memory"), ("memory-reservation", "MemoryReservation"), ("memory-swap", "MemorySwap"),
    ("memory-swappiness", "MemorySwappiness"), ("cpus", "NanoCpus"), ("cpu-period", "CpuPeriod"),
    ("cpu-quota", "CpuQuota"), ("cpu-shares", "CpuShares"), ("pids-limit", "PidsLimit"), ("shm-size", "ShmSize"),
    ("oom-score-adj", "OomScoreAdj"),
)  # fmt: skip
_CONFIG = (("hostname", "Hostname"), ("domainname", "Domainname"), ("user", "User"), ("stop-signal", "StopSignal"))
_SWITCHES = (("privileged", "Privileged"), ("read-only", "ReadonlyRootfs"), ("rm", "AutoRemove"))
_DATA = ("env", "env-file", "label", "label-file", "volume")
_STREAMS = ("stdin", "stdout", "stderr")


class Streams:
    """Which of the program's streams are attached, and which it has."""

    __slots__ = ("open_stdin", "stderr", "stdin", "stdout", "tty")

    def __init__(self, values: "Values", detached: bool = False) -> None:
        asked = [stream.lower() for stream in values.list("attach")]
        for stream in asked:
            if stream not in _STREAMS:
                what = (
                    f'invalid argument "{stream}" for "-a, --attach" flag: valid streams are STDIN, STDOUT and STDERR'
                )
                raise InvalidRequest(what, code="flag-argument", input=stream, exit=125)
        self.open_stdin = values.on("interactive")
        self.tty = values.on("tty")
        self.stdin = not detached and ("stdin" in asked if asked else self.open_stdin)
        self.stdout = not detached and ("stdout" in asked if asked else True)
        self.stderr = not detached and ("stderr" in asked if asked else True)


def body(values: "Values", arguments: "list[str]", streams: Streams) -> "dict[str, Any]":
    """Docker's create body: Config's fields at the top, HostConfig below. Raises InvalidRequest."""
    config: dict[str, Any] = {
        "Image": arguments[0],
        "AttachStdin": streams.stdin,
        "AttachStdout": streams.stdout,
        "AttachStderr": streams.stderr,
        "OpenStdin": streams.open_stdin,
        "StdinOnce": streams.open_stdin and streams.stdin,
        "Tty": streams.tty,
        "HostConfig": _host(values),
    }
    if len(arguments) > 1:
        config["Cmd"] = arguments[1:]
    for name, field in _CONFIG:
        if name in values:
            config[field] = values.text(name)
    if "workdir" in values:
        config["WorkingDir"] = values.text("workdir")
    if "entrypoint" in values:
        config["Entrypoint"] = [values.text("entrypoint")]
    if "stop-timeout" in values:
        config["StopTimeout"] = values.number("stop-timeout")
    _data(values, config)
    return config


def _data(values: "Values", config: "dict[str, Any]") -> None:
    if not any(name in values for name in _DATA):
        return
    from . import envfile
    from .mounts import is_bind

    env = [entry for path in values.list("env-file") for entry in envfile.lines(path, own=True)]
    env += envfile.resolve(values.list("env"))
    if env:
        config["Env"] = env
    labels = [entry for path in values.list("label-file") for entry in envfile.lines(path, own=False)]
    labels += values.list("label")
    if labels:
        config["Labels"] = envfile.pairs(labels)
    anonymous = [path for path in values.list("volume") if not is_bind(path)]
    if anonymous:
        config["Volumes"] = {path: {} for path in anonymous}


def _host(values: "Values") -> "dict[str, Any]":
    host: dict[str, Any] = {}
    for name, field in _TEXTS:
        if values.get(name):
            host[field] = values.text(name)
    for name, field in _LISTS:
        if name in values:
            host[field] = values.list(name)
    for name, field in _NUMBERS:
        if name in values:
            host[field] = values.number(name)
    for name, field in _SWITCHES:
        if values.on(name):
            host[field] = True
    if "init" in values:
        host["Init"] = values.on("init")
    if values.on("tty"):
        host["ConsoleSize"] = list(_console())
    _pairs(values, host)
    _mounts(values, host)
    return host


def _pairs(values: "Values", host: "dict[str, Any]") -> None:
    if not any(name in values for name in ("annotation", "sysctl", "log-opt", "log-driver", "ulimit")):
        return
    from .envfile import pairs
    from .ulimit import ulimit

    for name, field in (("annotation", "Annotations"), ("sysctl", "Sysctls")):
        if name in values:
            host[field] = pairs(values.list(name))
    if "log-opt" in values or "log-driver" in values:
        host["LogConfig"] = {"Type": values.text("log-driver"), "Config": pairs(values.list("log-opt"))}
    if "ulimit" in values:
        host["Ulimits"] = [ulimit(text) for text in values.list("ulimit")]


def _console() -> tuple[int, int]:
    from . import terminal

    return terminal.size() or (0, 0)


def _mounts(values: "Values", host: "dict[str, Any]") -> None:
    if not any(name in values for name in ("volume", "mount", "tmpfs")):
        return
    from .mounts import bind, is_bind, mount, tmpfs

    binds = [bind(text, posix.getcwd()) for text in values.list("volume") if is_bind(text)]
    if binds:
        host["Binds"] = binds
    if "mount" in values:
        host["Mounts"] = [mount(text) for text in values.list("mount")]
    if "tmpfs" in values:
        host["Tmpfs"] = dict(tmpfs(text) for text in values.list("tmpfs"))
