"""A program started in QEMU's place, by the same jail code, cannot get out: as root starts it, and on the floor.

The same probe, run without the jail, succeeds at everything: it is able to do what it is then kept from doing.
"""

import json
import os
import pathlib
import select
import socket
import subprocess
import sys

import pytest

from proa.hull.vm import confinement, elf
from proa.hull.vm.parts import Qemu
from proa.linux import landlock

HERE = pathlib.Path(__file__).parent
SITE = str(pathlib.Path(confinement.__file__).parents[3])
PYTHON = os.path.realpath("/usr/bin/python3")
NOBODY = 65534
ID = "ab" * 32
EXPECTED = {"EPERM", "EACCES", "ENOENT", "ENOSYS", "ESRCH", "ENOTDIR", "EROFS", "not allowed to raise maximum limit"}
ROOT_ONLY = {"read shadow", "unshare", "mount"}

pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="starts programs as root and as other users")


@pytest.fixture
def targets(tmp_path):
    """Things worth reaching, which an unjailed program can reach: files, listening sockets, a living process."""
    for name in ("readable", "template", "disk"):
        (tmp_path / name).write_bytes(b"secret")
        os.chmod(tmp_path / name, 0o666)
    os.chmod(tmp_path, 0o777)
    tcp = socket.create_server(("127.0.0.1", 0))
    unix = socket.socket(socket.AF_UNIX)
    unix.bind(str(tmp_path / "engine.sock"))
    unix.listen()
    os.chmod(tmp_path / "engine.sock", 0o666)
    engines = {uid: subprocess.Popen(["sleep", "600"], user=uid, group=uid, extra_groups=[]) for uid in (0, NOBODY)}
    yield {
        "shadow": "/etc/shadow",
        "readable": str(tmp_path / "readable"),
        "writable": str(tmp_path / "template"),
        "disk": str(tmp_path / "disk"),
        "listing": str(tmp_path),
        "engines": {uid: process.pid for uid, process in engines.items()},
        "port": tcp.getsockname()[1],
        "socket": str(tmp_path / "engine.sock"),
        "program": "/bin/true",
        "report": 3,
        "skip_exec": False,
    }
    for process in engines.values():
        process.kill()
        process.wait()
    tcp.close()
    unix.close()


@pytest.fixture
def program(tmp_path):
    """Python with the probe, as if it were a QEMU."""
    probe = tmp_path / "probe.py"
    probe.write_bytes((HERE / "jail_probe.py").read_bytes())
    os.chmod(probe, 0o644)
    library = f"/usr/lib/python{sys.version_info[0]}.{sys.version_info[1]}"
    if not os.path.isdir(library):
        library = subprocess.run(
            [PYTHON, "-c", "import os; print(os.path.dirname(os.__file__))"], capture_output=True, text=True, check=True
        ).stdout.strip()
    modules = [str(path) for path in pathlib.Path(library, "lib-dynload").glob("_ctypes.*.so")]
    files, _absent = elf.closure([PYTHON, *modules])
    return Qemu((PYTHON, "-I", "-S", str(probe)), (), PYTHON, "probe", (*files, library, str(probe)), "host")


def unjailed(program, targets, uid, **more):
    request = {**targets, "engine": targets["engines"][uid], "skip_exec": True, "report": 1, **more}
    done = subprocess.run(
        [*program.argv, json.dumps(request)],
        capture_output=True,
        text=True,
        timeout=60,
        check=True,
        user=uid,
        group=uid,
    )
    return json.loads(done.stdout)


def jailed(program, targets, uid, jail, launcher=(), environment=None):
    wanted = {name: value for name, value in targets.items() if name != "engines"}
    argv = [*program.argv, json.dumps({**wanted, "engine": targets["engines"][uid]})]
    request = {"site": SITE, "jail": jail, "argv": argv}
    command = [*launcher, PYTHON, "-I", str(HERE / "jail_start.py"), json.dumps(request)]
    env = {**os.environ, **(environment or {})}
    done = subprocess.run(command, capture_output=True, text=True, timeout=120, check=False, env=env)
    assert done.returncode == 0, done.stderr
    outcome = json.loads(done.stdout)
    assert outcome["answer"], f"{outcome} {done.stderr}"
    return json.loads(outcome["answer"])


def refused(answers):
    """Every attempt failed, for a reason that a wall gives."""
    got_out = {name: said for name, said in answers.items() if isinstance(said, str) and said not in EXPECTED}
    assert not got_out
    assert answers["descriptors"] == [0, 1, 2, 3]


def may(yes):
    return {"mknod": yes, "mount": yes, "cgroup": yes, "setuid": yes}


@pytest.mark.parametrize("uid", [0, NOBODY])
def test_the_probe_can_do_it_all_outside(program, targets, uid):
    answers = unjailed(program, targets, uid)
    kept = {name for name, said in answers.items() if isinstance(said, str) and said != "done"}
    assert kept <= {"raise the limit on open files", "io_uring"} | (ROOT_ONLY if uid else set())


def test_as_root(program, targets, tmp_path):
    root = tmp_path / "run"
    root.mkdir()
    jail = confinement.plan(program, ID, may(True), str(root))
    answers = jailed(program, targets, 0, jail)
    refused(answers)
    assert answers["uid"] == confinement.user(ID) != 0
    assert answers["pid"] == 1


@pytest.mark.parametrize("user", [("--uid", "65534"), ("--uid", "0"), ("--uid", "0", "--caps", "docker")])
def test_on_the_floor(program, targets, tmp_path, user):
    if not landlock.abi():
        pytest.fail("this kernel has no Landlock: the floor's jail cannot be shown here")
    launcher = (
        "/usr/bin/python3",
        str(HERE.parent / "floor" / "launch.py"),
        *user,
        "--home",
        str(tmp_path / "home"),
        "--",
    )
    jail = confinement.plan(program, ID, may(False), "")
    answers = jailed(program, targets, int(user[1]), jail, launcher)
    refused(answers)


@pytest.mark.parametrize("setuid", [True, False])
def test_without_namespaces_the_other_walls_hold(program, targets, setuid):
    jail = confinement.plan(program, ID, {**may(False), "setuid": setuid}, "")
    answers = jailed(program, targets, 0, jail)
    refused(answers)
    assert (answers["uid"] == 0) is not setuid


def test_without_landlock_a_private_root_and_the_filter_hold(program, targets, tmp_path):
    root = tmp_path / "run"
    root.mkdir()
    jail = confinement.plan(program, ID, may(True), str(root))
    answers = jailed(program, targets, 0, jail, environment={"JAIL_WITHOUT": "landlock"})
    assert answers.pop("list a directory") in {
        "done",
        *EXPECTED,
    }  # there is one, of ours, with nothing of the host in it
    refused(answers)


@pytest.mark.parametrize("root", [True, False])
def test_it_dies_with_the_shim(tmp_path, root):
    sleep = os.path.realpath("/usr/bin/sleep")
    program = Qemu((sleep,), (), sleep, "sleep", elf.closure([sleep])[0], "host")
    (tmp_path / "run").mkdir()
    jail = confinement.plan(program, ID, may(root), str(tmp_path / "run"))
    request = {"site": SITE, "jail": jail, "argv": [sleep, "1000"]}
    command = [PYTHON, "-I", str(HERE / "jail_start.py"), json.dumps(request)]
    with subprocess.Popen(command, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True) as shim:
        child = int(shim.stderr.readline())
        handle = os.pidfd_open(child)
        shim.kill()
    ended = select.select([handle], [], [], 10)[0]
    os.close(handle)
    assert ended


def test_nothing_of_the_jail_is_left_outside(program, targets, tmp_path):
    def mounts():
        with open("/proc/self/mountinfo") as file:
            return [line for line in file if "proa-jail" in line]

    root = tmp_path / "run"
    root.mkdir()
    jailed(program, targets, 0, confinement.plan(program, ID, may(True), str(root)))
    assert not mounts()
    assert not list(root.iterdir())
