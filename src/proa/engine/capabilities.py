"""Which capabilities a container gets: Docker's default set, with --cap-add, --cap-drop and --privileged applied."""

from __future__ import annotations

from ..errors import InvalidRequest

# capabilities(7), in the order of their numbers
ALL = tuple(
    f"CAP_{name}"
    for name in (
        "CHOWN DAC_OVERRIDE DAC_READ_SEARCH FOWNER FSETID KILL SETGID SETUID SETPCAP LINUX_IMMUTABLE NET_BIND_SERVICE "
        "NET_BROADCAST NET_ADMIN NET_RAW IPC_LOCK IPC_OWNER SYS_MODULE SYS_RAWIO SYS_CHROOT SYS_PTRACE SYS_PACCT "
        "SYS_ADMIN SYS_BOOT SYS_NICE SYS_RESOURCE SYS_TIME SYS_TTY_CONFIG MKNOD LEASE AUDIT_WRITE AUDIT_CONTROL "
        "SETFCAP MAC_OVERRIDE MAC_ADMIN SYSLOG WAKE_ALARM BLOCK_SUSPEND AUDIT_READ PERFMON BPF CHECKPOINT_RESTORE"
    ).split()
)
_KNOWN = frozenset(ALL)


def choose(default: list[str], add: list[str], drop: list[str], *, privileged: bool) -> list[str]:
    """The set a container gets, in the order of capabilities(7). Raises InvalidRequest for an unknown name."""
    adds, drops = _names(add, "CapAdd"), _names(drop, "CapDrop")
    if privileged:
        return list(ALL)
    chosen = set(ALL) if "ALL" in adds else set() if "ALL" in drops else set(default)
    chosen |= adds - {"ALL"}
    chosen -= drops - {"ALL"}
    return [name for name in ALL if name in chosen]


def _names(words: list[str], field: str) -> set[str]:
    return {_name(word, field) for word in words}


def _name(word: str, field: str) -> str:
    name = word.upper()
    if name == "ALL":
        return name
    if not name.startswith("CAP_"):
        name = "CAP_" + name
    if name not in _KNOWN:
        raise InvalidRequest(f'invalid {field}: unknown capability: "{name}"', code="unknown-capability", input=word)
    return name
