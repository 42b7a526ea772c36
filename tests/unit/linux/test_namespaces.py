"""Wrappers whose effect is only allowed, or only visible, in namespaces of a child's own."""

import errno
import os
import socket
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from proa.linux import clone, keyctl, loopback, mount, mounttree, namespaces, pidfd, random, uname

ALL = namespaces.CLONE_NEWNS | namespaces.CLONE_NEWUTS | namespaces.CLONE_NEWNET | namespaces.CLONE_NEWIPC


def apart(work: Callable[[], None], flags: int = ALL) -> None:
    """Run ``work`` in a child in new namespaces; skipped where these cannot be had."""
    try:
        pid, fd = clone.clone(flags)
    except OSError as problem:
        pytest.skip(f"this host makes no namespaces: {problem}")
    if pid == 0:
        try:
            mount.mount("", "/", "", mount.MS_REC | mount.MS_PRIVATE)
            work()
            os._exit(0)
        except BaseException as problem:
            os.write(2, f"in child: {problem!r}\n".encode())
        finally:
            os._exit(1)
    status = pidfd.status(fd, block=True)
    os.close(fd)
    assert status == 0


def test_mount_umount_and_their_flags(tmp_path: Path) -> None:
    def work() -> None:
        mount.mount("tmpfs", tmp_path, "tmpfs", mount.MS_NOSUID, "size=64k")
        assert os.statvfs(tmp_path).f_flag & os.ST_NOSUID
        (tmp_path / "f").touch()
        mount.umount(tmp_path, mount.MNT_DETACH)
        assert not (tmp_path / "f").exists()

    apart(work)
    assert list(tmp_path.iterdir()) == []


def test_trees_with_attributes(tmp_path: Path) -> None:
    (tmp_path / "a").mkdir()
    (tmp_path / "b").mkdir()
    (tmp_path / "a/f").touch()

    def work() -> None:
        mount.mount("tmpfs", tmp_path / "b", "tmpfs")
        (tmp_path / "b/sub").mkdir()
        mount.mount("tmpfs", tmp_path / "b/sub", "tmpfs")
        tree = mounttree.open_tree(tmp_path / "b", recursive=True)
        mounttree.set_attributes(tree, mounttree.MOUNT_ATTR_RDONLY, recursive=True)
        target = os.open(tmp_path / "a", os.O_PATH)
        mounttree.move_mount(tree, target)
        for path in (tmp_path / "a/x", tmp_path / "a/sub/x"):
            with pytest.raises(OSError) as caught:
                path.touch()
            assert caught.value.errno == errno.EROFS
        (tmp_path / "b/x").touch()
        again = mounttree.copy_tree(os.open(tmp_path / "b", os.O_PATH))
        mounttree.set_attributes(again, 0, propagation=mount.MS_SHARED)

    apart(work)


def test_a_read_only_file_of_ones_own(tmp_path: Path) -> None:
    """What is started through it cannot be written by /proc/PID/exe."""
    program = tmp_path / "program"
    program.write_bytes(Path("/bin/true").read_bytes())
    program.chmod(0o755)
    try:
        fd = mounttree.readonly_file(program)
    except PermissionError as problem:
        pytest.skip(f"this process may not mount: {problem}")
    pid = os.posix_spawn(f"/proc/self/fd/{fd}", ["true"], {})
    assert os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) == 0
    with pytest.raises(OSError) as caught:
        os.open(f"/proc/self/fd/{fd}", os.O_WRONLY)
    assert caught.value.errno == errno.EROFS
    os.close(fd)
    program.write_text("still mine")


def test_a_network_made_beforehand() -> None:
    def work() -> None:
        ours = os.stat("/proc/self/ns/net").st_ino
        made = namespaces.new_network()
        assert os.stat("/proc/self/ns/net").st_ino == ours != os.fstat(made).st_ino
        assert not os.get_inheritable(made)
        namespaces.setns(made, namespaces.CLONE_NEWNET)
        assert os.stat("/proc/self/ns/net").st_ino == os.fstat(made).st_ino

    apart(work)


def test_names() -> None:
    before = os.uname().nodename

    def work() -> None:
        uname.set_hostname("inside")
        uname.set_domainname("example")
        assert os.uname().nodename == "inside"
        with pytest.raises(OSError):
            uname.set_hostname("x" * 65)

    apart(work)
    assert os.uname().nodename == before


def test_loopback() -> None:
    def work() -> None:
        server = socket.socket()
        server.bind(("127.0.0.1", 0))
        with pytest.raises(OSError):
            socket.create_connection(server.getsockname(), timeout=0.2)
        loopback.up()
        server.listen()
        socket.create_connection(server.getsockname(), timeout=5).close()

    apart(work)


def test_joining_by_path_and_by_pidfd() -> None:
    def work() -> None:
        mine = os.readlink("/proc/self/ns/uts")
        pid, fd = clone.clone(namespaces.CLONE_NEWUTS)
        if pid == 0:
            while True:
                time.sleep(1)
        theirs = os.readlink(f"/proc/{pid}/ns/uts")
        assert theirs != mine
        with pytest.raises(OSError):
            namespaces.join(f"/proc/{pid}/ns/uts", namespaces.CLONE_NEWIPC)
        held = os.open("/proc/self/ns/uts", os.O_RDONLY)
        namespaces.setns(fd, namespaces.CLONE_NEWUTS)
        assert os.readlink("/proc/self/ns/uts") == theirs
        namespaces.setns(held, 0)
        namespaces.join(f"/proc/{pid}/ns/uts", namespaces.CLONE_NEWUTS)
        namespaces.unshare(namespaces.CLONE_NEWUTS)
        assert os.readlink("/proc/self/ns/uts") not in (mine, theirs)
        pidfd.signal(fd, 9)
        pidfd.status(fd, block=True)

    apart(work)


def test_session_keyring() -> None:
    def work() -> None:
        try:
            keyctl.join_session("proa-test")
        except OSError as problem:
            assert problem.errno in (errno.ENOSYS, errno.EDQUOT, errno.EPERM)

    apart(work)


def test_reseeding_the_generator() -> None:
    try:
        random.reseed(os.urandom(32))
    except PermissionError as problem:
        pytest.skip(f"needs CAP_SYS_ADMIN: {problem}")
