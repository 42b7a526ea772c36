"""Where docker's client shows something else on our engine than on dockerd, and why. The tests read this table.

The judge is Debian 12's dockerd, 20.10, as old as its client: where that changed its words or codes since, ours are
the newer ones.
"""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Difference:
    """``masks``: what is blanked on both sides before the rest is compared; without any only exit codes are.

    ``code``: our exit code, where even that differs.
    """

    reason: str
    masks: tuple[str, ...] = ()
    code: int | None = None


ALWAYS = (
    (rb"\b[0-9a-f]{64}\b", b"<ID>"),
    (rb"\b[0-9a-f]{12}\b", b"<id>"),
    (rb"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d(\.\d+)?Z", b"<TIME>"),
    (rb"\d{4}-\d\d-\d\d \d\d:\d\d:\d\d(\.\d+)? \+0000 UTC", b"<TIME>"),
    (rb"Less than a second|1 second|\d+ seconds|About a minute|\d+ minutes", b"<AGO>"),
    (rb'time="<TIME>" level=error msg="error waiting for container: context canceled"\r?\n', b""),
    (rb"(\x1b\[\d+m)?ERRO(\x1b\[0m)?\[\d+\] error waiting for container: context canceled *\r?\n", b""),
    (rb" {2,}", b"  "),
)
"""Never alike, on two runs of the same engine. (The client's "error waiting" is a race of its own two requests.)"""

_CASE = "begins in lower case, as dockerd's errors do since 23"
_RUNTIME = Difference(
    "the layers of programs that a failure passed through differ",
    ("create shim task|create task for container", "runc create failed: "),
)
_PROMPT = Difference(
    "whether the shell draws its prompt again, upon the first size of its window, is a race",
    (r"\x1b\[\d*[nJ]", "/ # ", r"\r(?!\n)"),
)
_NO_CAPABILITY = Difference(
    "dockerd gives capabilities that this host's root may lack; we give those there are", code=0
)

DIFFERENCES: dict[str, Difference] = {
    "version": Difference("another engine, with no containerd and runc", (r"(?s)^Server:.*", r"^ API version:.*\n")),
    "info": Difference("another engine: only the client's part is alike", (r"(?s)^Server:.*", r"^WARNING: .*\n")),
    "info fields": Difference("dockerd says what process 1 made it believe", (r" \(containerized\)",)),
    "events of nothing known": Difference("an unknown filter is an error, as in every other list", code=1),
    "kill what ended": Difference(_CASE, ("[Cc]annot", "[Cc]ontainer")),
    "kill with nonsense": Difference(_CASE, ("[Ii]nvalid",)),
    "pause what ended": Difference(_CASE, ("[Cc]ontainer",)),
    "rename to a bad name": Difference("dockerd says twice what went wrong", ("Error when allocating new name: ",)),
    "rm what runs": Difference("the newer dockerd's words, which clients look for"),
    "ps by a bad status": Difference(_CASE, ("[Ii]nvalid",)),
    "ps by nonsense": Difference(_CASE, ("[Ii]nvalid",)),
    "images by nonsense": Difference(_CASE, ("[Ii]nvalid",)),
    "inspect host": Difference(
        "our runtime's name, what was asked of isolation, a cgroup namespace always, and two more masked places",
        (
            r'"Runtime":"\w+"',
            r'"Isolation":"\w*"',
            r'"CgroupnsMode":"\w+"',
            '"/proc/interrupts",',
            ',"/sys/devices/virtual/powercap"',
        ),
    ),
    "exec missing program": Difference("127, as since 23", code=127),
    "exec in a missing directory": Difference("127, as since 23", code=127),
    "exec in what ended": Difference(_CASE, ("[Cc]ontainer",)),
    "exec privileged": _NO_CAPABILITY,
    "inside: privileged": _NO_CAPABILITY,
    "run of nothing": Difference("no registries yet; says what to do instead", ("Error response from daemon: .*",)),
    "run without a command": Difference(_CASE, ("[Nn]o command",)),
    "missing program in the background": _RUNTIME,
    "table: missing program": _RUNTIME,
    "table: not executable": _RUNTIME,
    "a directory is no program": Difference(
        _RUNTIME.reason + "; newer ones say that it is a directory", (*_RUNTIME.masks, "is a directory: ")
    ),
    "too many cpus": Difference(_CASE, ("[Rr]ange",)),
    "unknown network": Difference(
        "refused when it is made, not when it starts", (r"\n(\nRun|See) 'docker run --help'.*",)
    ),
    "unknown signal to stop": Difference(_CASE, ("[Ii]nvalid",)),
    "unknown runtime": Difference("the newer dockerd's words", ("Error response from daemon: .*",)),
    "bad host name": Difference(
        "refused when it is made, not when it starts",
        ("Error response from daemon: .*", r"\n(\nRun|See) 'docker run --help'.*"),
    ),
    "inside: mounts": Difference(
        "/proc/interrupts is masked as by newer ones",
        ("/proc/interrupts tmpfs\n",),
    ),
    "inside: loopback": Difference("::1 is there, as since 27", ("inet6 ::1/128\n",)),
    "table: a shell": _PROMPT,
    "table: end of file in a shell": _PROMPT,
    "table: attach, type, exit": Difference("whether the shell's prompt comes before what is typed blindly is a race"),
}

_KERNEL = "the guest's kernel has what this host's may lack"

IN_A_VM: dict[str, Difference] = {
    "relative volume": Difference("no folders of the host in a VM yet: refused before it is read", code=125),
    "inside: devices": Difference(f"{_KERNEL}: /proc/kcore, and with it a link in /dev", (r"^core\n",)),
    "inside: mounts": Difference(
        f"{_KERNEL}: more places to mask; our files of /etc, one more among them, lie in the guest's memory",
        (r"^/etc/(hostname|hosts|machine-id|resolv\.conf) \w+\n", r"^/proc/(kcore|sysrq-trigger) \w+\n"),
    ),
    "inside: mount options": Difference(f"{_KERNEL}: wide inode numbers", (",inode64",)),
    "inside: read-only places": Difference(f"{_KERNEL}: sysrq", (r"^sh: can't create /proc/sysrq-trigger: .*\n",)),
    "inside: masked places": Difference(f"{_KERNEL}: /proc/kcore", (r"^.*/proc/kcore.*\n",)),
    "inside: limits": Difference("a kernel counts what its memory is enough for", (r"\(-[iu]\) \d+",)),
}
"""Those that only a virtual machine has, beside the others."""


def allowed(line: str, vm: bool) -> Difference | None:
    """What may differ in a line."""
    found = [table[line] for table in (DIFFERENCES, *([IN_A_VM] if vm else [])) if line in table]
    if len(found) < 2:
        return found[0] if found else None
    reason, masks = "; ".join(one.reason for one in found), tuple(mask for one in found for mask in one.masks)
    return Difference(reason, masks, found[1].code if found[0].code is None else found[0].code)


def blank(text: bytes, difference: Difference | None) -> bytes:
    """``text`` without what may differ."""
    for pattern, shown in ALWAYS:
        text = re.sub(pattern, shown, text)
    for mask in difference.masks if difference else ():
        text = re.sub(mask.encode(), b"", text, flags=re.MULTILINE)
    return re.sub(rb" {2,}", b"  ", text)
