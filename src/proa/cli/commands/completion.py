"""``proa completion``: the script that makes a shell complete our commands."""

from ... import NAME
from ..options import Command
from ..output import text

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ...client.host import Host
    from ..options import Values


def run(host: "Host", values: "Values", arguments: "list[str]") -> int:
    """Print it."""
    from ..usage import script

    text(script(arguments[0]))
    return 0


COMMAND = Command(
    "completion",
    "bash|zsh|fish",
    "Print a completion script for bash, zsh or fish",
    (),
    run,
    arguments=(1, 1),
    examples=(f"{NAME} completion bash > /etc/bash_completion.d/{NAME}", f'eval "$({NAME} completion zsh)"'),
)
