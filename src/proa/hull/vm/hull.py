"""VmHull: virtual machines by QEMU, carried by a shim (``carrier``). The engine's side: parts, shape, template, jail.

The first machine of a shape makes its template and goes on by restoring it; the template's memory is then held here as
a sealed memfd, which every later machine of the shape gets as a descriptor.
"""

from __future__ import annotations

import asyncio
import os
import zlib
from contextlib import ExitStack
from typing import TYPE_CHECKING, Any, Literal

from ...errors import Internal
from ...places import Places
from ..carried import CarriedHull
from ..contract import Listener, Needs
from ..spawn import Spawner
from . import accelerator, confinement, disks, machine, made, memory, parts, probe
from .accelerator import Accelerator
from .maker import Loaded, Makers
from .recipe import Recipe

if TYPE_CHECKING:
    from ...oci.runtime import Resources
    from ..bundle import Bundle, May

THREADS = 512
"""Most threads of one QEMU: virtual CPUs, and up to 64 workers a disk."""


class VmHull(CarriedHull):
    """A ``contract.Hull``."""

    kind: Literal["container", "vm"] = "vm"

    def __init__(self, places: Places, spawner: Spawner, listener: Listener) -> None:
        super().__init__(places, spawner, listener)
        self._loaded: dict[str, Loaded] = {}
        self._makers = Makers()
        self._accelerators: dict[str, Accelerator] = {}
        self._lock = asyncio.Lock()

    def close(self) -> None:
        """See ``CarriedHull``; templates' memory is let go too."""
        super().close()
        self._makers.close()
        for loaded in self._loaded.values():
            os.close(loaded.fd)
        self._loaded.clear()

    def needs(self) -> Needs:
        """Disks and a link. Raises HostCannot, naming the part that is missing and the command that fetches it."""
        parts.find_qemu(self.places)
        parts.find_kernel(self.places)
        return Needs(root="disks", network="link")

    def facts(self) -> dict[str, str]:
        """What inspect shows before anything runs."""
        return {"Kind": "vm"}

    async def host_facts(self) -> dict[str, Any]:
        """What a virtual machine is on this host: for info. Raises HostCannot."""
        qemu, kernel = parts.find_qemu(self.places), parts.find_kernel(self.places)
        found = await self._accelerate(qemu, kernel)
        example = confinement.plan(qemu, "0" * 64, self._may(), "/", accelerator=found.kind)
        return {
            "Accelerator": found.kind,
            "Why": found.why,
            "Boundary": found.boundary,
            "Speed": await asyncio.to_thread(probe.expectation, self.places, qemu, found),
            "Walls": confinement.walls(example),
            "Kernel": kernel.version,
            "Qemu": await asyncio.to_thread(parts.qemu_version, qemu),
            **({"Next": found.next_step} if found.next_step else {}),
        }

    def _may(self) -> May:
        found = self.spawner.findings["may"]
        return {"mknod": found["mknod"], "mount": found["mount"], "setuid": found["setuid"], "cgroup": False}

    async def complete(self, bundle: Bundle, stack: ExitStack) -> tuple[Bundle, list[int]]:
        """Add the machine, and the template's memory as a descriptor."""
        qemu = parts.find_qemu(self.places)
        kernel = parts.find_kernel(self.places)
        found = await self._accelerate(qemu, kernel)
        shape = shape_of(bundle, found.kind)
        recipe = Recipe(
            qemu=qemu,
            kernel=kernel,
            cpus=shape.cpus,
            memory=shape.memory,
            accelerator=shape.accelerator,
            cache=self.places.state,
            host=_host_flags() if found.kind == "kvm" else "",
            may=bundle["may"],
            **_model(bundle),
        )
        loaded = await self._template(recipe)
        fd = os.dup(loaded.fd)
        stack.callback(os.close, fd)
        jail = confinement.plan(qemu, bundle["id"], bundle["may"], bundle["run"], accelerator=found.kind)
        described: dict[str, Any] = {
            "command": machine.command(list(qemu.argv), shape, flush=not bundle.get("volatile", False)),
            "env": dict(qemu.env),
            "resources": burden(shape, bundle),
            "template": loaded.directory,
            "state": f"{loaded.directory}/state",
            "jail": jail,
            "facts": {
                **self.facts(),
                "Accelerator": found.kind,
                "Why": found.why,
                "Boundary": found.boundary,
                "Speed": probe.expectation(self.places, qemu, found, measure=False),
                "Walls": confinement.walls(jail),
                "Kernel": loaded.meta.hello["kernel"],
                "Qemu": loaded.meta.qemu,
                "Cpus": shape.cpus,
                "Memory": shape.memory << 20,
                "Template": os.path.basename(loaded.directory),
            },
        }
        return {**bundle, "machine": described, "fds": ["template"]}, [fd]

    async def _accelerate(self, qemu: parts.Qemu, kernel: parts.Kernel) -> Accelerator:
        """Decided once for each QEMU and kernel; a trial, where one is needed, is remembered on disk."""
        name = f"{qemu.identity} {kernel.image}"
        if name not in self._accelerators:
            forced = os.environ.get("PROA_ACCELERATOR", "")

            def decide() -> Accelerator:
                return accelerator.decide(accelerator.gather(), lambda: probe.kvm(self.places, qemu, kernel), forced)

            self._accelerators[name] = await asyncio.to_thread(decide)
        return self._accelerators[name]

    async def _template(self, recipe: Recipe) -> Loaded:
        """The template of a recipe, made if need be, loaded once. Raises HostCannot, Internal."""
        name = recipe.dump()
        async with self._lock:
            loaded = self._loaded.get(name)
            if loaded is not None and self._intact(loaded):
                return loaded
            if loaded is not None:
                os.close(self._loaded.pop(name).fd)
            loaded = self._loaded[name] = await self._load(recipe)
            return loaded

    async def _load(self, recipe: Recipe) -> Loaded:
        for _attempt in range(2):
            there = await asyncio.to_thread(made.known, recipe)
            loaded = Loaded(*there, -1) if there is not None else await self._makers.make(recipe)
            if loaded.fd >= 0:
                return loaded
            directory, meta, _ = loaded
            try:
                fd = await asyncio.to_thread(memory.load, f"{directory}/ram", meta.ram_size, meta.ram_checksum)
                return loaded._replace(fd=fd)
            except ValueError:
                os.unlink(f"{directory}/meta.json")  # damaged: made anew
        raise Internal("the template is damaged as soon as it is made", code="template-damaged", input=directory)

    def _intact(self, loaded: Loaded) -> bool:
        """Whether the files beside the memory are still those of this template: half a millisecond for some 400 KB."""
        try:
            with open(f"{loaded.directory}/state", "rb") as file:
                whole = zlib.crc32(file.read()) == loaded.meta.state_checksum
        except OSError:
            return False
        return whole and (self._makers.writing(loaded.directory) or os.path.exists(f"{loaded.directory}/meta.json"))


def _model(bundle: Bundle) -> dict[str, str]:
    """The part of a Recipe that says which empty file system the template knows."""
    path = next((disk.get("model", "") for disk in bundle["disks"] if disk["role"] == "upper"), "")
    return {"blank": path, "blank_identity": disks.identity(path)} if path else {}


def burden(shape: machine.Shape, bundle: Bundle) -> Resources:
    """What QEMU itself may take, enforced outside of it: RAM and its own needs, and the processor time asked for.

    Nothing where this host has no cgroups: the limits inside of the machine hold all the same.
    """
    if not bundle["cgroup"]["version"]:
        return {}
    memory_max = (shape.memory + machine.BURDEN) << 20
    resources: Resources = {"memory": {"limit": memory_max, "swap": memory_max}, "pids": {"limit": THREADS}}
    cpu = bundle["spec"].get("linux", {}).get("resources", {}).get("cpu")
    if cpu:
        resources["cpu"] = cpu
    return resources


def shape_of(bundle: Bundle, accelerator: str) -> machine.Shape:
    """The shape that a bundle's limits ask for."""
    resources = bundle["spec"].get("linux", {}).get("resources", {})
    cpu = resources.get("cpu", {})
    quota, period = cpu.get("quota", 0), cpu.get("period", 100_000) or 100_000
    wanted = -(-quota // period) if quota > 0 else 1
    cpus = max(1, min(wanted, os.cpu_count() or 1))
    return machine.Shape(cpus, machine.memory(resources.get("memory", {}).get("limit", 0)), accelerator)


def _host_flags() -> str:
    """The processor's features, which a guest under KVM sees: another host's template would not restore."""
    with open("/proc/cpuinfo", encoding="ascii", errors="replace") as file:
        wanted = ("model name", "flags", "Features")
        return "\n".join(sorted({line.strip() for line in file if line.startswith(wanted)}))
