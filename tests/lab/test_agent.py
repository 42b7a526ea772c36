"""The two ends of the lab's port against each other, without a machine between them."""

from __future__ import annotations

import socket
import sys
import threading
from collections.abc import Iterator

import pytest

from lab.agent import Agent, Silent
from lab.guest import agent as inside

PROGRAM = """
import os
os.write(1, b"out\\n")
os.write(2, b"err\\n")
os.write(int(os.environ["PROA_LAB_LINES"]), b"{}\\n")
os._exit(int(os.environ["CODE"]))
"""


@pytest.fixture
def agent() -> Iterator[Agent]:
    ours, theirs = socket.socketpair()
    port = theirs.makefile("rwb", buffering=0)
    thread = threading.Thread(target=lambda: inside.serve(port), daemon=True)
    thread.start()
    made = Agent(ours)
    yield made
    ours.shutdown(socket.SHUT_RDWR)
    made.close()
    thread.join(10)
    port.close()
    theirs.close()


def test_output_lines_and_code(agent: Agent) -> None:
    agent.begin([sys.executable, "-c", PROGRAM], {"CODE": "7"})
    messages = list(agent.messages(10))
    assert "".join(message.get("out", "") for message in messages) == "out\nerr\n"
    assert [message["line"] for message in messages if "line" in message] == ["{}"]
    assert messages[-1] == {"code": 7}


def test_one_command_after_another(agent: Agent) -> None:
    assert agent.run("echo", "one") == "one\n"
    assert agent.run("pwd", seconds=10) == "/\n"
    with pytest.raises(RuntimeError, match="ended with 3: why"):
        agent.run("sh", "-c", "echo why; exit 3")
    with pytest.raises(RuntimeError, match="ended with 127"):
        agent.run("/nonexistent")


def test_what_a_command_left_running_is_not_waited_for(agent: Agent) -> None:
    assert agent.run("sh", "-c", "sleep 5 & echo done", seconds=4) == "done\n"


def test_silence_is_an_error(agent: Agent) -> None:
    agent.begin(["sleep", "0.5"])
    with pytest.raises(Silent, match="says nothing"):
        list(agent.messages(0.1))
    assert list(agent.messages(10)) == [{"code": 0}]
