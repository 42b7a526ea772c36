"""DESIGN "Import budget": the exact set of modules that the light commands load."""

from __future__ import annotations

import struct
from typing import Any

import pytest

ID = "c" * 64
BARE = "_json _socket _struct struct"
OURS = "proa proa.errors proa.jsontext proa.places proa.client proa.client.host proa.client.wire proa.client.engine"
CLI = "proa.cli proa.cli.main proa.cli.catalog proa.cli.options proa.cli.output proa.cli.commands"
STREAMS = "proa.cli.keys proa.cli.streams proa.cli.terminal proa.dockerapi proa.dockerapi.frames"
SESSION = f"{STREAMS} proa.cli.session proa.cli.signals"
PATHS = {
    "run --rm img true": f"{BARE} {SESSION} proa.cli.commands.run proa.cli.creation proa.cli.request",
    "run -d img true": f"{BARE} {SESSION} proa.cli.commands.run proa.cli.creation proa.cli.request",
    "exec web true": f"{BARE} {STREAMS} proa.cli.commands.exec",
    "start web": "_json _socket proa.cli.commands.start proa.cli.each proa.cli.keys",
    "logs web": f"{BARE} proa.cli.commands.logs proa.dockerapi proa.dockerapi.frames",
    "ps -q": "_json _socket proa.cli.commands.ps proa.cli.filters",
}
_SHOW = (
    "before = set(sys.modules); code = run(sys.argv[1:]); print(*sorted(sys.modules), file=open(2, 'w'), flush=True)"
)


def engine(fake: Any) -> None:
    def stream(asked: Any) -> None:
        sock = asked.upgrade()
        sock.sendall(struct.pack(">BxxxL", 1, 1) + b"x")
        asked.hang_up()

    kind = "application/vnd.docker.multiplexed-stream"
    fake.on["POST", "/containers/create"] = lambda asked: asked.answer(201, {"Id": ID, "Warnings": []})
    fake.on["POST", f"/containers/{ID}/attach"] = stream
    fake.on["POST", f"/containers/{ID}/wait"] = lambda asked: asked.answer(200, {"StatusCode": 0})
    fake.on["POST", f"/containers/{ID}/start"] = lambda asked: asked.answer(204)
    fake.on["POST", "/containers/web/start"] = lambda asked: asked.answer(204)
    fake.on["POST", "/containers/web/exec"] = lambda asked: asked.answer(201, {"Id": "e"})
    fake.on["POST", "/exec/e/start"] = stream
    fake.on["GET", "/exec/e/json"] = lambda asked: asked.answer(200, {"Running": False, "ExitCode": 0})
    fake.on["GET", "/containers/web/logs"] = lambda asked: asked.answer(200, b"", kind)
    fake.on["GET", "/containers/json"] = lambda asked: asked.answer(200, [])


def modules(done: Any) -> set[str]:
    assert done.returncode == 0, done.stderr
    return set(done.stderr.decode().split())


@pytest.fixture
def bare(cli: Any) -> set[str]:
    argv = cli.argv()
    argv[argv.index("-c") + 1] = "import sys; print(*sorted(sys.modules), file=open(2, 'w'))"
    import subprocess

    return modules(subprocess.run(argv, capture_output=True, timeout=20))


@pytest.mark.parametrize("line", PATHS)
def test_modules(fake: Any, cli: Any, bare: set[str], line: str) -> None:
    engine(fake)
    import subprocess

    argv = cli.argv(*line.split(), after=_SHOW)
    done = subprocess.run(argv, **{**cli.options(), "timeout": 20})
    assert modules(done) - bare == set(f"{OURS} {CLI} {PATHS[line]}".split())
