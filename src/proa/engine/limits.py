"""What may be asked of memory, CPU and processes, and Docker's units turned into OCI's. Texts are dockerd's."""

from __future__ import annotations

from typing import TYPE_CHECKING

from ..errors import InvalidRequest

if TYPE_CHECKING:
    from ..dockerapi.containers import HostConfig
    from ..oci.runtime import Cpu, Memory, Resources

MEMORY_MIN = 6 << 20
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
    for ulimit in host.ulimits or []:
        if ulimit.name not in ULIMITS:
            raise _invalid(f"invalid ulimit type: {ulimit.name}", "unknown-ulimit")
        if -1 < ulimit.hard < ulimit.soft:
            raise _invalid(
                f"ulimit soft limit must be less than or equal to hard limit: {ulimit.soft} > {ulimit.hard}",
                "ulimit-soft-over-hard",
            )
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
    if 0 < host.memory_swap < host.memory:
        raise _invalid("Minimum memoryswap limit should be larger than memory limit, see usage", "swap-too-small")
    if host.memory_reservation and host.memory and host.memory < host.memory_reservation:
        raise _invalid(
            "Minimum memory limit can not be less than memory reservation limit, see usage", "reservation-too-large"
        )


def _check_cpu(host: HostConfig, cpus: int) -> None:
    if host.nano_cpus and (host.cpu_period or host.cpu_quota):
        raise _invalid("Conflicting options: Nano CPUs and CPU Period cannot both be set", "cpus-and-period")
    if host.nano_cpus < 0 or host.nano_cpus > cpus * 1_000_000_000:
        raise _invalid(
            f"range of CPUs is from 0.01 to {cpus}.00, as there are only {cpus} CPUs available", "cpus-out-of-range"
        )
    if host.cpu_period and not 1000 <= host.cpu_period <= 1_000_000:
        raise _invalid(
            "CPU cfs period can not be less than 1ms (i.e. 1000) or larger than 1s (i.e. 1000000)", "cpu-period"
        )
    if 0 < host.cpu_quota < 1000:
        raise _invalid("CPU cfs quota can not be less than 1ms (i.e. 1000)", "cpu-quota")


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
        memory["swap"] = host.memory_swap
    if host.memory_reservation:
        memory["reservation"] = host.memory_reservation
    return memory


def _cpu(host: HostConfig) -> Cpu:
    cpu: Cpu = {}
    if host.nano_cpus:
        cpu["period"], cpu["quota"] = CPU_PERIOD, host.nano_cpus * CPU_PERIOD // 1_000_000_000
    if host.cpu_period:
        cpu["period"] = host.cpu_period
    if host.cpu_quota:
        cpu["quota"] = host.cpu_quota
    if host.cpu_shares:
        cpu["shares"] = host.cpu_shares
    if host.cpuset_cpus:
        cpu["cpus"] = host.cpuset_cpus
    return cpu
