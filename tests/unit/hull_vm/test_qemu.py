"""A QEMU that is played by a sleeping child and our hand on its QMP socket."""

from __future__ import annotations

import json
import os
import socket
import subprocess
from collections.abc import Callable, Iterator

import pytest

from proa.hull.loop import Loop
from proa.hull.vm import machine, process, qemu


class Played:
    """The loop, the machine in it, and the other end of its QMP."""

    def __init__(self) -> None:
        self.loop = Loop()
        self.told: list[str] = []

    def launch(self, _command: object, _env: object, channels: process.Channels, *_rest: object) -> tuple[int, int]:
        self.qmp = socket.socket(fileno=channels.theirs.pop(machine.QMP))
        self.child = subprocess.Popen(["sleep", "60"])
        channels.hand_over()
        return self.child.pid, os.pidfd_open(self.child.pid)

    def gone(self, why: str) -> None:
        self.told.append(why)

    def turn(self) -> None:
        for _ in range(5):
            self.loop.turn(0)

    def asked(self) -> list[str]:
        return [json.loads(line)["execute"] for line in self.qmp.recv(65536).splitlines()]

    def say(self, *messages: dict[str, object]) -> None:
        self.qmp.sendall(b"".join(json.dumps(message).encode() + b"\r\n" for message in messages))
        self.turn()


@pytest.fixture
def played(monkeypatch: pytest.MonkeyPatch) -> Iterator[tuple[Played, qemu.Qemu]]:
    scene = Played()
    monkeypatch.setattr(process, "launch", scene.launch)
    made = qemu.Qemu(scene.loop, scene, [], {}, {}, None)  # type: ignore[arg-type]
    scene.say({"QMP": {}}, {"return": {}}, {"return": {}}, {"return": {}})
    assert scene.asked() == ["qmp_capabilities", "migrate-set-capabilities", "migrate-incoming"]
    yield scene, made
    made.close()
    scene.child.returncode = 0  # reaped by close
    scene.qmp.close()
    scene.loop.close()


def test_freezing_waits_for_nobody(played: tuple[Played, qemu.Qemu]) -> None:
    scene, made = played
    told: list[str] = []
    made.freeze(True, told.append)
    made.freeze(False, told.append)
    scene.turn()
    assert (told, scene.asked()) == ([], ["stop", "cont"])
    scene.say({"return": {}})
    assert told == [""]
    scene.say({"error": {"class": "GenericError", "desc": "no"}})
    assert told == ["", "no"]


def test_freezing_has_its_time(played: tuple[Played, qemu.Qemu], monkeypatch: pytest.MonkeyPatch) -> None:
    scene, made = played
    monkeypatch.setattr(qemu, "FREEZE_SECONDS", 0.0)
    told: list[str] = []
    made.freeze(True, told.append)
    scene.turn()
    scene.say({"return": {}})
    assert told == ["QEMU did not answer in time"]


def test_who_waits_for_a_machine_that_ends_is_told(played: tuple[Played, qemu.Qemu]) -> None:
    _, made = played
    told: list[str] = []
    end: Callable[[], None] = made.silence
    made.freeze(True, told.append)
    end()
    end()
    assert told == ["the virtual machine ended"]
