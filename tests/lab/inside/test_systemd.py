"""An engine on a host that systemd manages: in a scope of its own, out of reach of the session that started it."""

from __future__ import annotations

import os
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support.box import IMAGE, Box, clean_environment, command
from support.box import _engine as running

TREE = Path("/sys/fs/cgroup")
JOIN = 'until echo 0 >$1/cgroup.procs; do sleep 0.2; done; shift; exec "$@"'
LOGIN = ["runuser", "-l", "root", "-w", "PROA_ROOT", "-c", 'exec "$@"', "--", "sh"]
"""A session of logind's: its scope ends with the command."""
FLAGS = ["--isolation", "process", "--network", "none"]


def cgroup_of(pid: int) -> str:
    return Path(f"/proc/{pid}/cgroup").read_text().strip().removeprefix("0::")


def engine_pid(box: Box) -> int:
    assert box.root
    return int((box.root / "run/engine.lock").read_text())


def systemctl(*words: str) -> str:
    return subprocess.run(["systemctl", *words], check=True, capture_output=True, text=True).stdout.strip()


def scope_of(box: Box) -> str:
    """The name of the engine's scope."""
    (name,) = (word for word in cgroup_of(engine_pid(box)).split("/") if word.endswith(".scope"))
    return name


@contextmanager
def started_in(image_tar: Path, *wrapper: str) -> Iterator[Box]:
    """An engine that the first command starts from within a unit of somebody else's."""
    root = Path(tempfile.mkdtemp(prefix="proa-"))
    env = clean_environment(PROA_ROOT=str(root))
    box = Box("container", command(), env, FLAGS, f"{root}/run/engine.sock", 30, root)
    try:
        subprocess.run([*wrapper, *box.command, "info"], env=env, check=True, stdout=subprocess.DEVNULL)
        with running(box, image_tar):
            yield box
    finally:
        shutil.rmtree(root, ignore_errors=True)


def test_the_engine_and_its_containers_are_in_one_scope(box: Box) -> None:
    box.detached("--name", "c1", "-m", "64m", IMAGE, "sleep", "600")
    scope = scope_of(box)
    assert cgroup_of(engine_pid(box)).startswith(f"/proa.slice/{scope}/")
    id, pid = box.inspect("c1", "{{.Id}}"), int(box.inspect("c1", "{{.State.Pid}}"))
    name = scope.removesuffix(".scope")
    assert cgroup_of(pid) == f"/proa.slice/{scope}/{name}/{id}"
    assert systemctl("show", "--value", "--property=Delegate", scope) == "yes"
    assert systemctl("is-active", scope) == "active"


def test_a_container_and_its_limits_outlive_a_reload(box: Box) -> None:
    """systemd takes back the controllers of what it does not know to be somebody's."""
    box.detached("--name", "c1", "-m", "64m", "--cpus", "0.5", "--pids-limit", "33", IMAGE, "sleep", "600")
    systemctl("daemon-reload")
    systemctl("restart", "systemd-journald.service")
    systemctl("daemon-reexec")
    shown = box.cli("exec", "c1", "sh", "-c", "cd /sys/fs/cgroup && cat memory.max cpu.max pids.max").ok()
    assert shown.lines == [str(64 << 20), "50000 100000", "33"]


def test_an_engine_outlives_the_unit_that_it_was_started_in(image_tar: Path) -> None:
    """All that is left in a scope is killed when it is stopped."""
    holder = subprocess.Popen(["systemd-run", "--quiet", "--scope", "--unit=lab-session", "sleep", "600"])
    place = TREE / "system.slice/lab-session.scope"
    try:
        with started_in(image_tar, "sh", "-c", JOIN, "sh", str(place)) as box:
            box.detached("--name", "c1", IMAGE, "sleep", "600")
            before = engine_pid(box)
            systemctl("stop", "lab-session.scope")
            assert holder.wait() == -signal.SIGTERM
            assert (engine_pid(box), box.inspect("c1", "{{.State.Running}}")) == (before, "true")
    finally:
        holder.kill()
        holder.wait()


def test_a_login_session_at_its_end(image_tar: Path) -> None:
    with logind("KillUserProcesses=yes", "KillExcludeUsers="), started_in(image_tar, *LOGIN) as box:
        assert "session-" not in cgroup_of(engine_pid(box))
        box.detached("--name", "c1", IMAGE, "sleep", "600")
        assert box.inspect("c1", "{{.State.Running}}") == "true"


@contextmanager
def logind(*settings: str) -> Iterator[None]:
    """logind as an administrator may have set it."""
    file = Path("/etc/systemd/logind.conf.d/lab.conf")
    file.parent.mkdir(exist_ok=True)
    file.write_text("[Login]\n" + "\n".join(settings) + "\n")
    systemctl("restart", "systemd-logind.service")
    yield
    file.unlink()
    systemctl("restart", "systemd-logind.service")


END: dict[str, Callable[[Box], object]] = {
    "stop": lambda box: box.cli("engine", "stop").ok(),
    "kill": lambda box: os.kill(engine_pid(box), signal.SIGKILL),
}


@pytest.mark.parametrize("end", sorted(END))
def test_the_next_engine_joins_the_scope_that_containers_keep(box: Box, end: str) -> None:
    box.detached("--name", "c1", "-m", "64m", IMAGE, "sleep", "600")
    scope, before = scope_of(box), engine_pid(box)
    END[end](box)
    box.until(lambda: not Path(f"/proc/{before}").exists())
    assert systemctl("is-active", scope) == "active"
    assert box.cli("exec", "c1", "echo", "alive").ok().text == "alive"
    assert engine_pid(box) != before
    assert scope_of(box) == scope
    box.detached("--name", "c2", "-m", "32m", IMAGE, "sleep", "600")
    shown = box.cli("exec", "c2", "cat", "/sys/fs/cgroup/memory.max", "/proc/self/cgroup").ok().lines
    assert shown == [str(32 << 20), "0::/"]


def test_nothing_is_left_of_the_scope(image_tar: Path) -> None:
    with started_in(image_tar) as box:
        box.run(IMAGE, "true").ok()
        scope = scope_of(box)
        box.cli("engine", "stop").ok()
        box.until(lambda: not (TREE / "proa.slice" / scope).exists())
        assert systemctl("list-units", "--all", "--no-legend", scope) == ""
