"""--init: a process 1 that forwards signals and reaps."""

from __future__ import annotations

from support.box import IMAGE, Box


def test_exit_code_passes(box: Box) -> None:
    assert box.run("--init", IMAGE, "sh", "-c", "exit 7").code == 7


def test_the_program_is_not_process_one(box: Box) -> None:
    assert box.run("--init", IMAGE, "sh", "-c", "echo $$").text != "1"


def test_signals_are_forwarded(box: Box) -> None:
    box.detached("--init", "--name", "c1", IMAGE, "sleep", "600")
    box.cli("kill", "-s", "TERM", "c1").ok()
    assert box.wait("c1") == 143


def _short_sleeps(box: Box) -> list[str]:
    return [line for line in box.cli("exec", "c1", "ps", "-o", "args").lines if line.startswith("sleep 0.1")]


def test_orphans_are_reaped(box: Box) -> None:
    box.detached("--init", "--name", "c1", IMAGE, "sh", "-c", "for i in 1 2 3 4 5; do (sleep 0.1 &) ; done; sleep 600")
    box.until(lambda: not _short_sleeps(box))
    assert "Z" not in box.cli("exec", "c1", "ps", "-o", "stat").lines


def test_a_killed_program(box: Box) -> None:
    assert box.run("--init", IMAGE, "sh", "-c", "kill -KILL $$").code == 137
