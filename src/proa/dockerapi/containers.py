"""Docker's JSON of a container as it is asked for: Config, HostConfig, the body of create. Source: moby's swagger.

Fields that dockerd leaves out of its replies when empty default to UNSET; the others are always written, in
dockerd's order.
"""

from typing import Any

from msgspec import UNSET, Struct, UnsetType, field


class Healthcheck(Struct, frozen=True, rename="pascal", omit_defaults=True):
    """How to ask whether the program is well. Times in ns."""

    test: list[str] = []
    interval: int = 0
    timeout: int = 0
    start_period: int = 0
    start_interval: int = 0
    retries: int = 0


class Config(Struct, frozen=True, rename="pascal"):
    """What to run; portable between hosts."""

    hostname: str = ""
    domainname: str = ""
    user: str = ""
    attach_stdin: bool = False
    attach_stdout: bool = False
    attach_stderr: bool = False
    exposed_ports: dict[str, Any] | UnsetType = UNSET
    tty: bool = False
    open_stdin: bool = False
    stdin_once: bool = False
    env: list[str] | None = None
    cmd: list[str] | str | None = None
    healthcheck: Healthcheck | UnsetType = UNSET
    args_escaped: bool | UnsetType = UNSET
    image: str = ""
    volumes: dict[str, Any] | None = None
    working_dir: str = ""
    entrypoint: list[str] | str | None = None
    network_disabled: bool | UnsetType = UNSET
    mac_address: str | UnsetType = UNSET
    on_build: list[str] | None = None
    labels: dict[str, str] = {}
    stop_signal: str | UnsetType = UNSET
    stop_timeout: int | UnsetType = UNSET
    shell: list[str] | UnsetType = UNSET


class LogConfig(Struct, frozen=True, rename="pascal"):
    """Which log driver, with its options."""

    type: str = ""
    config: dict[str, str] = {}


class RestartPolicy(Struct, frozen=True, rename="pascal"):
    """When to start again: no, always, on-failure, unless-stopped."""

    name: str = ""
    maximum_retry_count: int = 0


class Ulimit(Struct, frozen=True, rename="pascal"):
    """setrlimit(2) by its short name, e.g. nofile."""

    name: str = ""
    hard: int = 0
    soft: int = 0


class DeviceMapping(Struct, frozen=True, rename="pascal"):
    """One device of the host, by path."""

    path_on_host: str = ""
    path_in_container: str = ""
    cgroup_permissions: str = ""


class MountRequest(Struct, frozen=True, rename="pascal", omit_defaults=True):
    """One entry of HostConfig.Mounts (``--mount``)."""

    type: str = ""
    source: str = ""
    target: str = ""
    read_only: bool = False
    consistency: str = ""
    bind_options: dict[str, Any] = {}
    volume_options: dict[str, Any] = {}
    tmpfs_options: dict[str, Any] = {}


class HostConfig(Struct, frozen=True, rename="pascal"):
    """How to run it here. Sizes in bytes, CPU time in µs (``nano_cpus``: 10⁻⁹ CPUs)."""

    binds: list[str] | None = None
    container_id_file: str = field(default="", name="ContainerIDFile")
    log_config: LogConfig = LogConfig()
    network_mode: str = ""
    port_bindings: dict[str, Any] | None = None
    restart_policy: RestartPolicy = RestartPolicy()
    auto_remove: bool = False
    volume_driver: str = ""
    volumes_from: list[str] | None = None
    console_size: tuple[int, int] = (0, 0)
    annotations: dict[str, str] | UnsetType = UNSET
    cap_add: list[str] | None = None
    cap_drop: list[str] | None = None
    cgroupns_mode: str = ""
    dns: list[str] | None = None
    dns_options: list[str] | None = None
    dns_search: list[str] | None = None
    extra_hosts: list[str] | None = None
    group_add: list[str] | None = None
    ipc_mode: str = ""
    cgroup: str = ""
    links: list[str] | None = None
    oom_score_adj: int = 0
    pid_mode: str = ""
    privileged: bool = False
    publish_all_ports: bool = False
    readonly_rootfs: bool = False
    security_opt: list[str] | None = None
    storage_opt: dict[str, str] | UnsetType = UNSET
    tmpfs: dict[str, str] | UnsetType = UNSET
    uts_mode: str = field(default="", name="UTSMode")
    userns_mode: str = ""
    shm_size: int = 0
    sysctls: dict[str, str] | UnsetType = UNSET
    runtime: str = ""
    isolation: str = ""
    cpu_shares: int = 0
    memory: int = 0
    nano_cpus: int = 0
    cgroup_parent: str = ""
    blkio_weight: int = 0
    blkio_weight_device: list[Any] | None = None
    blkio_device_read_bps: list[Any] | None = None
    blkio_device_write_bps: list[Any] | None = None
    blkio_device_read_iops: list[Any] | None = field(default=None, name="BlkioDeviceReadIOps")
    blkio_device_write_iops: list[Any] | None = field(default=None, name="BlkioDeviceWriteIOps")
    cpu_period: int = 0
    cpu_quota: int = 0
    cpu_realtime_period: int = 0
    cpu_realtime_runtime: int = 0
    cpuset_cpus: str = ""
    cpuset_mems: str = ""
    devices: list[DeviceMapping] | None = None
    device_cgroup_rules: list[str] | None = None
    device_requests: list[Any] | None = None
    memory_reservation: int = 0
    memory_swap: int = 0
    memory_swappiness: int | None = None
    oom_kill_disable: bool | None = None
    pids_limit: int | None = None
    ulimits: list[Ulimit] | None = None
    cpu_count: int = 0
    cpu_percent: int = 0
    io_maximum_iops: int = field(default=0, name="IOMaximumIOps")
    io_maximum_bandwidth: int = field(default=0, name="IOMaximumBandwidth")
    mounts: list[MountRequest] | UnsetType = UNSET
    masked_paths: list[str] | None = None
    readonly_paths: list[str] | None = None
    init: bool | UnsetType = UNSET


class CreateBody(Config, frozen=True, rename="pascal"):
    """The body of ``POST /containers/create``: Config's fields, with HostConfig and NetworkingConfig beside them."""

    host_config: HostConfig = HostConfig()
    networking_config: dict[str, Any] = {}
