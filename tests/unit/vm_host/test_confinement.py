"""The Jail value for each row of the ladder."""

import os

import pytest

from proa.hull.vm import confinement, jail
from proa.hull.vm.parts import Qemu

ID = "5" * 64
QEMU = Qemu(("/usr/bin/env",), (), "/usr/bin/env", "x", ("/usr/bin/env", "/usr/share/qemu"), "host")


def may(mount, setuid):
    return {"mknod": mount, "mount": mount, "cgroup": mount, "setuid": setuid}


def test_root():
    value = confinement.plan(QEMU, ID, may(True, True), "/run/x")
    assert value["namespaces"]
    assert value["root"] == "/run/x"
    assert confinement.FIRST_UID <= value["uid"] <= confinement.LAST_UID
    assert value["program"] == "/usr/bin/env"
    assert value["executes"][0] == "/usr/bin/env"
    assert "ld-" in value["executes"][1]
    assert value["devices"] == []


def test_the_floor():
    value = confinement.plan(QEMU, ID, may(False, False), "/run/x")
    assert not value["namespaces"]
    assert value["uid"] == -1
    assert value["groups"] == []


def test_a_cold_boot_reads_its_kernel_too():
    value = confinement.plan(QEMU, ID, may(True, True), "/x", files=["/k/vmlinux", "/k/initrd"])
    assert value["reads"] == ["/usr/bin/env", "/usr/share/qemu", "/k/vmlinux", "/k/initrd"]


def test_kvm_is_the_only_device():
    assert confinement.plan(QEMU, ID, may(True, True), "/x", accelerator="kvm")["devices"] == ["/dev/kvm"]


def test_users_are_nobodys_and_differ():
    taken = confinement._users()
    ids = [os.urandom(32).hex() for _ in range(200)]
    users = {confinement.user(id) for id in ids}
    assert len(users) > 195
    assert not users & taken


def test_a_user_that_exists_is_passed_over(tmp_path, monkeypatch):
    first = confinement.user(ID)
    monkeypatch.setattr(confinement, "_users", lambda: {first})
    assert confinement.user(ID) == first + 1
    monkeypatch.setattr(confinement, "_users", lambda: {confinement.LAST_UID})
    assert confinement.user("7ffffff") == confinement.FIRST_UID


@pytest.mark.parametrize(
    ("paths", "tops"),
    [
        (["/a/b", "/a", "/ab"], ["/a", "/ab"]),
        (["/a/b", "/a/b"], ["/a/b"]),
        (["/lib/x", "/usr/lib/x"], ["/lib/x", "/usr/lib/x"]),
    ],
)
def test_what_lies_below_comes_along(paths, tops):
    assert jail._tops(paths) == tops


def test_the_walls_are_told():
    full = confinement.walls(confinement.plan(QEMU, ID, may(True, True), "/x"))
    floor = confinement.walls(confinement.plan(QEMU, ID, may(False, False), "/x"))
    assert "private root" in full
    assert "private root" not in floor
    assert "seccomp" in floor


def test_a_user_of_its_own_without_a_root_of_its_own(monkeypatch):
    """Where nothing can be mounted, another user must get at QEMU's files by their paths."""
    monkeypatch.setattr(confinement, "open_to_all", lambda path: True)
    assert confinement.plan(QEMU, ID, may(False, True), "/x")["uid"] >= confinement.FIRST_UID
    monkeypatch.setattr(confinement, "open_to_all", lambda path: path != "/usr/share/qemu")
    assert confinement.plan(QEMU, ID, may(False, True), "/x")["uid"] == -1
    assert confinement.plan(QEMU, ID, may(True, True), "/x")["uid"] >= confinement.FIRST_UID


def test_open_to_all(tmp_path):
    assert confinement.open_to_all("/usr/bin/env")
    (tmp_path / "file").write_text("x")
    (tmp_path / "file").chmod(0o600)
    assert not confinement.open_to_all(str(tmp_path / "file"))
    (tmp_path / "file").chmod(0o644)
    tmp_path.chmod(0o700)
    assert not confinement.open_to_all(str(tmp_path / "file"))
    assert not confinement.open_to_all(str(tmp_path / "none"))
