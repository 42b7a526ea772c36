"""ContainerHull: namespaces on the host's kernel, by runtime/, carried by a shim (``container_carrier``)."""

from __future__ import annotations

import os
from typing import Literal

from .. import NAME
from ..errors import HostCannot
from .carried import CarriedHull
from .contract import Needs

_MISSING = {
    "namespaces": "may not make namespaces",
    "mount": "may not mount",
    "proc": "may not mount proc",
    "overlay": "has no overlay file system, or may not mount it",
}


class ContainerHull(CarriedHull):
    """A ``contract.Hull``."""

    kind: Literal["container", "vm"] = "container"

    def needs(self) -> Needs:
        """Mounts and a network namespace. Raises HostCannot, naming what this host refused when it was tried."""
        refused = self.spawner.findings["container"]
        if refused:
            missing = str(refused.get("missing", ""))
            why = _MISSING.get(missing, f"lacks {missing}")
            raise HostCannot(
                f"this host cannot run containers: it {why} ({refused.get('text')})",
                hull="container",
                missing=missing,
                code="no-container-hull",
                next_step=f"{NAME} run --isolation vm …",
            )
        return Needs(root="mounts", network="namespace")

    def facts(self) -> dict[str, str]:
        """What inspect shows."""
        return {"Kind": "container", "Kernel": os.uname().release}
