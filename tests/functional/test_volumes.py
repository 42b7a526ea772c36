"""-v: a folder or file of the host, inside."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from support.box import IMAGE, Box


@pytest.fixture
def folder(box: Box, tmp_path: Path) -> Path:
    """A folder with a file, for hulls that take one."""
    if box.is_vm:
        pytest.skip("folders in a virtual machine are refused until their issue: test_refused_in_a_vm")
    (tmp_path / "given").write_text("from outside\n")
    return tmp_path


def test_read_and_write(box: Box, folder: Path) -> None:
    result = box.run("-v", f"{folder}:/data", IMAGE, "sh", "-c", "cat /data/given; echo inside > /data/made")
    assert result.text == "from outside"
    assert (folder / "made").read_text() == "inside\n"


def test_read_only(box: Box, folder: Path) -> None:
    result = box.run("-v", f"{folder}:/data:ro", IMAGE, "sh", "-c", "cat /data/given; echo x > /data/made")
    assert result.text == "from outside"
    assert "Read-only file system" in result.error
    assert not (folder / "made").exists()


def test_a_file(box: Box, folder: Path) -> None:
    assert box.run("-v", f"{folder}/given:/etc/given:ro", IMAGE, "cat", "/etc/given").text == "from outside"


def test_a_source_that_is_missing_is_made(box: Box, folder: Path) -> None:
    box.run("-v", f"{folder}/new:/data", IMAGE, "touch", "/data/x").ok()
    assert (folder / "new/x").exists()


def test_mount_flag(box: Box, folder: Path) -> None:
    flag = f"type=bind,source={folder},target=/data,readonly"
    assert box.run("--mount", flag, IMAGE, "cat", "/data/given").text == "from outside"


def test_mount_flag_wants_a_source_that_is_there(box: Box, folder: Path) -> None:
    result = box.run("--mount", f"type=bind,source={folder}/none,target=/data", IMAGE, "true")
    assert result.code == 125
    assert "bind source path does not exist" in result.error


def test_tmpfs(box: Box) -> None:
    result = box.run(
        "--tmpfs", "/scratch:size=1m", IMAGE, "sh", "-c", "grep ' /scratch ' /proc/mounts; touch /scratch/x"
    )
    assert result.code == 0
    assert "size=1024k" in result.text


def test_what_a_container_made_belongs_to_its_user(box: Box, folder: Path) -> None:
    folder.chmod(0o777)
    box.run("-u", "app", "-v", f"{folder}:/data", IMAGE, "touch", "/data/mine").ok()
    assert (folder / "mine").stat().st_uid == 1000


def test_a_target_that_is_a_link_stays_inside(box: Box, folder: Path) -> None:
    """An image's symbolic link at the target is followed within the root, never on the host."""
    before = os.listdir("/mnt")
    box.run("-v", f"{folder}:/proc/../mnt-target", IMAGE, "ls", "/mnt-target")
    assert os.listdir("/mnt") == before


def test_inspect_says_it(box: Box, folder: Path) -> None:
    box.create("--name", "c1", "-v", f"{folder}:/data:ro", IMAGE, "true")
    mount = json.loads(box.inspect("c1", "{{json .Mounts}}"))[0]
    wanted = {"Type": "bind", "Source": str(folder), "Destination": "/data", "RW": False}
    assert {name: mount[name] for name in wanted} == wanted


@pytest.mark.parametrize("text", ["relative:/data:zz", "/tmp:relative"])
def test_wrong_words(box: Box, text: str) -> None:
    assert box.run("-v", text, IMAGE, "true").code == 125


def test_refused_in_a_vm(proa_box: Box, tmp_path: Path) -> None:
    if not proa_box.is_vm:
        pytest.skip("a container takes it")
    result = proa_box.run("-v", f"{tmp_path}:/data", IMAGE, "true")
    assert result.code == 125
    assert "[" in result.error
    assert proa_box.cli("ps", "-aq").text == ""
