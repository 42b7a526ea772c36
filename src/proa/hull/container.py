"""ContainerHull: namespaces on the host's kernel, by runtime/, carried by a shim (``container_carrier``)."""

from __future__ import annotations

import os
from contextlib import ExitStack
from typing import TYPE_CHECKING, Literal

from .. import NAME
from ..errors import HostCannot
from .carried import CarriedHull
from .contract import Needs

if TYPE_CHECKING:
    from ..oci.runtime import Mount, Spec
    from .bundle import Bundle, File

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

    async def complete(self, bundle: Bundle, stack: ExitStack) -> tuple[Bundle, list[int]]:
        """The engine's files as mounts, above all others."""
        spec: Spec = bundle["spec"]
        binds = [_bind(file) for file in bundle.get("files", ())]
        return {**bundle, "spec": {**spec, "mounts": [*spec.get("mounts", ()), *binds]}, "files": []}, []


def _bind(file: File) -> Mount:
    options = ["bind", "ro"] if file["readonly"] else ["bind"]
    return {"destination": file["destination"], "type": "bind", "source": file["source"], "options": options}
