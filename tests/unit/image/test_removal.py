"""image/removal.py: whatever a stranger left, it goes, and nothing else does."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path

import pytest

from proa.image import removal
from unit.image.users import as_nobody, open_directory


def descend(place: str, depth: int, name: str) -> None:
    fd = os.open(place, os.O_RDONLY)
    for _ in range(depth):
        os.mkdir(name, dir_fd=fd)
        deeper = os.open(name, os.O_RDONLY, dir_fd=fd)
        os.close(fd)
        fd = deeper
    os.close(fd)


def test_links_are_not_followed(tmp_path: Path) -> None:
    (tmp_path / "keep").mkdir()
    (tmp_path / "keep/file").write_text("stays")
    victim = tmp_path / "victim"
    (victim / "a/b").mkdir(parents=True)
    (victim / "a/link").symlink_to(tmp_path / "keep")
    (victim / "file").hardlink_to(tmp_path / "keep/file")
    removal.remove(str(victim))
    assert not victim.exists() and (tmp_path / "keep/file").read_text() == "stays"


def test_a_link_a_file_and_nothing(tmp_path: Path) -> None:
    (tmp_path / "d").mkdir()
    (tmp_path / "link").symlink_to(tmp_path / "d")
    (tmp_path / "file").write_text("")
    for name in ("link", "file", "absent"):
        removal.remove(str(tmp_path / name))
    assert os.listdir(tmp_path) == ["d"]
    removal.remove(str(tmp_path / "no/such/parent"))


@pytest.mark.parametrize("depth", [30, 33, 100, 700])
def test_depth(tmp_path: Path, depth: int) -> None:
    victim = tmp_path / "victim"
    victim.mkdir()
    descend(str(victim), depth, "n" * 100)
    descend(str(victim), depth, "m" * 100)
    removal.remove(str(victim))
    assert not victim.exists()


def test_modes_that_shut_out_an_ordinary_user() -> None:
    def work() -> None:
        victim = Path(place) / "victim"
        deep = victim / "/".join(["d"] * 40)
        deep.mkdir(parents=True)
        (deep / "file").write_text("")
        (victim / "full").mkdir()
        (victim / "full/x").write_text("")
        for mode, path in ((0o000, victim / "full"), (0o500, deep), (0o000, deep.parent), (0o400, victim)):
            os.chmod(path, mode)
        removal.remove(str(victim))
        assert not victim.exists()

    with open_directory() as place:
        as_nobody(work)


def test_strange_names(tmp_path: Path) -> None:
    victim = os.fsencode(tmp_path / "victim")
    os.mkdir(victim)
    for name in (b"\xff\xfe", b"-rf", b"new\nline", b" "):
        os.mkdir(victim + b"/" + name)
        Path(os.fsdecode(victim + b"/" + name + b"/" + name)).write_text("")
    removal.remove(os.fsdecode(victim))
    assert not os.path.exists(victim)


@pytest.mark.skipif(os.geteuid() != 0 or not shutil.which("chattr"), reason="flags need root and chattr")
def test_immutable_files(tmp_path: Path) -> None:
    victim = tmp_path / "victim"
    (victim / "d/e").mkdir(parents=True)
    (victim / "d/file").write_text("")
    for flag, path in (("+a", victim / "d/file"), ("+i", victim / "d/e"), ("+i", victim / "d")):
        if subprocess.run(["chattr", flag, path], capture_output=True).returncode:
            pytest.skip("this file system has no such flags, or this user may not set them")
    removal.remove(str(victim))
    assert not victim.exists()
