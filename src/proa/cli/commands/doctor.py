"""``proa doctor``: another program of ours, which works with no engine; its arguments go through."""

from ... import NAME
from ..handover import hand_over
from ..options import Command

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...client.host import Host
    from ..options import Values


def run(host: "Host", values: "Values", arguments: "list[str]") -> int:
    """Become the doctor."""
    argv = ["--json"] if values.on("json") else []
    if values.get("isolation"):
        argv += ["--isolation", values.text("isolation")]
    return hand_over(host, "engine.doctor", argv)


COMMAND = Command(
    "doctor",
    "[OPTIONS]",
    "Say what this host can run, what is missing, and how to get it",
    (("--isolation", "string", "Exit with 1 if this host cannot have it: process or vm"),),
    run,
    examples=(f"{NAME} doctor --isolation vm && {NAME} run --isolation vm debian uname -r",),
)
