"""run: exit codes, streams, and what a program finds around it."""

from __future__ import annotations

import re
import subprocess

import pytest

from support.box import FULL_ID, IMAGE, Box


@pytest.mark.parametrize("code", [0, 1, 7, 255])
def test_exit_code(box: Box, code: int) -> None:
    assert box.run(IMAGE, "sh", "-c", f"exit {code}").code == code


def test_streams_stay_apart(box: Box) -> None:
    result = box.run(IMAGE, "sh", "-c", "echo out; echo err >&2")
    assert (result.out, result.err) == (b"out\n", b"err\n")


def test_stdin_reaches_the_program(box: Box) -> None:
    assert box.run("-i", IMAGE, "cat", input=b"one\ntwo").out == b"one\ntwo"


def test_stdin_is_empty_without_i(box: Box) -> None:
    assert box.run(IMAGE, "cat", input=b"unread").out == b""


def test_output_after_stdin_has_ended(box: Box) -> None:
    result = box.run("-i", IMAGE, "sh", "-c", "cat; sleep 0.3; echo after", input=b"before\n")
    assert result.out == b"before\nafter\n"


def test_binary_output(box: Box) -> None:
    result = box.run("-i", IMAGE, "cat", input=bytes(range(256)) * 64)
    assert result.out == bytes(range(256)) * 64


def test_signal_of_a_child_is_128_and_more(box: Box) -> None:
    assert box.run(IMAGE, "sh", "-c", "sh -c 'kill -9 $$'; exit $?").code == 137


def test_missing_program_is_127(box: Box) -> None:
    result = box.run(IMAGE, "nope")
    assert result.code == 127
    assert 'exec: "nope": executable file not found in $PATH' in result.error


def test_missing_path_is_127(box: Box) -> None:
    result = box.run(IMAGE, "/no/such")
    assert result.code == 127
    assert "no such file or directory" in result.error


@pytest.mark.parametrize("path", ["/plain", "/etc"])
def test_not_executable_is_126(box: Box, path: str) -> None:
    result = box.run(IMAGE, path)
    assert result.code == 126
    assert re.search("permission denied|is a directory", result.error)


def test_unknown_image_is_125(box: Box) -> None:
    result = box.run("localhost:1/no-such-image", "true")
    assert result.code == 125
    assert "no-such-image" in result.error
    assert result.out == b""


def test_script_with_interpreter(box: Box) -> None:
    assert box.run(IMAGE, "script", "a", "b c").text == "script a b c"


def test_rm_removes_and_otherwise_it_stays(box: Box) -> None:
    box.run("--name", "gone", IMAGE, "true").ok()
    box.cli("run", *box.flags, "--name", "stays", IMAGE, "true").ok()
    assert box.cli("ps", "-a", "--format", "{{.Names}}").lines == ["stays"]


def test_rm_removes_what_could_not_start(box: Box) -> None:
    box.run("--name", "gone", IMAGE, "nope")
    assert box.cli("ps", "-aq").text == ""


def test_detached_prints_the_id(box: Box) -> None:
    id = box.detached("--name", "d1", IMAGE, "sleep", "60")
    assert re.fullmatch(FULL_ID, id)
    assert box.inspect("d1", "{{.Id}} {{.State.Running}}") == f"{id} true"


def test_name_in_use(box: Box) -> None:
    id = box.create("--name", "taken", IMAGE, "true")
    result = box.run("--name", "taken", IMAGE, "true")
    assert result.code == 125
    assert f'The container name "/taken" is already in use by container "{id}"' in result.error


@pytest.mark.parametrize("name", ["-x", "a b", "/", "ü"])
def test_bad_name(box: Box, name: str) -> None:
    result = box.run(f"--name={name}", IMAGE, "true")
    assert result.code == 125
    assert "name" in result.error


def test_entrypoint(box: Box) -> None:
    assert box.run("--entrypoint", "echo", IMAGE, "hello", "there").text == "hello there"


def test_hostname(box: Box) -> None:
    result = box.run("--hostname", "canoe", IMAGE, "sh", "-c", "hostname; echo $HOSTNAME")
    assert result.lines == ["canoe"] * 2


def test_hostname_file(box: Box) -> None:
    assert box.run("--hostname", "canoe", IMAGE, "cat", "/etc/hostname").text == "canoe"


def test_hostname_is_the_short_id(box: Box) -> None:
    id = box.create("--name", "h1", IMAGE, "hostname")
    assert box.cli("start", "-a", "h1").text == id[:12]


def test_read_only(box: Box) -> None:
    result = box.run("--read-only", IMAGE, "sh", "-c", "touch /x || touch /tmp/x; touch /dev/shm/x && echo shm")
    assert result.text == "shm"
    assert result.error.count("Read-only file system") == 2


def test_root_is_writable_and_private(box: Box) -> None:
    box.run(IMAGE, "sh", "-c", "echo mine > /etc/passwd; rm -r /home; mkdir /new").ok()
    assert box.run(IMAGE, "sh", "-c", "grep -c root /etc/passwd; ls -d /home; ls -d /new 2>&1").lines[:2] == [
        "1",
        "/home",
    ]


def test_network_none_has_only_loopback(box: Box) -> None:
    result = box.run(IMAGE, "sh", "-c", "ls /sys/class/net | grep -v sit | grep -v tunl; ip -o addr show lo")
    assert result.lines[0] == "lo"
    assert "127.0.0.1/8" in result.text


def test_program_is_process_one(box: Box) -> None:
    assert box.run(IMAGE, "sh", "-c", "echo $$").text == "1"


def test_only_three_descriptors(box: Box) -> None:
    assert box.run(IMAGE, "sh", "-c", "ls /proc/1/fd").lines[:3] == ["0", "1", "2"]
    assert set(box.run(IMAGE, "ls", "/proc/self/fd").lines) == {"0", "1", "2", "3"}  # 3 is ls's own


def test_signals_are_not_ignored_or_blocked(box: Box) -> None:
    status = dict(line.split(":\t", 1) for line in box.run(IMAGE, "cat", "/proc/self/status").lines if ":\t" in line)
    assert status["SigIgn"] == status["SigBlk"] == "0" * 16


def test_environment(box: Box) -> None:
    found = dict(line.split("=", 1) for line in box.run("--hostname", "h", IMAGE, "env").lines)
    assert found == {
        "PATH": "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
        "HOSTNAME": "h",
        "HOME": "/root",
    }


def test_devices(box: Box) -> None:
    found = box.run(IMAGE, "sh", "-c", "ls /dev; [ ! -e /proc/kcore ] || echo core").lines
    expected = "fd full mqueue null ptmx pts random shm stderr stdin stdout tty urandom zero".split()
    assert sorted(set(found)) == sorted([*expected, *(["core"] if "core" in found else [])])
    assert found.count("core") in (0, 2)  # a link to /proc/kcore, where the kernel has one


def test_devices_work(box: Box) -> None:
    script = "echo x > /dev/null; head -c 3 /dev/zero | wc -c; head -c 4 /dev/urandom | wc -c; echo e > /dev/stderr"
    result = box.run(IMAGE, "sh", "-c", script)
    assert (result.lines, result.error) == (["3", "4"], "e")


def test_shared_memory_is_64_mib(box: Box) -> None:
    assert "65536k" in box.run(IMAGE, "sh", "-c", "grep ' /dev/shm ' /proc/mounts").text


def test_output_of_a_program_that_ends_at_once_is_whole(box: Box) -> None:
    result = box.run(IMAGE, "sh", "-c", "seq 1 20000")
    assert result.out == "".join(f"{n}\n" for n in range(1, 20001)).encode()


def test_background_children_end_with_it(box: Box) -> None:
    box.cli("run", *box.flags, "--name", "p1", IMAGE, "sh", "-c", "sleep 1000 & echo started").ok()
    assert box.inspect("p1", "{{.State.Status}}") == "exited"


def test_a_reader_that_closes_early(box: Box) -> None:
    process = box.popen("run", "--rm", *box.flags, IMAGE, "yes", stdin=subprocess.DEVNULL)
    assert process.stdout is not None
    assert process.stdout.read(4) == b"y\ny\n"
    process.stdout.close()
    box.clean()
    assert process.wait(30 * box.slow) != 0
    assert process.stderr is not None
    process.stderr.close()


def test_flags_end_at_the_image(box: Box) -> None:
    assert box.run(IMAGE, "echo", "--rm", "-i", "--", "x").text == "--rm -i -- x"


def test_unknown_flag_is_125(box: Box) -> None:
    result = box.cli("run", "--nope", IMAGE)
    assert result.code == 125
    assert "unknown flag: --nope" in result.error


def test_no_image_is_an_error(box: Box) -> None:
    result = box.cli("run")
    assert result.code != 0
    assert "requires at least 1 argument" in result.error
