"""getrlimit(2): resource limits by the names that the OCI specification uses."""

import resource

NUMBERS = {
    "RLIMIT_" + name: getattr(resource, "RLIMIT_" + name)
    for name in ("CPU", "FSIZE", "DATA", "STACK", "CORE", "RSS", "NPROC", "NOFILE", "MEMLOCK", "AS")
} | {"RLIMIT_LOCKS": 10, "RLIMIT_SIGPENDING": 11, "RLIMIT_MSGQUEUE": 12, "RLIMIT_NICE": 13}
NUMBERS |= {"RLIMIT_RTPRIO": 14, "RLIMIT_RTTIME": 15}

_TOP = 0xFFFFFFFFFFFFFFFF


def _number(value: int) -> int:
    return resource.RLIM_INFINITY if value < 0 or value >= _TOP else value


def apply(name: str, soft: int, hard: int) -> None:
    """Set one limit of this process; -1 is unlimited. An equal value is not written. Raises KeyError, OSError."""
    number = NUMBERS[name]
    wanted = (_number(soft), _number(hard))
    if resource.getrlimit(number) != wanted:
        resource.setrlimit(number, wanted)
