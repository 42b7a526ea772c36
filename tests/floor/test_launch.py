"""The floor is the floor: what the launcher takes away is gone, before the first instruction of the command."""

import os
import pathlib
import subprocess
import tempfile

import pytest

LAUNCH = str(pathlib.Path(__file__).parent / "launch.py")
SYSTEM_PYTHON = "/usr/bin/python3"
USERS = {
    "nobody": ("--uid", "65534"),
    "root without a capability": ("--uid", "0"),
    "root of a pod": ("--uid", "0", "--caps", "docker"),
}
TRY = r"""
import ctypes, errno, os
libc = ctypes.CDLL(None, use_errno=True)
libc.syscall.restype = ctypes.c_long
def call(number, *args):
    done = libc.syscall(number, *args)
    return "done" if done >= 0 else errno.errorcode[ctypes.get_errno()]
arm = os.uname().machine == "aarch64"
print(call(97 if arm else 272, 0x10000000), call(97 if arm else 272, 0x20000),
      call(40 if arm else 165, b"x", b"/tmp", b"tmpfs", 0, None), call(51 if arm else 161, b"/"),
      call(428, -100, b"/", 1), call(430, b"tmpfs", 0), call(435, None, 0),
      call(220 if arm else 56, 0x10000011, 0, 0, 0, 0), call(268 if arm else 308, 0, 0))
"""

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can play the floor")


@pytest.fixture
def home():
    """A directory that every user may reach."""
    with tempfile.TemporaryDirectory(prefix="proa-floor-") as base:
        os.chmod(base, 0o755)
        yield f"{base}/home"


def run(user, home, *command):
    words = [SYSTEM_PYTHON, LAUNCH, *USERS[user], "--home", home, "--", *command]
    return subprocess.run(words, capture_output=True, text=True, timeout=60, check=True).stdout


@pytest.mark.parametrize("user", USERS)
def test_what_is_refused(user, home):
    said = run(user, home, SYSTEM_PYTHON, "-c", TRY).split()
    assert said == ["EPERM"] * 6 + ["ENOSYS"] + ["EPERM"] * 2


@pytest.mark.parametrize("user", USERS)
def test_what_is_there(user, home):
    script = (
        "grep -E '^(Seccomp|NoNewPrivs):' /proc/self/status | tr -d '\\t'; test -e /dev/kvm && echo kvm;"
        "echo $HOME; echo runtime=$XDG_RUNTIME_DIR; touch /sys/fs/cgroup/x 2>/dev/null && echo writes;"
        "echo hi > /dev/null && head -c 1 /dev/urandom | wc -c; touch $HOME/x && echo home"
    )
    lines = run(user, home, "sh", "-c", script).split("\n")
    assert lines[:4] == ["NoNewPrivs:1", "Seccomp:2", home, "runtime="]
    assert lines[4:] == ["1", "home", ""]


def test_forks_and_threads_still_work(home):
    code = (
        "import subprocess, threading; t = threading.Thread(target=print); t.start(); t.join();"
        "print(subprocess.call('true'))"
    )
    assert run("nobody", home, SYSTEM_PYTHON, "-c", code) == "\n0\n"


def test_nothing_is_left_on_the_host(home):
    def mounts():
        with open("/proc/self/mountinfo") as file:
            return file.read()

    before = mounts()
    run("nobody", home, "true")
    assert mounts() == before
