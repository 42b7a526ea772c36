"""The contract of rootfs (proa/rootfs/contract.py), for both implementations.

Overlays are mounted here in a mount namespace of a child, where this user may; a squashfs is read by unsquashfs, a
writable disk by debugfs: nothing is mounted on the host, and no tool parses what a guest could have written.
"""

from __future__ import annotations

import ctypes
import io
import os
import shutil
import subprocess
import tempfile
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from proa.errors import HostCannot
from proa.image.store import ImageRecord
from proa.places import Places
from proa.rootfs import block, ext4, tools
from proa.rootfs.block import Block
from proa.rootfs.contract import Rootfs
from proa.rootfs.overlay import Overlay
from proa.ship import archive
from unit.image import tars, users

ENTRIES = [
    tars.directory("./", mode=0o711, uid=0, gid=0),
    tars.E("bin/tool", b"#!/bin/sh\n" * 100, mode=0o4755, uid=5, gid=6),
    tars.hardlink("bin/tool2", "bin/tool"),
    tars.symlink("etc", "/usr/etc"),
    tars.device("dev/null", 1, 3),
    tars.E("n" * 180, b"long", uid=3_000_000),
    tars.E("quote \"'\\ \n\x01", b"strange name"),
]
DATA = tars.make(*ENTRIES)
CONTAINER = "c" * 64


@pytest.fixture
def places() -> Iterator[Places]:
    with users.open_directory() as place:
        yield Places(place + "/state", place + "/run")


def needs_tree(kind: type[Rootfs]) -> None:
    if kind is Overlay and os.geteuid() != 0:
        pytest.skip("an ordinary user can have no unpacked trees")


@pytest.fixture(params=[Overlay, Block])
def rootfs(request: pytest.FixtureRequest, places: Places) -> Rootfs:
    needs_tree(request.param)
    return request.param(places)  # type: ignore[no-any-return]


@pytest.fixture
def record(places: Places) -> ImageRecord:
    return archive.import_tar(io.BytesIO(DATA), places)


def test_form(rootfs: Rootfs, record: ImageRecord, places: Places) -> None:
    root = rootfs.prepare(places.container(CONTAINER), rootfs.unpack(record))
    assert bool(root.mounts) == (rootfs.form == "mounts") and bool(root.disks) == (rootfs.form == "disks")
    for disk in root.disks:
        assert os.stat(disk["path"]).st_size == block.DISK_SIZE
    assert [disk["role"] for disk in root.disks] in ([], ["root", "upper"])
    for mount in root.mounts:
        assert mount["destination"] == places.container(CONTAINER) + "/work"


def test_unpack_is_done_once(rootfs: Rootfs, record: ImageRecord) -> None:
    base = rootfs.unpack(record)
    before = [os.stat(path).st_ino for path in base]
    start = time.monotonic()
    assert rootfs.unpack(record) == base
    assert time.monotonic() - start < 0.5 and [os.stat(path).st_ino for path in base] == before


def test_two_unpack_at_once(rootfs: Rootfs, record: ImageRecord, places: Places) -> None:
    results: list[list[str]] = []
    shutil.rmtree(places.state + "/layers", ignore_errors=True)
    threads = [threading.Thread(target=lambda: results.append(rootfs.unpack(record))) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert len(results) == 4 and all(found == results[0] for found in results)
    left = [n for n in os.listdir(os.path.dirname(results[0][0])) if n.startswith(".fresh")]
    assert left == []


def test_two_containers_are_apart(rootfs: Rootfs, record: ImageRecord, places: Places) -> None:
    base = rootfs.unpack(record)
    one, two = (rootfs.prepare(places.container(name * 64), base) for name in "ab")
    assert one != two
    own = [disk["path"] for root in (one, two) for disk in root.disks if disk["role"] == "upper"]
    assert len(set(own)) == len(own)


def test_prepare_again_keeps_what_was_written(rootfs: Rootfs, record: ImageRecord, places: Places) -> None:
    base, where = rootfs.unpack(record), places.container(CONTAINER)
    root = rootfs.prepare(where, base)
    written = where + ("/upper/file" if root.mounts else "/upper.img")
    with open(written, "r+b" if root.disks else "wb") as file:
        file.write(b"kept")
    again = rootfs.prepare(where, base)
    assert again.mounts == root.mounts and [d["path"] for d in again.disks] == [d["path"] for d in root.disks]
    assert ["blank" in disk for disk in root.disks] == ([False, True] if root.disks else [])
    assert not any("blank" in disk for disk in again.disks)
    with open(written, "rb") as file:
        assert file.read(4) == b"kept"


def test_remove(rootfs: Rootfs, record: ImageRecord, places: Places) -> None:
    base, where = rootfs.unpack(record), places.container(CONTAINER)
    rootfs.prepare(where, base)
    os.makedirs(where + "/upper/deep/er", exist_ok=True)
    os.symlink(base[0], where + "/upper/deep/link")
    rootfs.remove(where)
    rootfs.remove(where)
    assert not os.path.exists(where) and all(os.path.exists(path) for path in base)


def test_prepare_is_quick(rootfs: Rootfs, record: ImageRecord, places: Places) -> None:
    base = rootfs.unpack(record)
    best = 1.0
    for n in range(20):
        where = places.container(f"{n:064d}")
        start = time.perf_counter()
        rootfs.prepare(where, base)
        best = min(best, time.perf_counter() - start)
    assert best < 0.005


def test_prepare_does_not_sync(
    rootfs: Rootfs, record: ImageRecord, places: Places, monkeypatch: pytest.MonkeyPatch
) -> None:
    base = rootfs.unpack(record)

    def refused(*_: object) -> None:
        raise AssertionError("a sync on the launch path")

    for name in ("fsync", "fdatasync", "sync"):
        monkeypatch.setattr(os, name, refused)
    rootfs.prepare(places.container(CONTAINER), base)
    rootfs.remove(places.container(CONTAINER))


def test_a_missing_tool_is_named(places: Places, record: ImageRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(tools, "PATH", ())
    monkeypatch.setattr(tools, "SHARED", places.state + "/none")
    with pytest.raises(HostCannot) as caught:
        Block(places).unpack(record)
    assert caught.value.missing == "e2fsprogs" and caught.value.next_step.startswith("proa setup")


def test_a_tool_among_the_parts(places: Places, record: ImageRecord, monkeypatch: pytest.MonkeyPatch) -> None:
    where = places.state + "/parts/e2fsprogs"
    os.makedirs(where + "/root/usr/sbin")
    Path(where, "root/usr/sbin/mke2fs").touch(0o755)
    monkeypatch.setattr(tools, "PATH", ())
    monkeypatch.setattr(tools, "SHARED", places.state + "/none")
    with pytest.raises(HostCannot):
        tools.find("mke2fs", places)
    Path(where, "complete").write_text("{}")
    assert tools.find("mke2fs", places) == [where + "/root/usr/sbin/mke2fs"]
    os.makedirs(where + "/root/lib64")
    os.makedirs(where + "/root/usr/lib/x86_64-linux-gnu")
    loader = where + "/root/lib64/ld-linux-x86-64.so.2"
    Path(loader).write_text("")
    found = tools.find("mke2fs", places)
    assert found[0] == loader and found[1] == "--library-path" and "x86_64-linux-gnu" in found[2]


def listing(squashfs: str) -> dict[str, str]:
    """Path → ``mode owner`` of a squashfs, and its root as "/"."""
    run = subprocess.run(["unsquashfs", "-lln", squashfs], capture_output=True, check=True, text=True)
    found = {}
    for line in run.stdout.splitlines():
        words = line.split(None, 5)
        if len(words) == 6 and "squashfs-root" in line:
            path = line.partition("squashfs-root")[2].split(" -> ")[0]
            found[path or "/"] = f"{words[0]} {words[1]}"
    return found


def check_squashfs(places: Places, record: ImageRecord) -> None:
    squashfs, plain, journal = Block(places).unpack(record)
    found = listing(squashfs)
    assert found["/"] == "drwx--x--x 0/0"
    assert found["/bin/tool"] == "-rwsr-xr-x 5/6" == found["/bin/tool2"]
    assert found["/dev/null"] == "crw-rw-rw- 0/0"
    assert found["/" + "n" * 180] == "-rw-r--r-- 3000000/0"
    assert os.stat(squashfs).st_blocks * 512 < 1 << 20
    content = subprocess.run(["unsquashfs", "-cat", squashfs, "bin/tool"], capture_output=True, check=True)
    assert content.stdout == b"#!/bin/sh\n" * 100
    for image in (plain, journal):
        check = subprocess.run(["e2fsck", "-fn", image], capture_output=True, text=True)
        assert check.returncode == 0, check.stdout
        assert os.stat(image).st_blocks * 512 < 1 << 20


def test_squashfs_and_blank_disks(places: Places, record: ImageRecord) -> None:
    check_squashfs(places, record)


def test_everything_of_a_block_root_as_an_ordinary_user(places: Places) -> None:
    def work() -> None:
        record = archive.import_tar(io.BytesIO(DATA), places)
        assert not os.path.exists(places.state + "/layers/" + record.root[7:])
        check_squashfs(places, record)
        root = Block(places).prepare(places.container(CONTAINER), Block(places).unpack(record))
        assert os.access(root.disks[1]["path"], os.W_OK)
        Block(places).remove(places.container(CONTAINER))
        with pytest.raises(HostCannot):
            Overlay(places).unpack(record)

    users.as_nobody(work)


def test_a_failing_tool_leaves_nothing_and_says_why(
    places: Places, record: ImageRecord, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(tools, "find", lambda name, places: ["/bin/sh", "-c", "echo broken >&2; exit 3"])
    with pytest.raises(Exception, match="status 3: broken") as caught:
        Block(places).unpack(record)
    assert caught.value.code == "block-image-failed"  # type: ignore[attr-defined]
    assert [n for n in os.listdir(places.state + "/blocks") if "blank" in n and not n.endswith(".lock")] == []


def test_a_copied_disk_is_the_blank_one(places: Places) -> None:
    where = places.container(CONTAINER)
    os.makedirs(where)
    source = where + "/source"
    with open(source, "wb") as file:
        file.write(b"start")
        file.seek(5 << 20)
        file.write(b"middle")
        file.truncate(100 << 20)
    block.copy_sparse(source, where + "/copy")
    assert os.stat(where + "/copy").st_blocks <= os.stat(source).st_blocks
    assert subprocess.run(["cmp", source, where + "/copy"]).returncode == 0


def in_mount_namespace(work: Callable[[], None]) -> None:
    """Run ``work`` in a child with its own mounts."""
    libc = ctypes.CDLL(None, use_errno=True)
    pid = os.fork()
    if pid == 0:
        status = 1
        try:
            assert libc.unshare(0x00020000) == 0  # CLONE_NEWNS
            assert libc.mount(b"none", b"/", None, 0x44000, None) == 0  # MS_REC | MS_PRIVATE
            work()
            status = 0
        finally:
            os._exit(status)
    assert os.waitpid(pid, 0)[1] == 0


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting an overlay needs root")
@pytest.mark.parametrize("volatile", [False, True])
def test_the_overlay_can_be_mounted(record: ImageRecord, volatile: bool) -> None:
    # colons and commas in the path, which overlayfs' options must escape
    with users.open_directory() as place:
        places = Places(place + "/odd:dir,with\\all/state", place + "/run")
        copy = archive.import_tar(io.BytesIO(DATA), places)
        where = places.container(CONTAINER)
        root = Overlay(places).prepare(where, Overlay(places).unpack(copy), volatile=volatile)
        mount = root.mounts[0]

        def work() -> None:
            libc = ctypes.CDLL(None, use_errno=True)
            options = ",".join(mount["options"]).encode()
            done = libc.mount(b"overlay", mount["destination"].encode(), b"overlay", 0, options)
            assert done == 0, os.strerror(ctypes.get_errno())
            top = os.stat(mount["destination"])
            assert top.st_mode & 0o7777 == 0o711
            assert Path(mount["destination"], "bin/tool").read_bytes() == b"#!/bin/sh\n" * 100
            Path(mount["destination"], "written").write_text("x")

        in_mount_namespace(work)
        assert Path(where, "upper/written").read_text() == "x"
        Overlay(places).prepare(where, Overlay(places).unpack(copy), volatile=volatile)
        in_mount_namespace(work)
        Overlay(places).remove(where)


def test_the_tools_do_not_see_our_environment(places: Places, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SECRET", "x")
    monkeypatch.setattr(tools, "find", lambda name, places: ["/bin/sh", "-c", "env >&2; exit 1"])
    with pytest.raises(Exception, match="LC_ALL=C") as caught:
        ext4.make(places, tempfile.mkdtemp(dir=os.path.dirname(places.state)) + "/x", 1 << 20, journal=False)
    assert "SECRET" not in str(caught.value)
