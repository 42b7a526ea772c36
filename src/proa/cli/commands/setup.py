"""``proa setup``: another program of ours, which fetches the parts that virtual machines need."""

from ... import NAME
from ..handover import hand_over
from ..options import Command, names

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...client.host import Host
    from ..options import Option, Values

_OPTIONS: "tuple[Option, ...]" = (
    ("--all", "", "Fetch also what this host already has"),
    ("--kernel", "string", "Use this kernel file instead of fetching one"),
    ("--modules", "string", "The kernel's modules: the directory that holds kernel/"),
    ("--show", "", "Say what would be fetched, and fetch nothing"),
    ("--user", "", "Into this user's own folder: needs no privilege"),
)


def run(host: "Host", values: "Values", arguments: "list[str]") -> int:
    """Become the fetcher."""
    argv = ["--json"] if values.on("json") else []
    for option in _OPTIONS:
        flag = names(option)[-1]
        value = values.get(flag[2:])
        if value:
            argv += [flag] if value is True else [flag, str(value)]
    return hand_over(host, "hull.vm.fetch", argv)


COMMAND = Command(
    "setup",
    "[OPTIONS]",
    "Fetch the kernel and QEMU that virtual machines need; nothing is installed into the system",
    _OPTIONS,
    run,
    examples=(f"sudo {NAME} setup", f"{NAME} setup --user"),
)
