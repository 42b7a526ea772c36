"""-m, --pids-limit, --cpus: enforced, and told."""

from __future__ import annotations

import time

import pytest

from support.box import IMAGE, Box

HOG = "dd if=/dev/zero of=/dev/null bs=48M count=1"
"""dd's buffer is 48 MiB of memory: killed with 32, fine with 128."""


def test_out_of_memory(box: Box) -> None:
    neighbour = box.detached(IMAGE, "sleep", "600")
    since = str(int(time.time()))
    result = box.cli("run", *box.flags, "--name", "c1", "-m", "32m", "--memory-swap", "32m", IMAGE, "tail", "/dev/zero")
    assert result.code == 137
    assert box.inspect("c1", "{{.State.OOMKilled}} {{.State.ExitCode}}") == "true 137"
    events = box.cli("events", "--since", since, "--until", str(int(time.time()) + 1), "--filter", "event=oom").lines
    assert len(events) == 1
    assert box.inspect(neighbour, "{{.State.Running}}") == "true"


def test_a_child_out_of_memory_does_not_end_the_container(box: Box) -> None:
    script = f"{HOG}; echo still here: $?"
    result = box.run("-m", "32m", "--memory-swap", "32m", IMAGE, "sh", "-c", script)
    assert (result.code, result.text) == (0, "still here: 137")


def test_enough_memory(box: Box) -> None:
    assert box.run("-m", "128m", IMAGE, "sh", "-c", HOG).code == 0


@pytest.mark.parametrize(("text", "number"), [("64m", 64 << 20), ("65536k", 64 << 20), ("1g", 1 << 30)])
def test_memory_sizes(box: Box, text: str, number: int) -> None:
    box.create("--name", "c1", "-m", text, IMAGE, "true")
    assert box.inspect("c1", "{{.HostConfig.Memory}}") == str(number)


def test_too_little_memory(box: Box) -> None:
    result = box.run("-m", "1m", IMAGE, "true")
    assert result.code == 125
    assert "Minimum memory limit allowed is 6MB" in result.error
    assert box.cli("ps", "-aq").text == ""


def test_memory_that_is_no_size(box: Box) -> None:
    assert box.run("-m", "lots", IMAGE, "true").code == 125


def test_pids(box: Box) -> None:
    script = "for i in $(seq 1 40); do sleep 5 & done; echo never"
    result = box.run("--pids-limit", "16", IMAGE, "sh", "-c", script)
    assert result.code != 0
    assert "never" not in result.text
    assert "can't fork" in result.error


def test_fork_bomb(box: Box) -> None:
    neighbour = box.detached("--name", "n1", IMAGE, "sleep", "600")
    box.detached("--name", "c1", "--pids-limit", "32", IMAGE, "sh", "-c", "f() { f | f & }; f; sleep 600")
    time.sleep(1)
    assert box.cli("exec", neighbour, "echo", "alive").text == "alive"
    box.cli("rm", "-f", "c1", timeout=60).ok()


def test_cpus(box: Box) -> None:
    box.create("--name", "c1", "--cpus", "0.25", IMAGE, "true")
    assert box.inspect("c1", "{{.HostConfig.NanoCpus}}") == "250000000"


def test_cpus_are_enforced(box: Box) -> None:
    """A busy program for one second of wall time, at a quarter: user and system time together stay near it."""
    script = "(while :; do :; done) & sleep 2; kill $!; wait $! 2>/dev/null; times"
    result = box.run("--cpus", "0.25", IMAGE, "sh", "-c", script)
    minutes, seconds = result.lines[-1].split()[0].rstrip("s").split("m")
    assert float(minutes) * 60 + float(seconds) < 1.2


def test_too_many_cpus(box: Box) -> None:
    result = box.run("--cpus", "9999", IMAGE, "true")
    assert result.code == 125
    assert "CPUs" in result.error


def test_many_small_ones_out_of_memory(box: Box) -> None:
    """Where the image's own pages count against the limit too, it would rather read them again and again than end."""
    script = "i=0; while [ $i -lt 1000 ]; do sleep 1000 & i=$((i+1)); done"
    words = ("run", *box.flags, "--name", "c1", "-m", "32m", "--memory-swap", "32m", IMAGE, "sh", "-c", script)
    box.cli(*words, timeout=30 if box.is_vm else 60)  # which of them is killed is the kernel's choice
    assert box.inspect("c1", "{{.State.OOMKilled}}") == "true"


def test_a_file_larger_than_the_limit(box: Box) -> None:
    """Reading and writing it takes pages away all the time: nobody is killed for that."""
    script = "dd if=/dev/zero of=/tmp/x bs=1M count=100 2>/dev/null; cat /tmp/x | wc -c"
    result = box.run("-m", "32m", "--memory-swap", "32m", IMAGE, "sh", "-c", script)
    assert (result.code, result.text) == (0, str(100 << 20))
