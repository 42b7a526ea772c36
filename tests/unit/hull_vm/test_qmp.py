"""The QMP client against a socket that plays QEMU."""

from __future__ import annotations

import json
import os
import socket
import threading
from collections.abc import Iterator

import pytest

from proa.hull.vm import qmp


@pytest.fixture
def played() -> Iterator[tuple[qmp.Qmp, socket.socket, list[tuple[str, dict[str, object]]]]]:
    ours, theirs = socket.socketpair()
    events: list[tuple[str, dict[str, object]]] = []
    client = qmp.Qmp(ours.detach(), lambda name, data: events.append((name, data)))
    with theirs:
        theirs.settimeout(10)
        yield client, theirs, events
    client.close()


def say(sock: socket.socket, *messages: dict[str, object]) -> None:
    sock.sendall(b"".join(json.dumps(message).encode() + b"\r\n" for message in messages))


def test_execute_gets_its_answer_past_greeting_negotiation_and_events(played) -> None:
    client, server, events = played
    say(
        server,
        {"QMP": {"version": {}, "capabilities": []}},
        {"return": {}},
        {"event": "RESUME", "data": {"x": 1}},
        {"return": {"status": "running"}},
    )
    assert client.execute("query-status") == {"status": "running"}
    assert events == [("RESUME", {"x": 1})]
    sent = [json.loads(line)["execute"] for line in server.recv(4096).splitlines()]
    assert sent == ["qmp_capabilities", "query-status"]


@pytest.mark.parametrize(
    ("greeting", "version"),
    [
        ({"version": {"qemu": {"major": 7, "minor": 2, "micro": 22}, "package": "Debian"}}, "7.2.22"),
        ({"version": {}}, ""),
        (None, ""),
    ],
)
def test_the_greeting_tells_the_version(played, greeting: object, version: str) -> None:
    client, server, _ = played
    say(server, {"QMP": greeting}, {"return": {}}, {"return": {}})
    client.execute("cont")
    assert client.version == version


def test_an_error_names_the_command(played) -> None:
    client, server, _ = played
    say(server, {"QMP": {}}, {"return": {}}, {"error": {"class": "GenericError", "desc": "no such device"}})
    with pytest.raises(qmp.QmpError, match="cont: no such device"):
        client.execute("cont")


def test_no_answer_is_a_timeout(played) -> None:
    client, _, _ = played
    with pytest.raises(qmp.QmpTimeout):
        client.execute("stop", None, 0.05)


def test_a_dead_qemu_is_gone(played) -> None:
    client, server, _ = played
    server.close()
    with pytest.raises(qmp.QmpGone):
        client.execute("stop")


def test_requests_are_answered_by_receive_in_order(played) -> None:
    client, server, _ = played
    answers: list[object] = []
    client.request("one", None, lambda answer: answers.append(answer["return"]))
    client.request("two", {"a": 1}, lambda answer: answers.append(answer["return"]))
    say(server, {"QMP": {}}, {"return": {}}, {"return": 1}, {"return": 2})
    client.wait(lambda: len(answers) == 2, 5)
    assert answers == [1, 2]


def test_nonsense_is_an_error(played) -> None:
    client, server, _ = played
    server.sendall(b"hello\n")
    with pytest.raises(qmp.QmpError):
        client.execute("stop")


def test_a_descriptor_is_handed_over(played) -> None:
    client, server, _ = played
    with open("/dev/null", "rb") as file:
        client.give("state", file.fileno())
    server.recv(100, socket.MSG_PEEK)
    data, fds, _, _ = socket.recv_fds(server, 4096, 4)
    assert b'"getfd"' in data and b'"state"' in data
    for fd in fds:
        os.close(fd)
    assert len(fds) == 1


def test_answers_in_pieces(played) -> None:
    client, server, _ = played
    whole = b'{"QMP": {}}\n{"return": {}}\n{"return": {"a": "' + b"x" * 50_000 + b'"}}\n'

    def trickle() -> None:
        for start in range(0, len(whole), 7000):
            server.sendall(whole[start : start + 7000])

    thread = threading.Thread(target=trickle)
    thread.start()
    assert len(client.execute("query")["a"]) == 50_000
    thread.join()
