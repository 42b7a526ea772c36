"""Templates on disk: whole or not there, made once by many, made anew when broken."""

from __future__ import annotations

import json
import mmap
import os
import threading
import time
import zlib
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from proa.hull.vm import cold, machine, made, memory, template
from proa.hull.vm.parts import Kernel, Qemu
from proa.hull.vm.recipe import Meta, Recipe, load

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
        return cold.Booted(HELLO, b"proa: booted b\n", 0.01, "7.2.22")

    monkeypatch.setattr(cold, "boot", boot)
    return done


Told = Callable[[Meta, bool], None]


def make(recipe: Recipe, prepared: template.Prepared, directory: str, tell: Told = lambda *_: None) -> Meta:
    """Have the template made, with memory for it."""
    ram = memory.create(recipe.memory << 20)
    try:
        template.make(recipe, prepared, directory, ram, tell)
    finally:
        os.close(ram)
    meta = made.find(directory)
    assert meta is not None
    return meta


def test_a_template_is_made_once_and_found_again(tmp_path: Path, boots: list[int]) -> None:
    directory = str(tmp_path / "t" / "key")
    told: list[bool] = []
    first = make(recipe(tmp_path), PREPARED, directory, lambda _meta, fresh: told.append(fresh))
    assert make(recipe(tmp_path), PREPARED, directory, lambda _meta, fresh: told.append(fresh)) == first
    assert boots == [1] and told == [True, False]
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
    meta = make(recipe(tmp_path), prepared, directory)
    assert made.known(recipe(tmp_path)) == (directory, meta)
    assert made.known(recipe(tmp_path, memory=16)) is None
    os.truncate(f"{directory}/state", 1)
    assert made.known(recipe(tmp_path)) is None
    make(recipe(tmp_path), prepared, directory)
    assert made.known(recipe(tmp_path)) is not None
    source.write_text("x = 2")
    assert made.known(recipe(tmp_path)) is None
    source.unlink()
    assert made.known(recipe(tmp_path)) is None


def test_machines_may_start_before_it_is_on_the_disk(tmp_path: Path, boots: list[int]) -> None:
    """From memory that nobody can write any more, with all the files that a restore reads."""
    directory = str(tmp_path / "t" / "key")
    ram = memory.create(8 << 20)
    there: list[list[str]] = []

    def tell(meta: Meta, fresh: bool) -> None:
        assert fresh and memory.sealed(ram) and os.pread(ram, 6, 4096) == b"memory"
        assert zlib.crc32(Path(directory, "state").read_bytes()) == meta.state_checksum
        assert made.find(directory) is None
        there.append(sorted(os.listdir(directory)))

    template.make(recipe(tmp_path), PREPARED, directory, ram, tell)
    os.close(ram)
    assert there == [["console.log", "filter", "made-from.json", "state"]]
    assert made.find(directory) is not None


@pytest.mark.parametrize("moment", ["before", "while writing"])
def test_one_that_never_got_to_the_disk_is_made_anew(
    tmp_path: Path, boots: list[int], monkeypatch: pytest.MonkeyPatch, moment: str
) -> None:
    directory = str(tmp_path / "t" / "key")

    def die(*_arguments: object) -> None:
        raise OSError(28, "No space left on device")

    with monkeypatch.context() as patch:
        if moment == "while writing":
            patch.setattr(memory, "copy", die)
        with pytest.raises(OSError, match="No space left"):
            make(recipe(tmp_path), PREPARED, directory, die if moment == "before" else lambda *_: None)
    assert "ram" not in os.listdir(directory) and made.find(directory) is None
    make(recipe(tmp_path), PREPARED, directory)
    assert boots == [1, 1]


def test_memory_that_somebody_may_still_write_is_no_template(tmp_path: Path, boots: list[int]) -> None:
    """QEMU's mapping must be gone."""
    ram = memory.create(8 << 20)
    with mmap.mmap(ram, 4096), pytest.raises(OSError, match="busy"):
        template.make(recipe(tmp_path), PREPARED, str(tmp_path / "t" / "key"), ram, lambda *_: None)
    os.close(ram)
    assert os.listdir(tmp_path / "t") == ["key.lock"]


def test_many_at_once_make_one(tmp_path: Path, boots: list[int]) -> None:
    directory = str(tmp_path / "t" / "key")
    threads = [threading.Thread(target=make, args=(recipe(tmp_path), PREPARED, directory)) for _ in range(5)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert boots == [1]


@pytest.mark.parametrize("damage", ["no meta", "half a meta", "state", "ram", "version"])
def test_a_broken_one_is_made_anew(tmp_path: Path, boots: list[int], damage: str) -> None:
    directory = tmp_path / "t" / "key"
    make(recipe(tmp_path), PREPARED, str(directory))
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
    make(recipe(tmp_path), PREPARED, str(directory))
    assert len(boots) == 2 and made.find(str(directory)) is not None


def test_a_boot_that_fails_leaves_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def boot(*_arguments: object) -> None:
        raise cold.BootFailed("panic")

    monkeypatch.setattr(cold, "boot", boot)
    with pytest.raises(cold.BootFailed):
        make(recipe(tmp_path), PREPARED, str(tmp_path / "t" / "key"))
    assert os.listdir(tmp_path / "t") == ["key.lock"]


def test_only_old_ones_of_other_families_are_pruned(tmp_path: Path, boots: list[int]) -> None:
    mine = recipe(tmp_path)
    for key, family in (("new", "family"), ("old", "other"), ("young", "other")):
        make(mine, PREPARED._replace(family=family), str(tmp_path / "templates" / key))
    os.utime(tmp_path / "templates" / "old", (1, 1))
    template.prune(mine, PREPARED)
    assert {name for name in os.listdir(tmp_path / "templates") if "." not in name} == {"new", "young"}


def test_a_recipe_survives_its_journey(tmp_path: Path) -> None:
    made = recipe(tmp_path, host="flags: x")
    assert load(made.dump()) == made
