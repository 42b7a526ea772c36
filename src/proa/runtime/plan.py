"""From an order to the operations that build its container: a pure function, so that a plan can be read and tested.

The order is runc's; what runc does after pivot_root (masked and read-only paths, sysctls) is done before it with the
same effect, because the host's /proc can then be trusted to name descriptors.
"""

from . import defaults
from .hiding import Mask, Readonly
from .operation import Operation
from .operations import (
    BindRoot,
    Detach,
    Links,
    MountInside,
    Names,
    Nodes,
    OpenRoot,
    Pivot,
    ReadonlyRoot,
    RootMount,
    Sysctl,
    WorkingDirectory,
)

TYPE_CHECKING = False
if TYPE_CHECKING:
    from ..oci.runtime import Device, Spec
    from .messages import Order


def before_console(order: "Order") -> "list[Operation]":
    """Up to the point where the container's devpts stands."""
    spec = order["spec"]
    path = spec["root"]["path"]
    steps: list[Operation] = [Detach()]
    steps += [RootMount(mount) for mount in order["root"]] or [BindRoot(path)]
    steps.append(OpenRoot(path))
    shown = order["hierarchies"] if has_own(spec, "cgroup") else []  # the host's are nobody's business
    steps += [MountInside(mount, shown) for mount in spec.get("mounts", ())]
    if owns_dev(spec):
        steps += [Nodes(devices(spec), order["may"]["mknod"] and not in_user_namespace(spec)), Links()]
    return steps


def after_console(order: "Order") -> "list[Operation]":
    """The rest; after it, paths are the container's own."""
    spec = order["spec"]
    linux = spec.get("linux", {})
    steps: list[Operation] = [Sysctl(name, value) for name, value in linux.get("sysctl", {}).items()]
    steps += [Readonly(path) for path in linux.get("readonlyPaths", ())]
    steps += [Mask(path) for path in dict.fromkeys(linux.get("maskedPaths", ()))]
    steps.append(WorkingDirectory(spec["process"]["cwd"]))
    if spec["root"].get("readonly"):
        steps.append(ReadonlyRoot())
    steps.append(Pivot())
    if (spec.get("hostname") or spec.get("domainname")) and has_own(spec, "uts"):
        steps.append(Names(spec.get("hostname", ""), spec.get("domainname", "")))
    return steps


def devices(spec: "Spec") -> "list[Device]":
    """The spec's nodes, and those that every container has."""
    asked = spec.get("linux", {}).get("devices", [])
    paths = {device["path"] for device in asked}
    return [*asked, *(device for device in defaults.DEVICES if device["path"] not in paths)]


def owns_dev(spec: "Spec") -> bool:
    """Whether /dev is the container's own to fill, and not the host's bound in."""
    return not any(
        mount["destination"].rstrip("/") == "/dev" and mount.get("type") not in ("tmpfs", "devtmpfs")
        for mount in spec.get("mounts", ())
    )


def has_own(spec: "Spec", type: str) -> bool:
    """Whether the container has a namespace of this type that is not the host's."""
    return any(namespace["type"] == type for namespace in spec.get("linux", {}).get("namespaces", ()))


def in_user_namespace(spec: "Spec") -> bool:
    """Whether the container has a user namespace."""
    return has_own(spec, "user")
