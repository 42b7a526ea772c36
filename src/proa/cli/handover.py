"""Become another program of ours: same process, same standard streams, its own imports."""

import posix

from .. import program

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import NoReturn

    from ..client.host import Host


def hand_over(host: "Host", module: str, argv: "Sequence[str]") -> "NoReturn":
    """Run ``main()`` of ``proa.<module>`` with ``argv`` for the places of ``host``, in this process's place."""
    env = dict(posix.environ)
    if host.root:
        env[b"PROA_ROOT"] = host.root.encode("utf-8", "surrogateescape")
    line = program.argv(module, *argv)
    posix.execve(line[0], line, env)
