"""The program's /proc, /dev and /sys, built before the machine is saved, by the same operations that build them else.

A restored machine has translated no code yet, so each kind of mount costs it milliseconds. Docker's own set is the same
for nearly every program: it lies ready in init's mount namespace, and a spec that asks for exactly that gets it bound
into its root. A spec that asks for anything else has it built from the start.
"""

import os
import sys

from ....linux import namespaces
from ....runtime import defaults, plan
from ....runtime.hiding import Mask, Readonly
from ....runtime.operation import Operation, Setup, execute
from ....runtime.operations import Links, MountInside, Nodes
from ....runtime.root import Root

TYPE_CHECKING = False
if TYPE_CHECKING:
    from typing import Any

    from ....oci.runtime import Mount
    from ....runtime.parent import Init
    from .limits import Limits

PLACE = "/run/ready"
_TOPS = ("/proc", "/dev", "/sys")
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


def use(spec: "Any") -> "Any":
    """The spec with the ready set in place of what it asks for, if that is the same."""
    linux = spec.get("linux", {})
    standard = defaults.mounts(2)
    asked = spec.get("mounts", [])
    if (
        asked[: len(standard)] != standard
        or linux.get("maskedPaths") != list(defaults.MASKED)
        or linux.get("readonlyPaths") != list(defaults.READONLY)
        or linux.get("devices")
    ):
        return spec
    bound = [_bound(path) for path in _TOPS]
    rest = {**linux, "maskedPaths": [], "readonlyPaths": []}
    return {**spec, "mounts": [*bound, *asked[len(standard) :]], "linux": rest}


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


def _bound(path: str) -> "Mount":
    return {"destination": path, "type": "bind", "source": PLACE + path, "options": ["rbind"]}
