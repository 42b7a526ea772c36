"""image/tree.py: what an index becomes on disk."""

from __future__ import annotations

import errno
import os
import stat
import tarfile
import tempfile
from pathlib import Path

import pytest

from proa.errors import HostCannot
from proa.image import tree
from unit.image.tars import END, E, device, directory, hardlink, header, make, pax, read, symlink
from unit.image.users import as_nobody, open_directory

root_only = pytest.mark.skipif(os.geteuid() != 0, reason="owners and devices need root")

SAMPLE = [
    directory("./", mode=0o751, uid=11, gid=12, mtime=1000),
    directory("d", mode=0o555, uid=1, gid=2, mtime=2000),
    E("d/f", b"hello" * 1000, mode=0o4751, uid=3, gid=4, mtime=3000),
    E("d/empty", b"", mode=0),
    hardlink("h", "d/f"),
    symlink("s", "/etc/passwd"),
    hardlink("s2", "s"),
    E("p", kind=tarfile.FIFOTYPE, mode=0o600),
    device("null", 1, 3),
    E("n" * 200, b"long name", uid=3_000_000, mtime=9_000_000_000),
    E("x", b"x", pax={"SCHILY.xattr.user.a": "b"}),
    E("d/deep/er/f", b"1"),
]


@pytest.fixture
def place(tmp_path: Path) -> str:
    return str(tmp_path)


def sources(data: bytes) -> tree.Sources:
    with tempfile.TemporaryFile() as file:
        file.write(data)
        file.flush()
        return tree.Sources([file.fileno()])


def apply(data: bytes, place: str) -> None:
    with sources(data) as blobs:
        tree.apply(read(data), blobs, place)


@root_only
@pytest.mark.parametrize("form", [tarfile.GNU_FORMAT, tarfile.PAX_FORMAT])
def test_tree(place: str, form: int) -> None:
    apply(make(*SAMPLE, form=form), place)

    def stated(name: str) -> tuple[int, int, int, int]:
        s = os.lstat(f"{place}/{name}")
        return stat.S_IMODE(s.st_mode), s.st_uid, s.st_gid, int(s.st_mtime)

    assert stated("") == (0o751, 11, 12, 1000)
    assert stated("d") == (0o555, 1, 2, 2000)
    assert stated("d/f") == (0o4751, 3, 4, 3000)
    assert stated("d/deep") == (0o755, 0, 0, 0)
    assert stated("n" * 200)[1:] == (3_000_000, 0, 9_000_000_000)
    assert Path(place, "d/f").read_bytes() == b"hello" * 1000
    assert os.stat(f"{place}/d/f").st_nlink == 2 and os.path.samefile(f"{place}/d/f", f"{place}/h")
    assert os.readlink(f"{place}/s") == "/etc/passwd" and os.lstat(f"{place}/s2").st_nlink == 2
    assert stat.S_ISFIFO(os.lstat(f"{place}/p").st_mode)
    assert os.lstat(f"{place}/null").st_rdev == os.makedev(1, 3) and stated("null")[0] == 0o666
    if form == tarfile.PAX_FORMAT and _has_user_attributes(place):
        assert os.getxattr(f"{place}/x", "user.a") == b"b"


def _has_user_attributes(place: str) -> bool:
    try:
        os.setxattr(place, "user.probe", b"1")
    except OSError as problem:
        assert problem.errno == errno.EOPNOTSUPP
        return False
    return True


@root_only
def test_whiteouts_take_overlayfs_form(place: str) -> None:
    apply(make(E("d/.wh.gone"), E("d/.wh..wh..opq"), E(".wh.top")), place)
    for name in ("d/gone", "top"):
        found = os.lstat(f"{place}/{name}")
        assert stat.S_ISCHR(found.st_mode) and found.st_rdev == 0
    assert os.getxattr(f"{place}/d", "trusted.overlay.opaque") == b"y"


@root_only
def test_file_capabilities_survive(place: str) -> None:
    value = b"\x01\x00\x00\x02\x00\x04\x00\x00" + bytes(12)
    data = pax((b"SCHILY.xattr.security.capability", value)) + header(b"f", uid=b"0000005\0") + END
    apply(data, place)
    assert os.getxattr(f"{place}/f", "security.capability") == value


@pytest.mark.parametrize("entry", [device("null", 1, 3), E("f", uid=1), directory("d", uid=1)])
def test_an_ordinary_user_has_no_trees(entry: E) -> None:
    def work() -> None:
        assert not tree.able(place)
        with pytest.raises(HostCannot) as caught:
            apply(make(entry), place)
        assert caught.value.code == "unpack-denied"

    with open_directory() as place:
        as_nobody(work)
