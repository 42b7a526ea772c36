"""Docker's USER text against passwd and group."""

import os
from pathlib import Path
from typing import Any

import pytest

from proa.runtime import user
from proa.runtime.messages import StartFailure

FILES = {
    "/etc/passwd": "root:x:0:0:root:/root:/bin/sh\nweb:x:1000:1001::/home/web:\nweb2:x:1000:5::/other:\nbad\nx:y:z:1::",
    "/etc/group": "root:x:0:root\nweb:x:1001:\nvideo:x:44:a,web,b\naudio:x:29:web2\nbroken:x\n1000:x:77:",
}


def look(text: str | None, **fields: Any) -> user.Identity:
    value: Any = {"uid": fields.get("uid", 0), "gid": fields.get("gid", 0)}
    if text is not None:
        value["username"] = text
    if "extra" in fields:
        value["additionalGids"] = fields["extra"]
    rows = {path: [line.split(":") for line in text.split("\n")] for path, text in FILES.items()}
    if fields.get("empty"):
        rows = {path: [] for path in rows}
    return user.find(value, need_home=True, read=lambda path: rows[path])


@pytest.mark.parametrize(
    ("text", "uid", "gid", "groups", "home"),
    [
        ("", 0, 0, [0], "/root"),
        ("root", 0, 0, [0], "/root"),
        ("web", 1000, 1001, [1001, 44], "/home/web"),
        ("1000", 1000, 1001, [1001, 44], "/home/web"),
        ("web:video", 1000, 44, [44], "/home/web"),
        ("web:9", 1000, 9, [9], "/home/web"),
        ("web:1000", 1000, 1000, [1000], "/home/web"),
        ("4242", 4242, 0, [0], ""),
        ("4242:4343", 4242, 4343, [4343], ""),
        (":video", 0, 44, [44], "/root"),
    ],
)
def test_user_texts(text: str, uid: int, gid: int, groups: list[int], home: str) -> None:
    one = look(text)
    assert (one.uid, one.gid, one.groups, one.home) == (uid, gid, groups, home)


def test_numbers_alone() -> None:
    one = look(None, uid=1000, gid=3, extra=[44, 3])
    assert (one.uid, one.gid, one.groups, one.home) == (1000, 3, [3, 44], "/home/web")


def test_extra_groups_and_no_files() -> None:
    assert look("web", extra=[7, 44]).groups == [1001, 44, 7]
    assert look("77", empty=True).uid == 77
    assert look("", empty=True).groups == [0]


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("ghost", "unable to find user ghost: no matching entries in passwd file"),
        ("web:ghosts", "unable to find group ghosts: no matching entries in group file"),
        ("-1", "range"),
        ("2147483648", "range"),
        ("0:-5", "range"),
    ],
)
def test_refused(text: str, words: str) -> None:
    with pytest.raises(StartFailure, match=words):
        look(text)


def test_hostile_files(tmp_path: Path) -> None:
    fifo, big, link = tmp_path / "fifo", tmp_path / "big", tmp_path / "link"
    os.mkfifo(fifo)
    big.touch()
    os.truncate(big, user.FILE_MAX + 1)
    link.symlink_to(link)
    for path in (fifo, big, link, tmp_path, tmp_path / "missing"):
        assert user.read(str(path)) == []
    big.write_bytes(b"#c:1\n\n\xff:x:1:2\n")
    assert user.read(str(big)) == [["\udcff", "x", "1", "2"]]


@pytest.mark.parametrize(
    "passwd",
    ["foo:x:-1:0::/:", "foo:x:4294967295:0::/:", "foo:x:-2:0::/:", "foo:x:5000000000:0::/:", "foo:x:5:-1::/:"],
)
def test_an_image_cannot_make_a_user_root_by_an_id_that_is_none(passwd: str) -> None:
    rows = {"/etc/passwd": [passwd.split(":")], "/etc/group": []}
    with pytest.raises(StartFailure, match="must be in range 0-2147483647"):
        user.find({"uid": 0, "gid": 0, "username": "foo"}, need_home=True, read=lambda path: rows[path])


@pytest.mark.parametrize("gid", ["-1", "4294967295"])
def test_nor_by_a_group(gid: str) -> None:
    rows = {"/etc/passwd": [["foo", "x", "5", "5", "", "/"]], "/etc/group": [["g", "x", gid, "foo"]]}
    for text in ("foo", "foo:g"):
        with pytest.raises(StartFailure, match="must be in range 0-2147483647"):
            user.find({"uid": 0, "gid": 0, "username": text}, need_home=True, read=lambda path: rows[path])
