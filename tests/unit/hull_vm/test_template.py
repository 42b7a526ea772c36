"""Templates on disk: whole or not there, made once by many, made anew when broken."""

from __future__ import annotations

import json
import os
import threading
import time
from pathlib import Path
from typing import Any

import pytest

from proa.hull.vm import cold, machine, made, memory, parts, template
from proa.hull.vm.parts import Kernel, Qemu
from proa.hull.vm.recipe import Recipe, load

HELLO = {"op": "hello", "protocol": 1, "boot": "b", "kernel": "6.1"}


def recipe(cache: Path, **changes: Any) -> Recipe:
    qemu = Qemu(("/usr/bin/true",), (), "/usr/bin/true", "id", (), "host")
    values: dict[str, Any] = {
        "qemu": qemu,
        "kernel": Kernel("/k/vmlinuz", "/k/modules", "6.1", "host"),
        "cpus": 1,
        "memory": 8,
        "accelerator": "tcg",
        "cache": str(cache),
        "host": "",
        "may": {"mknod": False, "mount": False, "cgroup": False, "setuid": False},
    }
    return Recipe(**{**values, **changes})


PREPARED = template.Prepared("k" * 32, "family", machine.Boot("/k/vmlinux", "/k/boot.cpio", ""), b"filter", [__file__])


@pytest.fixture
def boots(monkeypatch: pytest.MonkeyPatch) -> list[int]:
    """Plays the cold boot; the list grows with each."""
    done: list[int] = []

    def boot(_recipe: Recipe, _files: object, _jail: object, ram: int, state: int) -> cold.Booted:
        done.append(1)
        time.sleep(0.05)
        os.pwrite(ram, b"memory", 4096)
        os.pwrite(state, b"devices", 0)
        return cold.Booted(HELLO, b"proa: booted b\n", 0.01)

    monkeypatch.setattr(cold, "boot", boot)
    monkeypatch.setattr(parts, "qemu_version", lambda _qemu: "7.2.22")
    return done


def test_a_template_is_made_once_and_found_again(tmp_path: Path, boots: list[int]) -> None:
    directory = str(tmp_path / "t" / "key")
    first = template.make(recipe(tmp_path), PREPARED, directory)
    assert template.make(recipe(tmp_path), PREPARED, directory) == first
    assert boots == [1]
    assert sorted(os.listdir(directory)) == ["console.log", "filter", "made-from.json", "meta.json", "ram", "state"]
    fd = memory.load(f"{directory}/ram", first.ram_size, first.ram_checksum)
    assert os.pread(fd, 6, 4096) == b"memory"
    os.close(fd)


def test_a_template_is_known_while_its_inputs_are_untouched(tmp_path: Path, boots: list[int]) -> None:
    source = tmp_path / "module.py"
    source.write_text("x = 1")
    prepared = PREPARED._replace(inputs=[str(source)])
    assert made.known(recipe(tmp_path)) is None
    directory = str(tmp_path / "templates" / "key")
    meta = template.make(recipe(tmp_path), prepared, directory)
    assert made.known(recipe(tmp_path)) == (directory, meta)
    assert made.known(recipe(tmp_path, memory=16)) is None
    os.truncate(f"{directory}/state", 1)
    assert made.known(recipe(tmp_path)) is None
    template.make(recipe(tmp_path), prepared, directory)
    assert made.known(recipe(tmp_path)) is not None
    source.write_text("x = 2")
    assert made.known(recipe(tmp_path)) is None
    source.unlink()
    assert made.known(recipe(tmp_path)) is None


def test_many_at_once_make_one(tmp_path: Path, boots: list[int]) -> None:
    directory = str(tmp_path / "t" / "key")
    threads = [threading.Thread(target=template.make, args=(recipe(tmp_path), PREPARED, directory)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert boots == [1]


@pytest.mark.parametrize("damage", ["no meta", "half a meta", "state", "ram", "version"])
def test_a_broken_one_is_made_anew(tmp_path: Path, boots: list[int], damage: str) -> None:
    directory = tmp_path / "t" / "key"
    template.make(recipe(tmp_path), PREPARED, str(directory))
    meta = directory / "meta.json"
    if damage == "no meta":
        meta.unlink()
    elif damage == "half a meta":
        meta.write_text(meta.read_text()[:40])
    elif damage == "state":
        (directory / "state").write_bytes(b"devicez")
    elif damage == "ram":
        os.truncate(directory / "ram", 100)
    else:
        meta.write_text(json.dumps({**json.loads(meta.read_text()), "version": 0}))
    assert made.find(str(directory)) is None
    template.make(recipe(tmp_path), PREPARED, str(directory))
    assert len(boots) == 2 and made.find(str(directory)) is not None


def test_a_boot_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def boot(*_arguments: object) -> None:
        raise cold.BootFailed("panic")

    monkeypatch.setattr(cold, "boot", boot)
    with pytest.raises(cold.BootFailed):
        template.make(recipe(tmp_path), PREPARED, str(tmp_path / "t" / "key"))
    assert os.listdir(tmp_path / "t") == ["key.lock"]


def test_only_old_ones_of_other_families_are_pruned(tmp_path: Path, boots: list[int]) -> None:
    made = recipe(tmp_path)
    for key, family in (("new", "family"), ("old", "other"), ("young", "other")):
        template.make(made, PREPARED._replace(family=family), str(tmp_path / "templates" / key))
    os.utime(tmp_path / "templates" / "old", (1, 1))
    template.prune(made, PREPARED)
    assert {name for name in os.listdir(tmp_path / "templates") if "." not in name} == {"new", "young"}


def test_a_recipe_survives_its_journey(tmp_path: Path) -> None:
    made = recipe(tmp_path, host="flags: x")
    assert load(made.dump()) == made
