"""``proa setup``: whole sets or none, whatever happens; the package client is played here."""

import json
import os
import random
import signal
import subprocess
import sys
import time

import pytest

from proa.errors import HostCannot
from proa.hull.vm import apt, fetch, parts
from proa.hull.vm.fetch import Setup, Wish
from proa.hull.vm.progress import Progress
from proa.places import Places

from .test_parts import kernel_files

URIS = """\
Reading package lists...
'http://mirror/pool/g/glibc/libc6_2.36-9%2bdeb12u14_amd64.deb' libc6_2.36-9+deb12u14_amd64.deb 2759320 SHA256:aa
'http://mirror/pool/q/qemu/qemu-system-x86_7.2_amd64.deb' qemu-system-x86_1%3a7.2+dfsg-7+b3_amd64.deb 9281168 SHA256:bb
"""

PLAYED = """
import os, sys, time
sys.path.insert(0, {site!r}); sys.path.insert(0, {tests!r})
from proa.hull.vm import apt, fetch, parts
from tests.unit.vm_host.test_fetch import Played
apt.Apt, apt.unpack = Played, Played.unpack
os.sync = lambda: None
parts.SYSTEM_PARTS = os.environ["PROA_ROOT"] + "/system"
fetch.main(["--user", "--json"])
"""


class Played:
    """A package client that serves one kernel, slowly."""

    def __init__(self, work):
        os.makedirs(work, exist_ok=True)

    def update(self):
        time.sleep(0.01)

    def depends(self, name):
        return "linux-image-6.1.0-5-cloud-amd64 (= 6.1.2-1), something-else"

    def one(self, name):
        return apt.Package(name, "6.1.2-1", 100, "x.deb")

    def download(self, packages, watch):
        watch(50)
        time.sleep(0.01)
        return ["x.deb"]

    @staticmethod
    def unpack(debs, root, watch):
        watch(0)
        for path, content in kernel_files("6.1.0-5-cloud-amd64").items():
            os.makedirs(os.path.dirname(f"{root}/{path}"), exist_ok=True)
            with open(f"{root}/{path}", "wb") as file:
                file.write(content[:100])
                time.sleep(0.01)
                file.write(content[100:])


@pytest.fixture
def played(monkeypatch, tmp_path):
    monkeypatch.setattr(apt, "Apt", Played)
    monkeypatch.setattr(apt, "unpack", Played.unpack)
    monkeypatch.setattr(os, "sync", lambda: None)
    monkeypatch.setattr(parts, "SYSTEM_PARTS", str(tmp_path / "system"))
    return Places(str(tmp_path / "state"), str(tmp_path / "run"))


def setup(places, **wish):
    return Setup(places, Wish(f"{places.state}/parts", **wish), Progress(sys.stderr, sys.stderr, quiet=True))


def test_what_apt_says_is_read():
    packages = apt._packages(URIS)
    assert [(one.name, one.version, one.size) for one in packages] == [
        ("libc6", "2.36-9+deb12u14", 2759320),
        ("qemu-system-x86", "1:7.2+dfsg-7+b3", 9281168),
    ]
    with pytest.raises(HostCannot) as refused:
        apt._packages("E: Unable to locate package x")
    assert refused.value.code == "fetch-failed"
    assert "Unable to locate" in refused.value.what


def test_nothing_that_qemu_is_linked_against_is_left_out():
    qemu = (
        "libc6 libgcc-s1 libaio1 libbpf1 libelf1 libglib2.0-0 libgnutls30 libssl3 libsasl2-2 libkmod2 libudev1".split()
    )
    assert not [name for name in qemu if fetch._NOT_NEEDED.match(name)]
    assert all(
        fetch._NOT_NEEDED.match(name) for name in ("iso-codes", "libspice-server1", "debconf", "libasound2-data")
    )


def test_a_set_is_fetched_once(played):
    first = setup(played)._kernel()
    assert (first.state, first.version, first.bytes) == ("fetched", "6.1.0-5-cloud-amd64", 100)
    record = parts.complete(f"{played.state}/parts", "kernel")
    assert record["versions"] == {"linux-image-6.1.0-5-cloud-amd64": "6.1.2-1"}
    assert setup(played)._kernel().state == "present"
    assert setup(played, everything=True)._kernel().state == "present"


def test_a_damaged_set_is_fetched_anew(played):
    setup(played)._kernel()
    image = parts.find_kernel(played).image
    os.truncate(image, 10)
    assert setup(played)._kernel().state == "fetched"
    assert os.path.getsize(image) > 10


def test_show_touches_nothing(played):
    outcome = setup(played, show=True)._kernel()
    assert outcome.state == "would fetch"
    assert not os.path.exists(played.state)


def test_a_failure_leaves_nothing(played, monkeypatch):
    def fails(_self, _packages, _watch):
        raise HostCannot("no network", code="fetch-failed")

    monkeypatch.setattr(Played, "download", fails)
    with pytest.raises(HostCannot):
        setup(played).run()
    assert os.listdir(f"{played.state}/parts") == ["lock"]


def test_a_distribution_without_a_known_kernel_package(played, monkeypatch):
    monkeypatch.setattr(Played, "depends", lambda _self, _name: "")
    with pytest.raises(HostCannot) as refused:
        setup(played)._kernel()
    assert refused.value.code == "no-kernel-package"
    assert "--kernel" in refused.value.next_step


def run(tmp_path):
    here = os.path.dirname(os.path.abspath(__file__))
    code = PLAYED.format(
        site=os.path.dirname(os.path.dirname(parts.__file__.replace("/hull/vm", ""))), tests=here + "/../../.."
    )
    env = {**os.environ, "PROA_ROOT": str(tmp_path)}
    pipe = subprocess.PIPE
    return subprocess.Popen([sys.executable, "-c", code], env=env, stdout=pipe, stderr=pipe, text=True)


def test_killed_at_any_moment_it_leaves_a_whole_set_or_none(tmp_path):
    chance = random.Random(7)
    target = tmp_path / "state" / "parts"
    for _round in range(6):
        child = run(tmp_path)
        time.sleep(chance.uniform(0.05, 0.35))
        child.send_signal(signal.SIGKILL)
        child.communicate()
        if (target / "kernel").exists():
            assert (target / "kernel" / "complete").exists()
            assert parts.find_kernel(Places(str(tmp_path / "state"), "")).version
            break
    child = run(tmp_path)
    out, _err = child.communicate(timeout=60)
    assert json.loads(out)["parts"][0]["part"] == "kernel"
    assert not [name for name in os.listdir(target) if name.startswith(".")]


def test_two_at_once_make_one(tmp_path):
    children = [run(tmp_path) for _ in range(3)]
    answers = [json.loads(child.communicate(timeout=60)[0]) for child in children]
    states = sorted(answer["parts"][0]["state"] for answer in answers)
    assert states == ["fetched", "present", "present"]


def test_errors_are_one_line_and_an_exit_code(tmp_path, capsys):
    wrong = tmp_path / "kernel"
    wrong.write_text("this is not one\n")
    with pytest.raises(SystemExit) as ended:
        fetch.main(["--user", "--root", str(tmp_path / "root"), "--kernel", str(wrong)])
    assert ended.value.code == 125
    assert f"proa: {wrong} is not a kernel" in capsys.readouterr().err


def test_only_root_writes_the_systems_folder(monkeypatch, capsys):
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    with pytest.raises(SystemExit) as ended:
        fetch.main(["--json"])
    assert ended.value.code == 1
    assert json.loads(capsys.readouterr().out)["next"] == "proa setup --user"


def test_a_full_disk_is_one_line(monkeypatch, tmp_path, capsys):
    def full(_self):
        raise OSError(28, "No space left on device", "/x/complete")

    monkeypatch.setattr(Setup, "run", full)
    with pytest.raises(SystemExit) as ended:
        fetch.main(["--user", "--root", str(tmp_path)])
    assert ended.value.code == 125
    assert capsys.readouterr().err == "proa: setup could not go on: No space left on device: /x/complete\n"
