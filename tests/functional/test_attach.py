"""attach: joining a program that runs."""

from __future__ import annotations

import signal

from support.box import IMAGE, Box


def test_output_from_now_on_and_the_exit_code(box: Box) -> None:
    box.detached("-i", "--name", "c1", IMAGE, "sh", "-c", "echo before; read line; sleep 0.3; echo got $line; exit 4")
    box.until(lambda: box.cli("logs", "c1").text == "before")
    client = box.popen("attach", "c1")
    assert client.stdin is not None
    client.stdin.write(b"hello\n")
    client.stdin.flush()
    assert client.wait(30 * box.slow) == 4
    assert client.communicate() == (b"got hello\n", b"")


def test_output_goes_on_after_the_clients_stdin_has_ended(proa_box: Box) -> None:
    """Docker ends such an attachment, unless the container was started with -i in the foreground."""
    proa_box.detached("-i", "--name", "c1", IMAGE, "sh", "-c", "read line; sleep 0.3; echo got $line; exit 4")
    result = proa_box.cli("attach", "c1", input=b"hello\n")
    assert (result.code, result.out) == (4, b"got hello\n")


def test_two_clients_see_the_same(box: Box) -> None:
    box.detached("--name", "c1", IMAGE, "sh", "-c", "while [ ! -e /go ]; do sleep 0.05; done; seq 1 500; exit 2")
    clients = [box.popen("attach", "--no-stdin", "c1") for _ in range(2)]
    box.until(lambda: all(client.poll() is None for client in clients))
    _let_attach(box)
    box.cli("exec", "c1", "touch", "/go").ok()
    expected = "".join(f"{n}\n" for n in range(1, 501)).encode()
    for client in clients:
        assert client.communicate(timeout=30 * box.slow) == (expected, b"")
        assert client.returncode == 2


def _let_attach(box: Box) -> None:
    """A client says nothing once it is attached; half a second is enough on any machine these run on."""
    import time

    time.sleep(0.5 * box.slow)


def test_signals_are_passed_on(box: Box) -> None:
    box.detached("--name", "c1", IMAGE, "sh", "-c", "trap 'echo term; exit 9' TERM; while :; do sleep 0.05; done")
    client = box.popen("attach", "c1")
    _let_attach(box)
    client.send_signal(signal.SIGTERM)
    assert client.communicate(timeout=30 * box.slow)[0] == b"term\n"
    assert client.returncode == 9


def test_without_sig_proxy_only_the_client_ends(box: Box) -> None:
    box.detached("--name", "c1", IMAGE, "sleep", "600")
    client = box.popen("attach", "--sig-proxy=false", "c1")
    _let_attach(box)
    client.send_signal(signal.SIGTERM)
    client.communicate(timeout=30 * box.slow)
    assert box.inspect("c1", "{{.State.Running}}") == "true"


def test_one_that_does_not_run(box: Box) -> None:
    box.create("--name", "c1", IMAGE, "true")
    result = box.cli("attach", "c1")
    assert result.code == 1
    assert "cannot attach to a stopped container" in result.error.lower()


def test_one_that_is_paused(box: Box) -> None:
    box.detached("--name", "c1", IMAGE, "sleep", "600")
    box.cli("pause", "c1").ok()
    assert box.cli("attach", "c1").code == 1
    box.cli("unpause", "c1").ok()
