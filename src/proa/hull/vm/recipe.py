"""What a template is made of, and what is known of a finished one: values that engine and template maker exchange."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import TYPE_CHECKING, Any, NamedTuple

from . import machine
from .parts import Kernel, Qemu

if TYPE_CHECKING:
    from ..bundle import May


class Recipe(NamedTuple):
    """``cache``: STATE, where unpacked kernels, boot images and templates are kept; ``host``: CPU flags where the guest
    sees the host's; ``may``: what this host lets us do, for QEMU's jail; ``blank``: the empty file system that volatile
    writable disks are copies of, mounted in the template already, and which file that is."""

    qemu: Qemu
    kernel: Kernel
    cpus: int
    memory: int
    accelerator: str
    cache: str
    host: str
    may: May
    blank: str = ""
    blank_identity: str = ""

    @property
    def shape(self) -> machine.Shape:
        """The machine's shape."""
        return machine.Shape(self.cpus, self.memory, self.accelerator)

    def dump(self) -> str:
        """As JSON; equal recipes give equal text."""
        return json.dumps({**self._asdict(), "qemu": asdict(self.qemu), "kernel": asdict(self.kernel)}, sort_keys=True)


def load(text: str) -> Recipe:
    """A recipe from its JSON."""
    values = json.loads(text)
    return Recipe(**{**values, "qemu": _qemu(values["qemu"]), "kernel": Kernel(**values["kernel"])})


def _qemu(values: dict[str, Any]) -> Qemu:
    env = tuple((str(name), str(value)) for name, value in values["env"])
    return Qemu(**{**values, "argv": tuple(values["argv"]), "env": env, "reads": tuple(values["reads"])})


class Meta(NamedTuple):
    """A finished template. ``hello``: what its guest said; ``seconds``: how long it took, of these ``saved``: to
    stop and write it; ``qemu``: the version that did; ``family``: the hash of what
    all templates of one installation share (QEMU, kernel, boot image)."""

    version: int
    ram_size: int
    ram_checksum: int
    state_size: int
    state_checksum: int
    hello: dict[str, Any]
    seconds: float
    saved: float
    family: str
    qemu: str
