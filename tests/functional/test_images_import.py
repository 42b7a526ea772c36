"""import, images, rmi, inspect of images."""

from __future__ import annotations

import gzip
import json
import re
import tarfile
from pathlib import Path

import pytest

from support.box import IMAGE, Box


@pytest.fixture
def imported(box: Box, image_tar: Path) -> Box:
    box.cli("import", str(image_tar), "other:v1").ok()
    return box


@pytest.fixture(autouse=True)
def _tidy(box: Box) -> object:
    yield
    box.clean()
    for name in ("other:v1", "other:v2", "other"):
        box.cli("rmi", "-f", name)


def test_import_prints_the_id(box: Box, image_tar: Path) -> None:
    said = box.cli("import", str(image_tar), "other:v1").ok()
    assert re.fullmatch("sha256:[0-9a-f]{64}", said.lines[-1])
    assert box.cli("inspect", "--type", "image", "--format", "{{.Id}}", "other:v1").text == said.lines[-1]


def test_import_from_stdin(box: Box, image_tar: Path) -> None:
    box.cli("import", "-", "other:v1", input=image_tar.read_bytes()).ok()
    assert box.run("other:v1", "echo", "x").text == "x"


def test_import_of_a_compressed_one(box: Box, image_tar: Path) -> None:
    box.cli("import", "-", "other:v1", input=gzip.compress(image_tar.read_bytes(), 1)).ok()
    assert box.run("other:v1", "echo", "x").text == "x"


def test_tag_defaults_to_latest(box: Box, image_tar: Path) -> None:
    box.cli("import", str(image_tar), "other").ok()
    assert "other:latest" in box.cli("images", "--format", "{{.Repository}}:{{.Tag}}").lines
    assert box.run("other:latest", "true").code == 0


def test_images_table(imported: Box) -> None:
    lines = imported.cli("images", "other").lines
    assert re.split(" {2,}", lines[0]) == ["REPOSITORY", "TAG", "IMAGE ID", "CREATED", "SIZE"]
    cells = re.split(" {2,}", lines[1])
    assert cells[:2] == ["other", "v1"]
    assert re.fullmatch("[0-9a-f]{12}", cells[2])
    assert re.fullmatch(r"[\d.]+MB", cells[4])


def test_images_quiet(imported: Box) -> None:
    assert re.fullmatch("[0-9a-f]{12}", imported.cli("images", "-q", "other").text)
    assert re.fullmatch("sha256:[0-9a-f]{64}", imported.cli("images", "-q", "--no-trunc", "other").text)


def test_inspect_of_an_image(imported: Box, image_tar: Path) -> None:
    told = json.loads(imported.cli("inspect", "other:v1").ok().out)[0]
    assert told["RepoTags"] == ["other:v1"]
    assert (told["Os"], told["Architecture"]) == ("linux", "amd64")
    assert told["RootFS"]["Type"] == "layers"
    assert len(told["RootFS"]["Layers"]) == 1
    assert told["Size"] > 1_000_000
    with tarfile.open(image_tar) as tar:
        held = sum(len(member.linkname) if member.issym() else member.size for member in tar)
    assert told["Size"] == held  # names and padding are not counted


def test_changes(box: Box, image_tar: Path) -> None:
    changes = ["CMD echo from cmd", "ENV A=1 B=2", "EXPOSE 80/tcp", 'LABEL a="b c"', "STOPSIGNAL SIGUSR1"]
    flags = [word for change in changes for word in ("--change", change)]
    if box.is_docker:
        flags = flags[:-2]
    box.cli("import", *flags, "--message", "hello", str(image_tar), "other:v1").ok()
    config = json.loads(box.cli("inspect", "other:v1").out)[0]["Config"]
    assert config["Cmd"] == ["/bin/sh", "-c", "echo from cmd"]
    assert {"A=1", "B=2"} <= set(config["Env"])
    assert config["Labels"] == {"a": "b c"}
    assert config["ExposedPorts"] == {"80/tcp": {}}
    assert box.run("other:v1").text == "from cmd"


def test_a_wrong_change(box: Box, image_tar: Path) -> None:
    result = box.cli("import", "--change", "RUN true", str(image_tar), "other:v1")
    assert result.code == 1
    assert "RUN" in result.error.upper()


def test_rmi(imported: Box) -> None:
    said = imported.cli("rmi", "other:v1").ok()
    assert said.lines[0] == "Untagged: other:v1"
    assert imported.cli("images", "-q", "other").text == ""


def test_rmi_of_one_in_use(imported: Box) -> None:
    imported.create("--name", "c1", "other:v1", "true")
    result = imported.cli("rmi", "other:v1")
    assert result.code == 1
    assert "conflict: unable to remove repository reference" in result.error
    assert imported.cli("images", "-q", "other").text != ""


def test_rmi_of_one_unknown(box: Box) -> None:
    result = box.cli("rmi", "nobody")
    assert result.code == 1
    assert "No such image: nobody" in result.error


def test_a_container_keeps_its_image_when_the_tag_moves(imported: Box, image_tar: Path) -> None:
    imported.create("--name", "c1", "other:v1", "echo", "old")
    imported.cli("import", "-c", "ENV NEW=1", str(image_tar), "other:v1").ok()
    assert imported.cli("start", "-a", "c1").text == "old"


def test_by_id(box: Box) -> None:
    id = box.cli("images", "-q", "--no-trunc", IMAGE).text
    assert box.run(id, "echo", "x").text == "x"
    assert box.run(id.removeprefix("sha256:")[:12], "echo", "x").text == "x"


def test_import_of_a_missing_file(box: Box) -> None:
    assert box.cli("import", "/no/such/file.tar", "other:v1").code == 1
