"""Containers for real: what a program finds inside, and what it does not."""

import os
import select
import time
from pathlib import Path
from typing import Any

import pytest

from proa.linux import capability, namespaces, pidfd
from proa.runtime import defaults, messages, parent
from proa.runtime.messages import StartFailure
from support.children import mine


def fds() -> set[str]:
    return set(os.listdir("/proc/self/fd"))


def test_a_program_runs_and_its_status_is_known(box: Any) -> None:
    assert box.run(["true"]) == (0, "")
    assert box.run("echo hello; exit 7") == (7, "hello\n")
    assert box.run("kill -9 $$; sleep 1", init=True) == (137, "")


def test_nothing_is_left_open_or_unreaped(box: Any) -> None:
    box.run(["true"])
    before, children = fds(), mine()
    for _ in range(3):
        box.run(["true"])
        with pytest.raises(StartFailure):
            box.run(["nope"])
    assert fds() == before
    assert mine() <= children


def test_process_one_is_the_program(box: Any) -> None:
    _, text = box.run("echo $$; ps -o pid,args; hostname; pwd; cat /proc/1/comm; true")
    lines = text.splitlines()
    assert lines[0] == "1" and lines[-3:] == ["box", "/", "sh"]


def test_signals_are_as_new_and_only_three_descriptors_are_open(box: Any) -> None:
    _, text = box.run(["grep", "-E", "SigIgn|SigBlk|SigCgt", "/proc/1/status"])
    assert text.split() == ["SigBlk:", "0" * 16, "SigIgn:", "0" * 16, "SigCgt:", "0" * 16]
    assert box.run("ls /proc/1/fd; true")[1].split() == ["0", "1", "2"]


def test_capabilities_are_dockers(box: Any) -> None:
    _, text = box.run("grep Cap /proc/self/status")
    assert [line.split()[1] for line in text.splitlines()] == ["0" * 16, *["00000000a80425fb"] * 3, "0" * 16]
    _, text = box.run("grep -E 'CapPrm|CapEff|CapBnd' /proc/self/status", user="web")
    assert [line.split()[1] for line in text.splitlines()] == ["0" * 16, "0" * 16, "00000000a80425fb"]


def test_masked_and_readonly_paths(box: Any) -> None:
    _, text = box.run("cat /proc/keys /proc/timer_list; ls /sys/firmware; echo x >/proc/sys/kernel/hostname")
    assert text == "sh: can't create /proc/sys/kernel/hostname: Read-only file system\n"


def test_dev_is_laid_out_as_docker_does(box: Any) -> None:
    _, text = box.run(
        "ls /dev; readlink /dev/ptmx; readlink /dev/stdin; echo x >/dev/null; stat -c %a /dev /dev/shm /dev/null"
    )
    names = "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero".split()
    if os.path.exists("/proc/kcore"):
        names.insert(0, "core")
    assert text.split() == [*names, "pts/ptmx", "/proc/self/fd/0", "755", "1777", "666"]


def test_the_hosts_mounts_are_gone_and_ours_are_not_seen_outside(box: Any) -> None:
    spec, root = box.spec(["sh", "-c", "echo ready; cat /proc/1/mountinfo"])
    seen: list[str] = []

    def look(_: parent.Init) -> None:
        with open("/proc/self/mountinfo") as table:
            seen.append(table.read())

    _, text = box.start(spec, root, before_release=look).finish()
    assert str(box.directory) not in seen[0]
    points = [line.split()[4] for line in text.splitlines()[1:]]
    assert points[0] == "/" and not any(point.startswith(("/sys/fs", "/work", "/home")) for point in points)


@pytest.mark.parametrize(
    ("args", "kind", "text"),
    [
        (["nope"], "not-found", 'exec: "nope": executable file not found in $PATH'),
        (["/nope"], "not-found", 'exec: "/nope": stat /nope: no such file or directory'),
        (["/etc"], "not-executable", 'exec: "/etc": is a directory: permission denied'),
        (["/etc/passwd"], "not-executable", 'exec: "/etc/passwd": permission denied'),
        (["/bad"], "not-executable", "exec /bad: exec format error"),
        (["/script"], "not-found", "exec /script: no such file or directory"),
    ],
)
def test_a_program_that_cannot_be_run_is_told_in_runcs_words(box: Any, args: list[str], kind: str, text: str) -> None:
    for name, content in (("bad", b"\x7fELFbad"), ("script", b"#!/missing\n")):
        (box.image / name).write_bytes(content)
        (box.image / name).chmod(0o755)
    with pytest.raises(StartFailure) as caught:
        box.run(args)
    assert (caught.value.kind, caught.value.text) == (kind, text)
    beside = box.start(*box.spec(["sleep", "100"]))
    with pytest.raises(StartFailure) as caught:
        box.exec(beside, args)
    assert (caught.value.kind, caught.value.text) == (kind, text)
    pidfd.signal(beside.init.pidfd, 9)
    assert beside.finish()[0] == 137


def test_users_come_from_the_containers_own_files(box: Any) -> None:
    assert box.run("id; echo $HOME", user="web")[1].splitlines()[-1] == "/home/web"
    assert box.run("id -G; id -u", user="web")[1].split() == ["1000", "44", "1000"]
    assert box.run("id -u; id -G; echo $HOME", user="4242")[1].split() == ["4242", "0", "/"]
    assert box.run("id -u; id -G", user="web:7")[1].split() == ["1000", "7"]
    with pytest.raises(StartFailure, match="unable to find user ghost: no matching entries in passwd file"):
        box.run(["true"], user="ghost")


def test_the_users_own_streams(box: Any) -> None:
    assert box.run("echo again > /proc/self/fd/1", user="web") == (0, "again\n")
    assert os.stat("/dev/null").st_uid == 0


def test_working_directory(box: Any) -> None:
    assert box.run(["pwd"], cwd="/made/by/runtime") == (0, "/made/by/runtime\n")
    beside = box.start(*box.spec(["sleep", "100"]))
    with pytest.raises(StartFailure) as caught:
        box.exec(beside, ["pwd"], cwd="/absent")
    assert caught.value.kind == "not-found"
    assert caught.value.text == 'chdir to cwd ("/absent") set in config.json failed: no such file or directory'


def test_environment_is_passed_as_it_is(box: Any) -> None:
    env = ["PATH=/bin", "A=1", "A=2", "E=\udcff", "NOVALUE"]
    text = box.run(["cat", "/proc/self/environ"], env=env)[1]
    assert text.split("\0")[:-1] == [*env, "HOME=/root"]


def test_limits(box: Any) -> None:
    limits = [
        {"type": "RLIMIT_NOFILE", "soft": 100, "hard": 200},
        {"type": "RLIMIT_AS", "soft": 40 << 20, "hard": 40 << 20},
    ]
    text = box.run("ulimit -n; ulimit -Hn; ulimit -v; umask", rlimits=limits, nofile=[50, 60])[1]
    assert text.split() == ["100", "200", str(40 << 10), "0022"]
    assert box.run("ulimit -n; ulimit -Hn", nofile=[50, 60])[1].split() == ["50", "60"]


def test_readonly_root(box: Any) -> None:
    def change(spec: Any) -> None:
        spec["root"]["readonly"] = True

    assert box.run("touch /x; touch /dev/shm/y && echo ok", change=change) == (
        0,
        "touch: /x: Read-only file system\nok\n",
    )


def test_binds(box: Any) -> None:
    folder = box.directory / "folder"
    (folder / "sub").mkdir(parents=True)
    (folder / "file").write_text("hello")

    def change(spec: Any) -> None:
        spec["mounts"] += [
            {"destination": "/new/dir", "type": "bind", "source": str(folder), "options": ["rbind", "ro"]},
            {"destination": "/new/file", "type": "bind", "source": str(folder / "file"), "options": ["rbind", "rw"]},
            {"destination": "/t", "type": "tmpfs", "source": "tmpfs", "options": ["size=1m", "noexec", "mode=700"]},
        ]

    script = "cat /new/dir/file; touch /new/dir/x; echo changed > /new/file; stat -c %a /t; grep ' /t ' /proc/mounts"
    _, text = box.run(script, change=change)
    lines = text.splitlines()
    assert lines[0] == "hellotouch: /new/dir/x: Read-only file system" and lines[1] == "700"
    assert "noexec" in lines[2] and (folder / "file").read_text() == "changed\n"


def test_a_bind_whose_source_is_missing(box: Any) -> None:
    def change(spec: Any) -> None:
        spec["mounts"].append({"destination": "/x", "type": "bind", "source": "/no/such", "options": ["rbind"]})

    with pytest.raises(StartFailure, match='error mounting "/no/such" to rootfs at "/x": no such file or directory'):
        box.run(["true"], change=change)


def test_an_image_with_symlinks_where_mounts_go_reaches_nothing_outside(box: Any) -> None:
    outside = box.directory / "outside"
    outside.mkdir()
    (box.image / "dev").rmdir()
    (box.image / "dev").symlink_to(outside)
    (box.image / str(outside)[1:]).mkdir(parents=True)
    (box.image / "data").symlink_to("../../../../../../.." + str(outside))

    def change(spec: Any) -> None:
        spec["mounts"].append({"destination": "/data/x", "type": "tmpfs", "source": "tmpfs"})

    _, text = box.run("grep -E 'tmpfs|mqueue' /proc/mounts", change=change)
    assert f" {outside}/x tmpfs " in text and f" {outside} tmpfs " in text  # inside, that is
    assert list(outside.iterdir()) == []


def test_proc_behind_a_symlink_is_refused(box: Any) -> None:
    (box.image / "proc").rmdir()
    (box.image / "proc").symlink_to("/tmp")
    with pytest.raises(StartFailure, match="ordinary directory"):
        box.run(["true"])


def test_a_container_without_a_mount_namespace_is_refused(box: Any) -> None:
    def change(spec: Any) -> None:
        spec["linux"]["namespaces"] = [{"type": "pid"}]

    with pytest.raises(StartFailure, match="mount namespace"):
        box.run(["true"], change=change)


def test_terminal(box: Any) -> None:
    status, text = box.run(
        "tty; stty size; ls /dev/pts; echo to-console > /dev/console; ls /proc/1/fd; true",
        terminal=True,
        consoleSize={"height": 30, "width": 100},
    )
    assert status == 0
    assert text.split() == ["/dev/pts/0", "30", "100", "0", "ptmx", "to-console", "0", "1", "2"]


def test_exec_joins_everything(box: Any) -> None:
    beside = box.start(*box.spec(["sleep", "100"]))
    status, text = box.exec(
        beside, ["sh", "-c", "hostname; ls /proc/$$/fd; grep Sig.[gl] /proc/self/status; cat /proc/1/comm"]
    ).finish()
    assert status == 0
    assert text.split() == [
        "box",
        "0",
        "1",
        "2",
        "SigBlk:",
        "0" * 16,
        "SigIgn:",
        "0" * 16,
        "SigCgt:",
        "0" * 16,
        "sleep",
    ]
    for name in ("mnt", "pid", "uts", "ipc", "net"):
        script = f"[ $(readlink /proc/1/ns/{name}) = $(readlink /proc/self/ns/{name}) ]"
        assert box.exec(beside, ["sh", "-c", script]).finish() == (0, "")
    status, text = box.exec(
        beside, ["sh", "-c", "tty; stty size"], terminal=True, consoleSize={"height": 5, "width": 9}
    ).finish()
    assert (status, text.split()) == (0, ["/dev/pts/0", "5", "9"])
    assert box.exec(beside, ["sh", "-c", "id -u; kill -15 $$"], user="web").finish() == (143, "1000\n")


def test_exec_into_a_container_that_has_ended(box: Any) -> None:
    beside = box.start(*box.spec(["true"]))
    os.waitid(os.P_PIDFD, beside.init.pidfd, os.WEXITED | os.WNOWAIT)
    with pytest.raises(StartFailure):
        box.exec(beside, ["true"])
    assert beside.finish() == (0, "")


def test_exec_refuses_a_directory_of_the_host(box: Any) -> None:
    """CVE-2024-21626: no descriptor of the host may serve as a working directory."""
    beside = box.start(*box.spec(["sleep", "100"]))
    held = os.open("/", os.O_RDONLY)
    try:
        for number in range(3, held + 20):
            with pytest.raises(StartFailure):
                box.exec(beside, ["true"], cwd=f"/proc/self/fd/{number}")
    finally:
        os.close(held)


def test_init_stays_reaps_and_forwards(box: Any) -> None:
    assert box.run("exit 3", init=True) == (3, "")
    assert box.run("trap 'exit 9' TERM; kill -TERM 1; sleep 5 & wait", init=True) == (9, "")
    _, text = box.run(
        "(sleep 0.1 &) ; sleep 0.3; cat /proc/1/comm /proc/1/cmdline; ps -o stat | grep -c Z; echo $$", init=True
    )
    assert text.replace("\0", "").split() == ["init", "init0", "2"] or text.split("\n")[1].startswith("init")
    _, text = box.run("ls -l /proc/1/exe 2>&1; cat /proc/1/environ 2>&1; grep CapPrm /proc/1/status", init=True)
    assert text.count("ermission denied") == 2 and text.split()[-1] == f"{1 << 5:016x}"


def test_init_dies_with_its_parent(box: Any) -> None:
    spec, root = box.spec(["sleep", "100"])
    reader, writer = os.pipe()
    shim = os.fork()
    if shim == 0:
        running = box.start(spec, root)
        os.write(writer, str(running.init.pid).encode())
        os._exit(0)
    os.close(writer)
    pid = int(os.read(reader, 20))
    os.close(reader)
    process = os.pidfd_open(pid)
    os.waitpid(shim, 0)
    ended = select.poll()
    ended.register(process, select.POLLIN)
    assert ended.poll(5000), "init outlived its shim"
    os.close(process)


def test_a_filter_is_loaded_last(box: Any) -> None:
    deny = b"".join(
        (
            (0x20).to_bytes(2, "little") + bytes(2) + (0).to_bytes(4, "little"),  # ld nr
            (0x15).to_bytes(2, "little") + bytes((0, 1)) + (39).to_bytes(4, "little"),  # getpid?
            (0x06).to_bytes(2, "little") + bytes(2) + (0x00050000 | 77).to_bytes(4, "little"),
            (0x06).to_bytes(2, "little") + bytes(2) + (0x7FFF0000).to_bytes(4, "little"),
        )
    )
    for fields in ({}, {"noNewPrivileges": True}, {"user": "web"}, {"user": "web", "noNewPrivileges": True}):
        _, text = box.run("grep -E '^(Seccomp|NoNewPrivs|CapPrm):' /proc/self/status", seccomp=deny, **fields)
        got = dict(line.split() for line in text.splitlines())
        assert got["Seccomp:"] == "2" and got["NoNewPrivs:"] == str(int("noNewPrivileges" in fields))
        assert got["CapPrm:"] == ("0" * 16 if "user" in fields else "00000000a80425fb")


def test_devices_are_bound_where_they_may_not_be_made(box: Any) -> None:
    may = {"mknod": False, "mount": True, "cgroup": True, "setuid": True}
    assert box.run("ls /dev/null /dev/urandom; grep -c ' /dev/null ' /proc/mounts", may=may)[1].split()[-1] == "1"


def test_user_namespace(open_box: Any) -> None:
    def change(spec: Any) -> None:
        spec["linux"]["namespaces"].append({"type": "user"})
        spec["linux"]["uidMappings"] = spec["linux"]["gidMappings"] = [
            {"containerID": 0, "hostID": 100000, "size": 65536}
        ]

    _, text = open_box.run("cat /proc/self/uid_map; id -u; echo x >/dev/null && echo ok", change=change)
    assert text.split() == ["0", "100000", "65536", "0", "ok"]


def test_a_hung_init_does_not_hang_its_parent(box: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    if box.share:
        pytest.skip("in shared memory a parent waits as long as init lives; who wants it to end kills it")
    monkeypatch.setattr(parent, "PATIENCE", 0.05)
    monkeypatch.setattr(messages, "send_ready", lambda *_: time.sleep(100))
    with pytest.raises(StartFailure, match="did not answer"):
        box.run(["true"])


def test_privileged_sees_and_may_all(box: Any) -> None:
    def change(spec: Any) -> None:
        spec["mounts"] = defaults.mounts(0, privileged=True)
        spec["linux"]["maskedPaths"] = spec["linux"]["readonlyPaths"] = []

    every = {name: list(capability.NAMES) for name in ("bounding", "effective", "permitted")}
    _, text = box.run(
        "grep CapEff /proc/self/status; mount -t tmpfs x /tmp && echo ok", capabilities=every, change=change
    )
    held = capability.get()[1]
    assert text.split() == ["CapEff:", f"{held:016x}", "ok"]


def test_sysctl_of_its_own_namespace(box: Any) -> None:
    def change(spec: Any) -> None:
        spec["linux"]["sysctl"] = {"net.ipv4.ip_forward": "1", "kernel.msgmax": "4096"}

    assert box.run("cat /proc/sys/net/ipv4/ip_forward /proc/sys/kernel/msgmax", change=change)[1].split() == [
        "1",
        "4096",
    ]


def test_the_hosts_pid_namespace(box: Any) -> None:
    def change(spec: Any) -> None:
        spec["linux"]["namespaces"] = [one for one in spec["linux"]["namespaces"] if one["type"] != "pid"]

    assert int(box.run("echo $$", change=change)[1]) > 1
    _, text = box.run("(sleep 0.1; echo late) & echo early; exit 4", change=change, init=True)
    assert text.startswith("early")
    spec, root = box.spec(["sleep", "100"])
    change(spec)
    beside = box.start(spec, root)
    assert box.exec(beside, ["hostname"]).finish() == (0, "box\n")


def test_oom_score(box: Any) -> None:
    script = ["cat", "/proc/self/oom_score_adj"]
    inherited = int(Path("/proc/self/oom_score_adj").read_text())
    assert box.run(script) == (0, f"{inherited}\n")
    assert box.run(script, oomScoreAdj=inherited) == (0, f"{inherited}\n")
    assert box.run(script, oomScoreAdj=700) == (0, "700\n")
    try:
        assert box.run(script, oomScoreAdj=-900) == (0, "-900\n")
    except StartFailure as failure:
        assert failure.text == "error setting oom_score_adj to -900: permission denied"
    beside = box.start(*box.spec(["sleep", "100"], oomScoreAdj=700))
    assert box.exec(beside, script, oomScoreAdj=600).finish() == (0, "600\n")


def test_a_network_made_beforehand_is_the_containers(box: Any) -> None:
    made = namespaces.new_network()
    spec, root = box.spec(["readlink", "/proc/self/ns/net"])
    order = messages.order(spec, root, at_once=True)
    reader, writer = os.pipe2(os.O_CLOEXEC)
    init = parent.launch(order, (writer, writer, writer), network=made)
    os.close(writer)
    assert parent.configure(init, order) is None
    parent.release(init)
    inode = os.fstat(made).st_ino
    os.close(made)
    assert pidfd.status(init.pidfd, block=True) == 0
    assert os.read(reader, 100) == f"net:[{inode}]\n".encode()
    for fd in (reader, init.pidfd):
        os.close(fd)


def test_an_init_that_is_given_up_is_gone(box: Any) -> None:
    spec, root = box.spec(["sleep", "100"])
    order = messages.order(spec, root)
    null = os.open("/dev/null", os.O_RDWR | os.O_CLOEXEC)
    init = parent.launch(order, (null, null, null))
    with pytest.raises(messages.StartFailure) as caught:
        parent.give_up(init, messages.StartFailure("internal", "no more"))
    assert (caught.value.kind, caught.value.text) == ("internal", "no more")
    os.close(null)
    with pytest.raises(ProcessLookupError):
        os.kill(init.pid, 0)
