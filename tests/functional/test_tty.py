"""-t: a terminal of its own, its size, its modes."""

from __future__ import annotations

import os
import re
import termios
import time

import pexpect  # type: ignore[import-untyped,unused-ignore]
import pytest

from support.box import IMAGE, Box


def _spawn(box: Box, *arguments: str, size: tuple[int, int] = (33, 101)) -> pexpect.spawn:
    child = pexpect.spawn(
        box.command[0], [*box.command[1:], *arguments], env=dict(box.env), dimensions=size, timeout=20 * box.slow
    )
    child.delaybeforesend = None
    return child


def _interactive(box: Box, *arguments: str) -> pexpect.spawn:
    return _spawn(box, "run", "--rm", "-it", *box.flags, *arguments)


def _end(child: pexpect.spawn) -> int:
    child.expect(pexpect.EOF)
    child.close()
    return int(child.exitstatus) if child.exitstatus is not None else -int(child.signalstatus)


def test_output_ends_lines_as_a_terminal_does(box: Box) -> None:
    assert box.run("-t", IMAGE, "echo", "x").out == b"x\r\n"


def test_both_streams_are_one(box: Box) -> None:
    result = box.run("-t", IMAGE, "sh", "-c", "echo out; echo err >&2")
    assert (result.out, result.err) == (b"out\r\nerr\r\n", b"")


def test_it_is_a_terminal(box: Box) -> None:
    child = _interactive(box, IMAGE, "sh", "-c", "tty; test -t 0 && test -t 1 && test -t 2 && echo all; echo $TERM")
    child.expect(r"/dev/(pts/0|console)\r\n")
    child.expect("all\r\n")
    child.expect("xterm\r\n")
    assert _end(child) == 0


def test_initial_size(box: Box) -> None:
    child = _interactive(box, IMAGE, "sh", "-c", "sleep 0.5; stty size")
    child.expect("33 101")
    assert _end(child) == 0


def test_resize(box: Box) -> None:
    child = _interactive(box, IMAGE, "sh", "-c", "echo ready; read x; stty size")
    child.expect("ready")
    child.setwinsize(44, 55)
    time.sleep(0.5 * box.slow)
    child.send("\r")
    child.expect("44 55")
    assert _end(child) == 0


def test_exit_code(box: Box) -> None:
    assert _end(_interactive(box, IMAGE, "sh", "-c", "exit 6")) == 6


def test_ctrl_c_reaches_the_program(box: Box) -> None:
    child = _interactive(
        box, IMAGE, "sh", "-c", "trap 'echo caught; exit 9' INT; echo ready; while :; do sleep 0.05; done"
    )
    child.expect("ready")
    child.send("\x03")
    child.expect("caught")
    assert _end(child) == 9


def test_a_shell(box: Box) -> None:
    child = _interactive(box, IMAGE, "sh")
    child.expect("# ")
    child.send("echo $((6 * 7))\r")
    child.expect("\r\n42\r\n")
    child.send("exit 3\r")
    assert _end(child) == 3


def test_detach_and_attach_again(box: Box) -> None:
    child = _spawn(box, "run", "-it", *box.flags, "--name", "c1", IMAGE, "sh")
    child.expect("# ")
    child.send("X=kept\r")
    child.expect("# ")
    child.send("\x10\x11")
    assert _end(child) == 0
    assert box.inspect("c1", "{{.State.Running}}") == "true"
    child = _spawn(box, "attach", "c1")
    time.sleep(0.3 * box.slow)
    child.send("echo $X\r")
    child.expect("kept\r\n")
    child.send("exit\r")
    assert _end(child) == 0


def test_other_detach_keys(box: Box) -> None:
    child = _spawn(box, "run", "-it", "--detach-keys", "ctrl-x,d", *box.flags, "--name", "c1", IMAGE, "sh")
    child.expect("# ")
    child.send("\x18d")
    assert _end(child) == 0
    assert box.inspect("c1", "{{.State.Running}}") == "true"


def test_half_of_the_detach_keys_is_typed_on(box: Box) -> None:
    child = _interactive(box, IMAGE, "sh", "-c", "stty raw -echo; echo ready; head -c 2 | od -An -tx1")
    child.expect("ready")
    child.send("\x10")
    child.send("a")
    child.expect("10 61")
    assert _end(child) == 0


def test_exec_in_a_terminal(box: Box) -> None:
    box.detached("--name", "c1", IMAGE, "sleep", "600")
    child = _spawn(box, "exec", "-it", "c1", "sh")
    child.expect("# ")
    child.send("stty size; tty\r")
    child.expect("33 101")
    child.send("exit 4\r")
    assert _end(child) == 4


def test_terminal_modes_are_restored(box: Box) -> None:
    controller, terminal = os.openpty()
    before = termios.tcgetattr(terminal)
    process = box.popen(
        "run", "--rm", "-it", *box.flags, IMAGE, "true", stdin=terminal, stdout=terminal, stderr=terminal
    )
    assert process.wait(30 * box.slow) == 0
    assert termios.tcgetattr(terminal) == before
    os.close(terminal)
    os.close(controller)


def test_a_terminal_is_needed(box: Box) -> None:
    result = box.run("-it", IMAGE, "true", input=b"")
    assert result.code == 1
    assert "the input device is not a TTY" in result.error


def test_console_in_dev(box: Box) -> None:
    result = box.run("-t", IMAGE, "sh", "-c", "ls /dev | tr '\\n' ' '; ls -l /dev/console")
    assert "console" in result.text.split()
    assert re.search(r"crw--w---- +1 root +(root|5|tty) +136, +0", result.text)


def test_console_size_of_create(box: Box) -> None:
    if box.is_docker:
        pytest.skip("older than the option")
    status, body = box.api("POST", "/containers/create?name=c1", {
        "Image": IMAGE, "Cmd": ["stty", "size"], "Tty": True,
        "HostConfig": {"ConsoleSize": [20, 60], "NetworkMode": "none", "Isolation": "vm" if box.is_vm else "process"},
    })  # fmt: skip
    assert status == 201, body
    box.cli("start", "c1").ok()
    assert box.wait("c1") == 0
    assert box.cli("logs", "c1").text == "20 60"
