"""``proa setup --user`` and ``proa doctor`` for real, on the floor: parts fetched by the distribution's own client."""

import hashlib
import json
import os
import pathlib
import shutil
import subprocess
import time

import pytest

import proa

LAUNCH = str(pathlib.Path(__file__).parent / "launch.py")
SYSTEM_PYTHON = "/usr/bin/python3"
SITE = os.path.dirname(os.path.dirname(os.path.abspath(proa.__file__)))
PARTS = ["kernel", "qemu", "squashfs-tools", "e2fsprogs"]

pytestmark = [
    pytest.mark.skipif(os.geteuid() != 0, reason="only root can play the floor"),
    pytest.mark.skipif(not shutil.which("apt-get"), reason="fetches by apt-get"),
    pytest.mark.slow,
]


@pytest.fixture(scope="module")
def floor(tmp_path_factory):
    """A home of the floor's, and a copy of the package that its user can read."""
    base = tmp_path_factory.mktemp("floor")
    for path in (base, base.parent, base.parent.parent):
        os.chmod(path, path.stat().st_mode | 0o055)
    shutil.copytree(f"{SITE}/proa", base / "site" / "proa", ignore=shutil.ignore_patterns("__pycache__"))
    return base


def run(floor, module, *args):
    nothing = "from proa.hull.vm import parts; parts.SYSTEM_PARTS = '/nonexistent'"  # root may have fetched some here
    code = f"import sys; sys.path.append({str(floor / 'site')!r}); {nothing}; from proa.{module} import main; main()"
    python = [SYSTEM_PYTHON, "-I", "-S", "-X", "utf8", "-c", code, *args]
    words = [SYSTEM_PYTHON, LAUNCH, "--home", str(floor / "home"), "--", *python]
    env = {**os.environ, "PROA_ROOT": str(floor / "home" / "proa")}
    return subprocess.run(words, capture_output=True, text=True, timeout=600, check=False, env=env)


def system():
    """What a package that gets installed would change."""
    state = hashlib.sha256(pathlib.Path("/var/lib/dpkg/status").read_bytes()).hexdigest()
    return (
        state,
        sorted(os.listdir("/boot")),
        sorted(os.listdir("/lib/modules")) if os.path.isdir("/lib/modules") else [],
    )


def test_before_setup_the_doctor_names_what_is_missing(floor):
    done = run(floor, "engine.doctor", "--isolation", "vm", "--json")
    assert done.returncode == 1, done.stderr
    said = json.loads(done.stdout)
    assert said["row"].startswith("the floor")
    assert "kernel" in said["hulls"]["vm"]["why"]
    assert said["hulls"]["vm"]["next"] == "proa setup --user"


def test_setup_and_doctor(floor):
    before = system()
    done = run(floor, "hull.vm.fetch", "--user", "--all", "--json")
    assert done.returncode == 0, done.stdout + done.stderr
    outcomes = json.loads(done.stdout)["parts"]
    assert [one["part"] for one in outcomes] == PARTS
    assert {one["state"] for one in outcomes} == {"fetched"}
    assert system() == before
    started = time.monotonic()
    again = json.loads(run(floor, "hull.vm.fetch", "--user", "--all", "--json").stdout)["parts"]
    assert {one["state"] for one in again} == {"present"}
    assert time.monotonic() - started < 5
    assert sorted(os.listdir(floor / "home" / "proa" / "state" / "parts")) == sorted([*PARTS, "lock"])
    done = run(floor, "engine.doctor", "--isolation", "vm", "--json")
    assert done.returncode == 0, done.stdout
    said = json.loads(done.stdout)
    assert said["hulls"]["vm"]["state"] == "yes"
    assert said["hulls"]["vm"]["why"].startswith("tcg")
    assert run(floor, "engine.doctor", "--isolation", "process").returncode == 1
