"""exec: more programs beside the first."""

from __future__ import annotations

from concurrent.futures import ThreadPoolExecutor

import pytest

from support.box import IMAGE, Box


@pytest.fixture
def running(box: Box) -> Box:
    box.detached("--name", "c1", "-e", "COLOUR=red", IMAGE, "sleep", "600")
    return box


@pytest.mark.parametrize("code", [0, 3, 255])
def test_exit_code(running: Box, code: int) -> None:
    assert running.cli("exec", "c1", "sh", "-c", f"exit {code}").code == code


def test_streams(running: Box) -> None:
    result = running.cli("exec", "c1", "sh", "-c", "echo out; echo err >&2")
    assert (result.out, result.err) == (b"out\n", b"err\n")


def test_stdin(running: Box) -> None:
    assert running.cli("exec", "-i", "c1", "cat", input=b"hello").out == b"hello"
    assert running.cli("exec", "c1", "cat", input=b"unread").out == b""


def test_it_is_inside(running: Box) -> None:
    assert running.cli("exec", "c1", "sh", "-c", "tr '\\0' ' ' < /proc/1/cmdline").text == "sleep 600"
    assert running.cli("exec", "c1", "hostname").text == running.inspect("c1", "{{.Config.Hostname}}")


def test_environment_workdir_user(running: Box) -> None:
    result = running.cli(
        "exec", "-e", "A=b c", "-w", "/tmp", "-u", "app", "c1", "sh", "-c", "echo $COLOUR $A $PWD; id -un"
    )
    assert result.lines == ["red b c /tmp", "app"]


def test_detached(running: Box) -> None:
    assert running.cli("exec", "-d", "c1", "sh", "-c", "echo done > /tmp/mark").ok().text == ""
    running.until(lambda: running.cli("exec", "c1", "cat", "/tmp/mark").text == "done")


def test_missing_program(running: Box) -> None:
    result = running.cli("exec", "c1", "nope")
    assert result.code == 127 or (running.is_docker and result.code == 126)  # the judge is of 2020
    assert 'exec: "nope": executable file not found in $PATH' in (result.error + result.text)


def test_not_executable(running: Box) -> None:
    result = running.cli("exec", "c1", "/plain")
    assert result.code == 126
    assert "permission denied" in (result.error + result.text)


def test_unknown_container(box: Box) -> None:
    result = box.cli("exec", "nobody", "true")
    assert result.code == 1
    assert "No such container: nobody" in result.error


def test_container_that_does_not_run(box: Box) -> None:
    id = box.create("--name", "c1", IMAGE, "true")
    result = box.cli("exec", "c1", "true")
    assert result.code == 1
    assert f"ontainer {id} is not running" in result.error


def test_paused_container(running: Box) -> None:
    running.cli("pause", "c1").ok()
    result = running.cli("exec", "c1", "true")
    assert result.code == 1
    assert "is paused, unpause the container before exec" in result.error
    running.cli("unpause", "c1").ok()


def test_many_at_once(running: Box) -> None:
    def one(number: int) -> tuple[int, str]:
        result = running.cli("exec", "c1", "sh", "-c", f"echo {number}; exit {number}")
        return result.code, result.text

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(one, range(16))) == [(n, str(n)) for n in range(16)]


def test_descriptors_and_signals(running: Box) -> None:
    assert set(running.cli("exec", "c1", "ls", "/proc/self/fd").lines) == {"0", "1", "2", "3"}
    status = running.cli("exec", "c1", "cat", "/proc/self/status").text
    assert f"SigBlk:\t{'0' * 16}" in status
    assert f"SigIgn:\t{'0' * 16}" in status


def test_same_privileges_as_the_program(running: Box) -> None:
    wanted = "Seccomp|Cap|NoNewPrivs"
    first = running.cli("exec", "c1", "grep", "-E", wanted, "/proc/1/status").text
    assert running.cli("exec", "c1", "grep", "-E", wanted, "/proc/self/status").text == first


def test_ends_with_its_container(running: Box) -> None:
    process = running.popen("exec", "c1", "sh", "-c", "echo started; sleep 600")
    assert process.stdout and process.stdout.readline() == b"started\n"
    running.cli("kill", "c1").ok()
    assert process.wait(20 * running.slow) == 137
    process.communicate()


def test_a_big_output(running: Box) -> None:
    result = running.cli("exec", "c1", "sh", "-c", "head -c 5000000 /dev/zero")
    assert len(result.out) == 5_000_000
