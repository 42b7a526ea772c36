"""What may be asked of memory, CPU and processes, and Docker's units turned into OCI's. Texts are dockerd's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import InvalidRequest

if TYPE_CHECKING:
    from ..dockerapi.containers import Healthcheck, HostConfig, RestartPolicy, Ulimit
    from ..oci.runtime import Cpu, Memory, Resources

MEMORY_MIN = 6 << 20
SHARES = (2, 262_144)
QUOTA_MAX = (1 << 44) - 1
"""µs; kernel/sched/core.c, max_bw_runtime_us."""

PIDS_MAX = 4 << 20
"""PID_MAX_LIMIT of 64-bit kernels."""

ID_MAX = (1 << 31) - 1
ULIMITS = frozenset(
    "core cpu data fsize locks memlock msgqueue nice nofile nproc rss rtprio rttime sigpending stack".split()
)
CPU_PERIOD = 100_000
"""µs; Docker's period for NanoCpus."""


def _invalid(text: str, code: str) -> InvalidRequest:
    return InvalidRequest(text, code=code)


def check(host: HostConfig, cpus: int) -> None:
    """Raises InvalidRequest for limits that contradict each other or cannot be."""
    _check_memory(host)
    _check_cpu(host, cpus)
    if host.pids_limit and host.pids_limit > PIDS_MAX:
        raise _invalid(f"the maximum allowed pids limit is {PIDS_MAX}", "pids-limit-out-of-range")
    for ulimit in host.ulimits or []:
        _check_ulimit(ulimit)
    if min(host.console_size) < 0:
        raise _invalid("a terminal's height and width cannot be negative", "invalid-parameter")
    if host.shm_size < 0:
        raise _invalid("SHM size can not be less than 0", "invalid-shm-size")
    if not -1000 <= host.oom_score_adj <= 1000:
        raise _invalid(
            f"Invalid value {host.oom_score_adj}, range for oom score adj is [-1000, 1000]", "invalid-oom-score-adj"
        )


def _check_memory(host: HostConfig) -> None:
    if host.memory and host.memory < MEMORY_MIN:
        raise _invalid("Minimum memory limit allowed is 6MB", "memory-too-small")
    if host.memory_swap > 0 and not host.memory:
        raise _invalid("You should always set the Memory limit when using Memoryswap limit, see usage", "swap-alone")
    if host.memory_swappiness is not None and not -1 <= host.memory_swappiness <= 100:
        raise _invalid(
            f"Invalid value: {host.memory_swappiness}, valid memory swappiness range is 0-100", "invalid-swappiness"
        )
    if 0 < host.memory_reservation < MEMORY_MIN:
        raise _invalid("Minimum memory reservation allowed is 6MB", "reservation-too-small")
    if 0 < host.memory_swap < host.memory:
        raise _invalid("Minimum memoryswap limit should be larger than memory limit, see usage", "swap-too-small")
    if host.memory_reservation and host.memory and host.memory < host.memory_reservation:
        raise _invalid(
            "Minimum memory limit can not be less than memory reservation limit, see usage", "reservation-too-large"
        )


def _check_cpu(host: HostConfig, cpus: int) -> None:
    if host.nano_cpus and (host.cpu_period or host.cpu_quota):
        raise _invalid("Conflicting options: Nano CPUs and CPU Period cannot both be set", "cpus-and-period")
    if host.nano_cpus and not 10_000_000 <= host.nano_cpus <= cpus * 1_000_000_000:
        raise _invalid(
            f"range of CPUs is from 0.01 to {cpus}.00, as there are only {cpus} CPUs available", "cpus-out-of-range"
        )
    if host.cpu_period and not 1000 <= host.cpu_period <= 1_000_000:
        raise _invalid(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)", "cpu-period"
        )
    if 0 < host.cpu_quota < 1000:
        raise _invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)", "cpu-quota")
    if host.cpu_quota > QUOTA_MAX:
        raise _invalid(f"CPU cfs quota can not be larger than {QUOTA_MAX}", "cpu-quota")
    least, most = SHARES
    if host.cpu_shares and host.cpu_shares < least:
        raise _invalid(f"the minimum allowed cpu-shares is {least}", "cpu-shares-out-of-range")
    if host.cpu_shares > most:
        raise _invalid(f"the maximum allowed cpu-shares is {most}", "cpu-shares-out-of-range")


def _check_ulimit(ulimit: Ulimit) -> None:
    if ulimit.name not in ULIMITS:
        raise _invalid(f"invalid ulimit type: {ulimit.name}", "unknown-ulimit")
    if min(ulimit.soft, ulimit.hard) < -1:
        raise _invalid(
            f"ulimit {ulimit.name}: a limit is -1 (unlimited) or not negative: {ulimit.soft}:{ulimit.hard}",
            "invalid-ulimit",
        )
    if ulimit.hard >= 0 and ulimit.soft == -1:
        raise _invalid(
            f"ulimit soft limit must be less than or equal to hard limit: soft: -1 (unlimited), hard: {ulimit.hard}",
            "ulimit-soft-over-hard",
        )
    if -1 < ulimit.hard < ulimit.soft:
        raise _invalid(
            f"ulimit soft limit must be less than or equal to hard limit: {ulimit.soft} > {ulimit.hard}",
            "ulimit-soft-over-hard",
        )


def check_restart(policy: RestartPolicy) -> None:
    """Raises InvalidRequest for a number of tries that cannot be."""
    count = policy.maximum_retry_count
    if policy.name == "on-failure" and count < 0:
        raise _invalid("invalid restart policy: maximum retry count cannot be negative", "invalid-restart-policy")
    if policy.name in ("no", "always", "unless-stopped") and count:
        more = " and cannot be negative" if count < 0 else ""
        raise _invalid(
            f"invalid restart policy: maximum retry count can only be used with 'on-failure'{more}",
            "invalid-restart-policy",
        )


def check_health(health: Healthcheck) -> None:
    """Raises InvalidRequest for times and tries that cannot be. Times are in ns; 0 is the default."""
    for name, time in (
        ("Interval", health.interval),
        ("Timeout", health.timeout),
        ("StartPeriod", health.start_period),
        ("StartInterval", health.start_interval),
    ):
        if time and time < 1_000_000:
            raise _invalid(f"{name} in Healthcheck cannot be less than 1ms", "invalid-healthcheck")
    if health.retries < 0:
        raise _invalid("Retries in Healthcheck cannot be negative", "invalid-healthcheck")


def check_ids(words: list[str]) -> None:
    """Raises InvalidRequest for a user's or a group's number that is none; names are the image's to know."""
    for word in words:
        digits = word.removeprefix("-")
        if digits.isascii() and digits.isdecimal() and (digits is not word or int(digits) > ID_MAX):
            raise _invalid(f"uids and gids must be in range 0-{ID_MAX}", "id-out-of-range")


def resources(host: HostConfig) -> Resources:
    """Memory, CPU and pids as OCI's resources; without devices."""
    found: Resources = {}
    memory = _memory(host)
    cpu = _cpu(host)
    if memory:
        found["memory"] = memory
    if cpu:
        found["cpu"] = cpu
    if host.pids_limit and host.pids_limit > 0:
        found["pids"] = {"limit": host.pids_limit}
    return found


def _memory(host: HostConfig) -> Memory:
    memory: Memory = {}
    if host.memory:
        memory["limit"] = host.memory
    if host.memory_swap:
        memory["swap"] = max(host.memory_swap, -1)
    if host.memory_reservation > 0:
        memory["reservation"] = host.memory_reservation
    return memory


def _cpu(host: HostConfig) -> Cpu:
    cpu: Cpu = {}
    if host.nano_cpus:
        cpu["period"], cpu["quota"] = CPU_PERIOD, host.nano_cpus * CPU_PERIOD // 1_000_000_000
    if host.cpu_period:
        cpu["period"] = host.cpu_period
    if host.cpu_quota:
        cpu["quota"] = max(host.cpu_quota, -1)
    if host.cpu_shares:
        cpu["shares"] = host.cpu_shares
    if host.cpuset_cpus:
        cpu["cpus"] = host.cpuset_cpus
    return cpu
