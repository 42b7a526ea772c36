"""The program's /proc, /dev and /sys, built before the machine is saved, by the same operations that build them else.

A restored machine has translated no code yet, so each kind of mount costs it milliseconds. ``standard`` says which
specs get this set.
"""

import os
import sys

from ....linux import namespaces
from ....runtime import defaults, plan
from ....runtime.hiding import Mask, Readonly
from ....runtime.operation import Operation, Setup, execute
from ....runtime.operations import Links, MountInside, Nodes
from ....runtime.root import Root
from ..standard import READY as PLACE

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ....runtime.parent import Init
    from .limits import Limits

_JOINED = namespaces.CLONE_NEWNS | namespaces.CLONE_NEWUTS | namespaces.CLONE_NEWIPC


def build(init: "Init", limits: "Limits") -> None:
    """Build the set in init's namespaces. Raises OSError, StartFailure: the machine is of no use."""
    os.mkdir(PLACE, 0o755)
    own = os.open("/proc/self/ns/pid", os.O_RDONLY | os.O_CLOEXEC)
    namespaces.setns(init.pidfd, namespaces.CLONE_NEWPID)  # for the child: proc shows its mounter's processes
    pid = os.fork()
    if pid == 0:
        try:
            _child(init, limits)
            os._exit(0)
        except BaseException:  # a copy of process 1 must not run on; the console hears why
            sys.excepthook(*sys.exc_info())
        finally:
            os._exit(1)
    namespaces.setns(own, namespaces.CLONE_NEWPID)
    os.close(own)
    if os.waitpid(pid, 0)[1]:
        raise OSError("the program's file systems could not be prepared")


def _child(init: "Init", limits: "Limits") -> None:
    limits.join()
    namespaces.setns(init.pidfd, _JOINED)
    namespaces.unshare(namespaces.CLONE_NEWCGROUP)
    os.umask(0)
    setup = Setup()
    setup.root = Root(PLACE)
    spec: "Any" = {"process": {"args": [], "cwd": "/"}, "root": {"path": PLACE}, "mounts": defaults.mounts(2)}
    steps: "list[Operation]" = [MountInside(mount, [""]) for mount in spec["mounts"]]
    steps += [Nodes(plan.devices(spec), True), Links()]
    steps += [Readonly(path) for path in defaults.READONLY]
    steps += [Mask(path) for path in defaults.MASKED]
    execute(steps, setup)
