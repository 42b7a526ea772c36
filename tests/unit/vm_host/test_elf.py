"""ELF headers and the loader's search, against the loader itself."""

import os
import re
import subprocess
import sys

import pytest

from proa.hull.vm import elf

PROGRAM = os.path.realpath("/usr/bin/env")


def listed(program):
    """What the loader itself says that it would open (ldd's way, but with a program that is trusted)."""
    loader = elf.read(program).interpreter
    said = subprocess.run([loader, "--list", program], capture_output=True, text=True, check=True).stdout
    return {os.path.realpath(path) for path in re.findall(r"(/\S+) \(0x", said)}


@pytest.mark.parametrize(
    "program", [PROGRAM, os.path.realpath("/usr/bin/apt-get"), os.path.realpath("/usr/bin/python3")]
)
def test_the_closure_is_the_loaders(program):
    if not os.path.exists(program):
        pytest.skip(f"no {program} here")
    files, missing = elf.closure([program])
    assert not missing
    assert listed(program) <= {os.path.realpath(path) for path in files}


def test_the_interpreter_and_the_program_are_in_it():
    files, _missing = elf.closure([PROGRAM])
    assert PROGRAM in files
    assert elf.read(PROGRAM).interpreter in files


def test_what_is_nowhere_is_named(tmp_path):
    _files, missing = elf.closure([PROGRAM], [str(tmp_path)])
    assert "libc.so.6" in missing


@pytest.mark.parametrize(
    "content", [b"", b"#!/bin/sh\n" * 20, b"\x7fELF" + b"\0" * 200, b"\x7fELF\x02\x01" + b"\xff" * 300]
)
def test_what_is_not_elf(tmp_path, content):
    path = tmp_path / "file"
    path.write_bytes(content)
    with pytest.raises(elf.NotElf):
        elf.read(str(path))


def test_every_truncation_is_an_error_of_ours(tmp_path):
    with open(sys.executable, "rb") as file:
        data = file.read(4096)
    path = tmp_path / "cut"
    for length in range(0, 4096, 61):
        path.write_bytes(data[:length])
        try:
            elf.read(str(path))
        except elf.NotElf:
            continue


def test_ld_so_conf_is_followed(tmp_path):
    folder = tmp_path / "conf.d"
    folder.mkdir()
    (folder / "a.conf").write_text("/opt/one # comment\n\n")
    (tmp_path / "ld.so.conf").write_text(f"include {folder}/*.conf\n/opt/two\nrelative\n")
    assert elf._configured(str(tmp_path / "ld.so.conf"), 0) == ["/opt/one", "/opt/two"]
