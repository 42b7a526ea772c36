"""Templates: a machine that has booted, said hello and waits, saved once and restored copy-on-write for every VM.

    STATE/templates/KEY/   ram (sparse, as the guest left it), state (devices), filter (that its guest has ready),
                           meta.json (Meta), made-from.json, console.log
    STATE/templates/KEY.lock

A key is the hash of everything that a restore needs to be the same. A directory appears by rename, all but its memory
in it; meta.json comes last: without it the template is none. Checksums find the rest. ``main`` is the program that
makes one (``maker`` has what it says): a cold boot is "make the template and go on".
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
import shutil
import sys
import time
import zlib
from collections.abc import Callable
from typing import Any, NamedTuple

from ...errors import HostCannot, ProaError
from ...runtime import defaults, seccomp
from . import bootimage, cold, confinement, kernel, machine, made, memory, standard
from .recipe import Meta, Recipe, load

YOUNG = 3600
"""Seconds: a machine of another family may just be starting from it."""


class Prepared(NamedTuple):
    """What a recipe comes to: the template's name (32 hex digits), its family, and what a cold boot takes."""

    key: str
    family: str
    boot: machine.Boot
    filter: bytes
    inputs: list[str]


def prepare(recipe: Recipe) -> Prepared:
    """Kernel and boot image as files, and the key. Raises HostCannot, InvalidRequest, Internal, OSError."""
    linux = kernel.prepare(recipe.kernel.image, f"{recipe.cache}/kernels")
    filter = _filter()
    signed = kernel.wants_signatures(recipe.kernel.image, recipe.kernel.version)
    boot = bootimage.build(recipe.kernel.modules, f"{recipe.cache}/boot", filter, signed)
    inputs = [recipe.kernel.image, *boot.inputs]
    shape = recipe.shape
    commands = [machine.command([], shape), machine.command([], shape, machine.Boot("", "", boot.init))]
    family = _hash([made.VERSION, recipe.qemu.argv, recipe.qemu.identity, linux.digest, boot.digest])
    key = _hash([family, commands, recipe.host, recipe.blank_identity])
    return Prepared(key, family, machine.Boot(linux.image, boot.path, boot.init), filter, inputs)


def _filter() -> bytes:
    """Docker's own filter; nothing where it cannot be compiled: the order then brings what the program gets."""
    try:
        return seccomp.compile(frozenset(defaults.CAPABILITIES))
    except HostCannot:
        return b""


def _hash(parts: list[object]) -> str:
    return hashlib.sha256(json.dumps(parts).encode()).hexdigest()[:32]


def make(recipe: Recipe, prepared: Prepared, directory: str, ram: int, tell: Callable[[Meta, bool], None]) -> None:
    """The template in ``directory``, made if it is not there; several makers at once make one.

    ``tell(meta, fresh)`` is called as soon as machines can be restored from it. ``fresh``: it was booted in the memfd
    ``ram``, which is sealed then, and is written to the directory behind that call.
    """
    os.makedirs(os.path.dirname(directory), mode=0o700, exist_ok=True)
    lock = os.open(directory + ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        meta = made.find(directory)
        if meta is not None:
            tell(meta, False)
            return
        meta = _make(recipe, prepared, directory, ram)
        tell(meta, True)
        _write(directory, ram, meta)
    finally:
        os.close(lock)


def _make(recipe: Recipe, prepared: Prepared, directory: str, ram: int) -> Meta:
    temporary = directory + ".new"
    shutil.rmtree(temporary, ignore_errors=True)
    os.mkdir(temporary, 0o700)
    try:
        meta = _boot(recipe, prepared, temporary, ram)
        with open(f"{temporary}/{standard.FILTER}", "wb") as binary:
            binary.write(prepared.filter)
        made.remember(temporary, recipe, prepared.inputs)
        shutil.rmtree(directory, ignore_errors=True)
        os.rename(temporary, directory)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return meta


def _write(directory: str, ram: int, meta: Meta) -> None:
    """The memory as a file, then what makes the template whole. Raises OSError; what is there is no template then."""
    path = f"{directory}/ram"
    try:
        with open(path, "w+b") as file:
            os.ftruncate(file.fileno(), meta.ram_size)
            checksum = memory.copy(ram, file.fileno())
    except OSError:
        with contextlib.suppress(FileNotFoundError):
            os.unlink(path)  # the disk is full
        raise
    temporary = f"{directory}/meta.new"
    with open(temporary, "w", encoding="utf-8") as text:
        json.dump(meta._replace(ram_checksum=checksum)._asdict(), text)
    os.rename(temporary, f"{directory}/meta.json")


def _boot(recipe: Recipe, prepared: Prepared, directory: str, ram: int) -> Meta:
    began = time.monotonic()
    size = recipe.memory << 20
    files = (prepared.boot.kernel, prepared.boot.initrd)
    hidden = f"{directory}/jail"
    os.mkdir(hidden, 0o700)
    jail = confinement.plan(recipe.qemu, prepared.key, recipe.may, hidden, accelerator=recipe.accelerator, files=files)
    with open(f"{directory}/state", "w+b") as state:
        booted = cold.boot(recipe, prepared.boot, jail, ram, state.fileno())
        memory.seal(ram)
        state.seek(0)
        saved = state.read()
    os.rmdir(hidden)
    with open(f"{directory}/console.log", "wb") as file:
        file.write(booted.console)
    return Meta(
        made.VERSION,
        size,
        0,
        len(saved),
        zlib.crc32(saved),
        booted.hello,
        round(time.monotonic() - began, 3),
        booted.saved,
        prepared.family,
        booted.qemu,
    )


def prune(recipe: Recipe, prepared: Prepared) -> None:
    """Remove what no later VM can use: templates, kernels, boot images of other families, unless they are young."""
    kept = (prepared.boot.kernel, prepared.boot.initrd)
    limit = time.time() - YOUNG
    for name in ("kernels", "boot"):
        for entry in _entries(f"{recipe.cache}/{name}"):
            if entry.path not in kept and entry.stat().st_mtime < limit:
                os.unlink(entry.path)
    for entry in _entries(f"{recipe.cache}/templates"):
        if entry.is_dir(follow_symlinks=False) and entry.stat().st_mtime < limit:
            meta = made.find(entry.path)
            if meta is None or meta.family != prepared.family:
                shutil.rmtree(entry.path, ignore_errors=True)
                with contextlib.suppress(FileNotFoundError):
                    os.unlink(entry.path + ".lock")


def _entries(directory: str) -> list[os.DirEntry[str]]:
    try:
        return list(os.scandir(directory))
    except FileNotFoundError:
        return []


def main() -> None:
    """Program: a Recipe as JSON, a memfd's number; see ``maker``.

    Ends at once, and QEMU with it, when its stdin is closed before the machine is there.
    """
    recipe, ram = load(sys.argv[1]), int(sys.argv[2])
    booted = False

    def tell(meta: Meta, fresh: bool) -> None:
        nonlocal booted
        _say({"directory": directory, "meta": meta._asdict(), "fresh": fresh})
        booted = fresh

    try:
        prepared = prepare(recipe)
        directory = f"{recipe.cache}/templates/{prepared.key}"
        make(recipe, prepared, directory, ram, tell)
        if booted:
            prune(recipe, prepared)
    except ProaError as problem:
        _say({"error": problem.what, "code": problem.code, "next": problem.next_step})
    except (OSError, cold.BootFailed) as problem:
        if booted:
            raise  # nobody listens any more: the engine's log hears it
        _say({"error": str(problem), "code": "template-failed", "next": ""})


def _say(answer: dict[str, Any]) -> None:
    print(json.dumps(answer), flush=True)
