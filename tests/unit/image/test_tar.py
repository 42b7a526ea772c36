"""image/tar.py, image/pax.py: what an archive states, and every length that is not believed."""

from __future__ import annotations

import io
import tarfile

import pytest
from hypothesis import given
from hypothesis import strategies as st

from proa.errors import InvalidRequest
from proa.image import tar
from proa.image.member import Limits, Member
from unit.image.tars import END, E, device, directory, hardlink, header, make, padded, pax, read, symlink

FORMATS = [tarfile.USTAR_FORMAT, tarfile.GNU_FORMAT, tarfile.PAX_FORMAT]


def members(data: bytes, limits: Limits | None = None) -> list[Member]:
    return list(tar.members(tar.Stream(io.BytesIO(data)), limits or Limits()))


def code(data: bytes, limits: Limits | None = None) -> str:
    with pytest.raises(InvalidRequest) as caught:
        read(data, limits)
    return caught.value.code


@pytest.mark.parametrize("form", FORMATS)
def test_every_kind_and_attribute(form: int) -> None:
    data = make(
        directory("d", uid=5, gid=6, mode=0o1777),
        E("d/f", b"hello", mode=0o4755, mtime=1234),
        symlink("d/s", "/etc/passwd"),
        hardlink("d/h", "d/f"),
        device("d/c", 1, 3),
        E("d/p", kind=tarfile.FIFOTYPE),
        form=form,
    )
    found = members(data)
    assert [m.kind for m in found] == [b"5", b"0", b"2", b"1", b"3", b"6"]
    assert [m.path.rstrip(b"/") for m in found] == [b"d", b"d/f", b"d/s", b"d/h", b"d/c", b"d/p"]
    assert (found[0].uid, found[0].gid, found[0].mode) == (5, 6, 0o1777)
    assert (found[1].mode, found[1].mtime, found[1].size) == (0o4755, 1234 * 10**9, 5)
    assert data[found[1].offset : found[1].offset + 5] == b"hello"
    assert found[2].link == b"/etc/passwd" and found[3].link == b"d/f" and found[4].device == (1, 3)


@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_long_names_and_big_numbers(form: int) -> None:
    name, link = "a/" * 90 + "x" * 200, "y" * 300
    found = members(make(E(name, b"1", uid=1 << 24, gid=1 << 25, mtime=1 << 34), symlink("s", link), form=form))
    assert found[0].path == name.encode() and found[1].link == link.encode()
    assert (found[0].uid, found[0].gid, found[0].mtime) == (1 << 24, 1 << 25, (1 << 34) * 10**9)


def test_ustar_prefix() -> None:
    name = "/".join(["p" * 50] * 3) + "/file"
    assert members(make(E(name), form=tarfile.USTAR_FORMAT))[0].path == name.encode()


def test_pax_fraction_of_a_second_and_xattrs() -> None:
    data = make(E("f", b"", pax={"mtime": "12.5", "SCHILY.xattr.user.a": "b"}))
    assert members(data)[0].mtime == 12_500_000_000
    assert members(data)[0].xattrs == {b"user.a": b"b"}
    raw = pax((b"SCHILY.xattr.security.capability", b"\1\0\0\2\n=\0\xff"), (b"mtime", b"-1.25")) + header(b"f") + END
    assert members(raw)[0].xattrs == {b"security.capability": b"\1\0\0\2\n=\0\xff"}
    assert members(raw)[0].mtime == -1_250_000_000


def test_pax_of_one_entry_does_not_leak_into_the_next() -> None:
    data = pax((b"path", b"long"), (b"SCHILY.xattr.user.a", b"1")) + header(b"a") + header(b"b") + END
    assert [(m.path, m.xattrs) for m in members(data)] == [(b"long", {b"user.a": b"1"}), (b"b", {})]


def test_global_pax_header() -> None:
    data = make(E("a"), form=tarfile.PAX_FORMAT)
    general = pax((b"uid", b"77")).replace(b"pax", b"glb", 1)
    general = header(b"g", b"g", int(general[124:135], 8)) + general[512:]
    assert members(general + data)[0].uid == 77


def test_old_tar_directory_and_signed_checksum() -> None:
    old = header(b"d/", b"\0", magic=b"\0" * 8)
    assert members(old + END)[0].kind == b"5"
    block = header(b"\xff\xfe", checksum=b" " * 8)
    signed = sum(b - 256 if b > 127 else b for b in block)
    assert members(header(b"\xff\xfe", checksum=b"%06o\0 " % signed) + END)[0].path == b"\xff\xfe"


def test_empty_archive() -> None:
    assert members(END) == []


@pytest.mark.parametrize(
    ("data", "expected"),
    [
        (b"", "tar-invalid"),
        (b"x" * 100, "tar-invalid"),
        (b"not a tar at all" * 64, "tar-invalid"),
        (b"#!/bin/sh\n" + b"echo\n" * 1000, "tar-invalid"),
        (header(b"f", checksum=b"000000\0 ") + END, "tar-invalid"),
        (header(b"a") + b"\1" * 512 + END, "tar-corrupt"),
        (header(b"f", size=1000) + b"x" * 512, "tar-truncated"),
        (header(b"f", size=1000) + b"x" * 1000, "tar-truncated"),
        (header(b"f"), "tar-truncated"),
        (header(b"f") + b"\0" * 100, "tar-truncated"),
        (header(b"f", size=b"0000000zz\0\0\0") + END, "tar-corrupt"),
        (header(b"f", size=b"\xff" * 12) + END, "tar-corrupt"),
        (header(b"f", size=b"\x80\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff") + END, "tar-corrupt"),
        (header(b"f", uid=b"\x80\0\1\0\0\0\0\0") + END, "tar-corrupt"),
        (header(b"f", size=1 << 32) + END, "tar-truncated"),
        (header(b"big", size=b"\x80" + (1 << 40).to_bytes(11, "big")) + END, "tar-too-large"),
        (header(b"f", b"S") + END, "tar-unsupported"),
        (header(b"f", b"Z") + END, "tar-unsupported"),
        (header(b"f", b"M") + END, "tar-unsupported"),
        (header(b"x", b"x", 2 << 20) + END, "tar-header-too-large"),
        (header(b"x", b"L", 1 << 31) + END, "tar-header-too-large"),
        (header(b"x", b"x", 100) + b"10 a=b", "tar-truncated"),
        (header(b"x", b"x", 10) + padded(b"no length\n") + header(b"f") + END, "tar-pax-invalid"),
        (header(b"x", b"x", 8) + padded(b"99 a=bc\n") + header(b"f") + END, "tar-pax-invalid"),
        (header(b"x", b"x", 8) + padded(b"8 a=bcde") + header(b"f") + END, "tar-pax-invalid"),
        (header(b"x", b"x", 2) + padded(b"0 ") + header(b"f") + END, "tar-pax-invalid"),
        (pax((b"size", b"-1")) + header(b"f") + END, "tar-pax-invalid"),
        (pax((b"size", b"1" * 30)) + header(b"f") + END, "tar-pax-invalid"),
        (pax((b"uid", b"4294967295")) + header(b"f") + END, "tar-pax-invalid"),
        (pax((b"path", b"a\0b")) + header(b"f") + END, "tar-pax-invalid"),
        (pax((b"mtime", b"nan")) + header(b"f") + END, "tar-pax-invalid"),
        (pax((b"GNU.sparse.major", b"1")) + header(b"f") + END, "tar-unsupported"),
        (pax((b"SCHILY.xattr.user.a", b"x" * 70000)) + header(b"f") + END, "tar-header-too-large"),
        (make(E("a")) + make(E("b")), "tar-trailing-data"),
        (make(E("a")) + bytes(2 << 20), "tar-trailing-data"),
    ],
)
def test_refused(data: bytes, expected: str) -> None:
    assert code(data) == expected


def test_budgets() -> None:
    data = make(*(E(f"f{n}") for n in range(20)))
    assert code(data, Limits(entries=19)) == "tar-too-many"
    assert code(make(E("f", b"x" * 5000)), Limits(bytes=4999)) == "tar-too-large"


def test_an_error_names_the_entry_inertly() -> None:
    with pytest.raises(InvalidRequest) as caught:
        read(header(b"evil\x1b[31m\n\xff", b"S") + END)
    assert "evil\\x1b[31m\\n\\xff" in str(caught.value)


def test_without_end_mark_where_a_digest_says_that_it_is_whole() -> None:
    assert [m.path for m in members(header(b"f"), Limits(end_mark=False))] == [b"f"]


@given(st.binary(max_size=3000))
def test_any_bytes_end_in_an_error_or_a_tree(data: bytes) -> None:
    for candidate in (data, header(b"f") + data, pax((b"path", b"x")) + data):
        try:
            read(candidate)
        except InvalidRequest:
            pass


@given(st.integers(0, 4), st.integers(0, 511), st.integers(0, 255))
def test_one_changed_byte_ends_in_an_error_or_a_tree(block: int, at: int, value: int) -> None:
    data = bytearray(make(directory("d"), E("d/" + "n" * 150, b"data"), symlink("l", "d")))
    data[block * 512 + at] = value
    try:
        read(bytes(data))
    except InvalidRequest:
        pass
