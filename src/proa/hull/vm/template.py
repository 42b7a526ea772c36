"""Templates: a machine that has booted, said hello and waits, saved once and restored copy-on-write for every VM.

    STATE/templates/KEY/   ram (sparse, as the guest left it), state (devices), filter (that its guest has ready),
                           meta.json (Meta), made-from.json, console.log
    STATE/templates/KEY.lock

A key is the hash of everything that a restore needs to be the same. A directory appears by rename, whole; checksums
find the rest. ``main`` is the program that makes one: a cold boot is "make the template and go on".
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
from typing import Any, NamedTuple

from ...errors import HostCannot, ProaError
from ...runtime import defaults, seccomp
from . import bootimage, cold, confinement, kernel, machine, made, memory, parts, standard
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
    boot = bootimage.build(recipe.kernel.modules, f"{recipe.cache}/boot", filter)
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


def make(recipe: Recipe, prepared: Prepared, directory: str) -> Meta:
    """The template in ``directory``, made if it is not there; several makers at once make one."""
    os.makedirs(os.path.dirname(directory), mode=0o700, exist_ok=True)
    lock = os.open(directory + ".lock", os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX)
        meta = made.find(directory)
        return meta if meta is not None else _make(recipe, prepared, directory)
    finally:
        os.close(lock)


def _make(recipe: Recipe, prepared: Prepared, directory: str) -> Meta:
    temporary = directory + ".new"
    shutil.rmtree(temporary, ignore_errors=True)
    os.mkdir(temporary, 0o700)
    try:
        meta = _boot(recipe, prepared, temporary)
        with open(f"{temporary}/{standard.FILTER}", "wb") as binary:
            binary.write(prepared.filter)
        made.remember(temporary, recipe, prepared.inputs)
        with open(f"{temporary}/meta.json", "w", encoding="utf-8") as file:
            json.dump(meta._asdict(), file)
        shutil.rmtree(directory, ignore_errors=True)
        os.rename(temporary, directory)
    finally:
        shutil.rmtree(temporary, ignore_errors=True)
    return meta


def _boot(recipe: Recipe, prepared: Prepared, directory: str) -> Meta:
    began = time.monotonic()
    size = recipe.memory << 20
    files = (prepared.boot.kernel, prepared.boot.initrd)
    hidden = f"{directory}/jail"
    os.mkdir(hidden, 0o700)
    jail = confinement.plan(recipe.qemu, prepared.key, recipe.may, hidden, accelerator=recipe.accelerator, files=files)
    ram = memory.create(size)
    with open(f"{directory}/state", "w+b") as state, open(f"{directory}/ram", "w+b") as file:
        booted = cold.boot(recipe, prepared.boot, jail, ram, state.fileno())
        os.ftruncate(file.fileno(), size)
        checksum = memory.copy(ram, file.fileno())
        state.seek(0)
        saved = state.read()
    os.rmdir(hidden)
    with open(f"{directory}/console.log", "wb") as file:
        file.write(booted.console)
    return Meta(
        made.VERSION,
        size,
        checksum,
        len(saved),
        zlib.crc32(saved),
        booted.hello,
        round(time.monotonic() - began, 3),
        booted.saved,
        prepared.family,
        parts.qemu_version(recipe.qemu),
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
    """Program: a Recipe as JSON; prints {directory, meta} or {error, code, next} as one line of JSON.

    Ends at once, and QEMU with it, when its stdin is closed: whoever wanted the template is gone.
    """
    recipe = load(sys.argv[1])
    answer: dict[str, Any]
    try:
        prepared = prepare(recipe)
        directory = f"{recipe.cache}/templates/{prepared.key}"
        fresh = made.find(directory) is None
        answer = {"directory": directory, "meta": make(recipe, prepared, directory)._asdict()}
        if fresh:
            prune(recipe, prepared)
    except ProaError as problem:
        answer = {"error": problem.what, "code": problem.code, "next": problem.next_step}
    except (OSError, cold.BootFailed) as problem:
        answer = {"error": str(problem), "code": "template-failed", "next": ""}
    print(json.dumps(answer), flush=True)
