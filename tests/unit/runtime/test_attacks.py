"""What an image or a running container may try against the runtime, and an ordinary user's containers."""

import os
from typing import Any

import pytest

from proa.linux import pidfd, prctl
from proa.runtime.messages import StartFailure

FILES = "/proc/[0-9]*/exe /proc/[0-9]*/cwd /proc/[0-9]*/root /proc/[0-9]*/fd/*"
LOOK = f"while :; do for f in {FILES}; do readlink $f; done; done"


def test_a_container_sees_nothing_of_an_exec_that_is_under_way(box: Any) -> None:
    """CVE-2016-9962, CVE-2019-5736: until execve, the child in the container is still our interpreter."""
    beside = box.start(*box.spec(["sh", "-c", LOOK]))
    for _ in range(8):
        assert box.exec(beside, ["true"], user="web").finish() == (0, "")
        assert box.exec(beside, ["true"]).finish() == (0, "")
    pidfd.signal(beside.init.pidfd, 9)
    _, text = beside.finish()
    assert len(text) > 100
    seen = {line for line in text.splitlines() if not line.startswith(("pipe:", "/bin/", "/dev/null"))}
    assert seen <= {"/", "/proc"}, seen


@pytest.mark.parametrize("target", ["/proc/self/exe", "/self", "/script"])
def test_an_image_cannot_have_our_interpreter_executed(box: Any, target: str) -> None:
    """CVE-2019-5736."""
    (box.image / "self").symlink_to("/proc/self/exe")
    (box.image / "script").write_text("#! /self -c\n")
    (box.image / "script").chmod(0o755)
    with pytest.raises(StartFailure, match="permission denied"):
        box.run([target])
    beside = box.start(*box.spec(["sleep", "100"]))
    with pytest.raises(StartFailure, match="permission denied"):
        box.exec(beside, [target])


def test_a_masked_path_needs_the_real_null_device(box: Any) -> None:
    """CVE-2025-31133: an image's own /dev/null must not be bound over masked files."""
    (box.image / "dev/null").write_text("mine")

    def change(spec: Any) -> None:
        spec["mounts"] = [mount for mount in spec["mounts"] if not mount["destination"].startswith("/dev")]

    with pytest.raises(StartFailure, match="null device"):
        box.run(["true"], change=change)


def test_a_working_directory_through_a_symlink_stays_inside(box: Any) -> None:
    (box.image / "out").symlink_to("../../../../../../" + str(box.directory))
    assert box.run(["pwd"], cwd="/out/made") == (0, f"{box.directory}/made\n")  # made inside
    assert not (box.directory / "made").exists()


def test_a_bind_target_through_a_symlink_stays_inside(box: Any) -> None:
    victim = box.directory / "victim"
    victim.write_text("safe")
    (box.image / "etc/hosts").symlink_to(victim)
    (box.image / str(box.directory)[1:]).mkdir(parents=True)

    def change(spec: Any) -> None:
        source = {"destination": "/etc/hosts", "type": "bind", "source": "/etc/passwd", "options": ["rbind"]}
        spec["mounts"].append(source)

    status, _ = box.run(["true"], change=change)
    assert status == 0 and victim.read_text() == "safe"


@pytest.mark.parametrize("destination", ["/proc/sys/kernel", "/link", "/proc", "/proc/self/attr"])
def test_nothing_is_mounted_inside_proc(box: Any, destination: str) -> None:
    """CVE-2019-16884, CVE-2019-19921."""
    (box.image / "link").symlink_to("/proc/sys")

    def change(spec: Any) -> None:
        spec["mounts"].append({"destination": destination, "type": "bind", "source": "/etc", "options": ["rbind"]})

    with pytest.raises(StartFailure, match="inside /proc"):
        box.run(["true"], change=change)


def test_lxcfs_may_bind_its_files(box: Any) -> None:
    mine = box.directory / "meminfo"
    mine.write_text("mine")

    def change(spec: Any) -> None:
        where = {"destination": "/proc/meminfo", "type": "bind", "source": str(mine), "options": ["bind"]}
        spec["mounts"].append(where)

    assert box.run(["cat", "/proc/meminfo"], change=change) == (0, "mine")


def test_an_ordinary_user_with_a_single_id(open_box: Any) -> None:
    for directory, _, _ in os.walk(open_box.directory):
        os.chown(directory, 65534, 65534)

    def change(spec: Any) -> None:
        spec["linux"]["namespaces"].append({"type": "user"})
        spec["linux"]["uidMappings"] = [{"containerID": 0, "hostID": 65534, "size": 1}]
        spec["linux"]["gidMappings"] = [{"containerID": 0, "hostID": 65534, "size": 1}]
        for mount in spec["mounts"]:
            mount["options"] = [word for word in mount.get("options", []) if word != "gid=5"]

    reader, writer = os.pipe()
    pid = os.fork()
    if pid == 0:
        try:
            os.setgroups([])
            os.setresgid(65534, 65534, 65534)
            os.setresuid(65534, 65534, 65534)
            prctl.dumpable(True)
            os.write(
                writer, repr(open_box.run("id -u; cat /proc/self/uid_map; echo x > /made", change=change)).encode()
            )
        except StartFailure as failure:
            os.write(writer, b"refused " + failure.text.encode())
        except OSError as problem:
            os.write(writer, b"refused " + str(problem).encode())
        finally:
            os._exit(0)
    os.close(writer)
    os.waitpid(pid, 0)
    text = os.read(reader, 65536).decode()
    os.close(reader)
    if "clone3" in text:
        pytest.skip(f"this host gives ordinary users no namespaces: {text}")
    assert eval(text) == (0, "0\n         0      65534          1\n")
