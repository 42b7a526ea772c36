"""Bad input: one clear line with a code, the right exit status, and nothing left."""

from __future__ import annotations

import io
import os
import re
import sqlite3
import subprocess
import tarfile
import tempfile
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from support.box import IMAGE, Box, Result, clean_environment, command


@pytest.fixture
def root() -> Iterator[Path]:
    """Where an engine may be made, and be broken."""
    with tempfile.TemporaryDirectory(prefix="proa-") as folder:
        yield Path(folder)
        _cli(Path(folder), "engine", "stop", "--all")


def _cli(root: Path, *arguments: str, cwd: Path | None = None, **env: str) -> Result:
    done = subprocess.run(
        [*command(), *arguments],
        env=clean_environment(PROA_ROOT=str(root), **env),
        cwd=cwd,
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )
    return Result(done.returncode, done.stdout, done.stderr)


def _one_line_with_a_code(result: Result, code: str = "") -> None:
    """``proa: what [code]``; what could be done next stands indented below it; and no traceback."""
    lines = [line for line in result.error.splitlines() if not line.startswith("WARNING: ")]
    assert re.fullmatch(rf"proa: .+ \[{code or '[a-z0-9-]+'}\]", lines[0]), result.error
    assert all(line.startswith("  ") for line in lines[1:]), result.error
    assert len(lines) <= 3, result.error
    assert "Traceback" not in result.error


@pytest.mark.parametrize(
    ("arguments", "exit_code"),
    [
        (["run", "no-such-image", "true"], 125),
        (["run", IMAGE, "nope"], 127),
        (["run", IMAGE, "/plain"], 126),
        (["run", "-m", "1m", IMAGE, "true"], 125),
        (["run", "-m", "x", IMAGE, "true"], 125),
        (["run", "--cpus", "-1", IMAGE, "true"], 125),
        (["run", "--isolation", "cardboard", IMAGE, "true"], 125),
        (["run", "--network", "nope", IMAGE, "true"], 125),
        (["run", "--name", "no/name", IMAGE, "true"], 125),
        (["run", "-e", "=x", IMAGE, "true"], 125),
        (["run", "-u", "nobody-here", IMAGE, "true"], None),
        (["run", "-w", "rel", IMAGE, "true"], 125),
        (["run", "-v", "/no/such/dir/at/all:relative", IMAGE, "true"], 125),
        (["run", "BAD NAME", "true"], 125),
        (["start", "nobody"], 1),
        (["exec", "nobody", "true"], 1),
        (["rmi", "nobody"], 1),
        (["import", "/no/such/file", "x"], 1),
    ],
)
def test_one_clear_line(proa_box: Box, arguments: list[str], exit_code: int | None) -> None:
    if arguments[0] == "run":
        arguments = ["run", *proa_box.flags, *arguments[1:]]
    result = proa_box.cli(*arguments)
    _one_line_with_a_code(result)
    assert result.code == exit_code or (exit_code is None and result.code in (125, 126))
    proa_box.clean()


def test_a_name_in_use(proa_box: Box) -> None:
    proa_box.create("--name", "taken", IMAGE, "true")
    result = proa_box.cli("run", *proa_box.flags, "--name", "taken", IMAGE, "true")
    _one_line_with_a_code(result, "name-in-use")
    assert result.code == 125 and "taken" in result.error
    assert len(proa_box.cli("ps", "-aq").lines) == 1


@pytest.mark.parametrize("command_", [[], ["nope"], ["run", "--nope"], ["exec"], ["ps", "extra"], ["logs", "--tail"]])
def test_usage(proa_box: Box, command_: list[str]) -> None:
    result = proa_box.cli(*command_)
    assert "Traceback" not in result.error
    assert result.code == 0 if not command_ else result.code != 0


def _tar(*members: tuple[tarfile.TarInfo, bytes]) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        for info, data in members:
            info.size = info.size or len(data)
            tar.addfile(info, io.BytesIO(data) if data else None)
    return out.getvalue()


def _member(
    name: str, kind: bytes = tarfile.REGTYPE, target: str = "", data: bytes = b"x"
) -> tuple[tarfile.TarInfo, bytes]:
    info = tarfile.TarInfo(name)
    info.type, info.linkname, info.mode = kind, target, 0o755
    return info, data if kind == tarfile.REGTYPE else b""


def _sparse_terabyte() -> bytes:
    info = tarfile.TarInfo("huge")
    info.size = 1 << 40
    return info.tobuf(tarfile.PAX_FORMAT) + b"x" * 1024


def _gnu_sparse_terabyte() -> bytes:
    """GNU tar's own form: the header says how large the file would be, and that it is nothing but a hole."""
    head = bytearray(_sparse_header())
    head[148:156] = b" " * 8
    head[148:156] = b"%06o\0 " % sum(head)
    return bytes(head) + b"\0" * 1024


def _sparse_header() -> bytes:
    info = tarfile.TarInfo("hole")
    info.type = tarfile.GNUTYPE_SPARSE
    head = bytearray(info.tobuf(tarfile.GNU_FORMAT))
    head[386:398], head[398:410] = b"%011o\0" % (8 << 30), b"%011o\0" % 0
    head[483:495] = b"\x80" + (1 << 40).to_bytes(11, "big")
    return bytes(head)


def _pax_sparse_terabyte() -> bytes:
    """The newer form, in extended headers: real size a terabyte, and a map of one empty piece at its end."""
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT) as tar:
        info = tarfile.TarInfo("GNUSparseFile.0/hole")
        info.pax_headers = {
            "GNU.sparse.major": "1", "GNU.sparse.minor": "0", "GNU.sparse.name": "hole",
            "GNU.sparse.realsize": str(1 << 40),
        }  # fmt: skip
        data = b"1\n1099511627776\n0\n".ljust(512, b"\0")
        info.size = len(data)
        tar.addfile(info, io.BytesIO(data))
    return out.getvalue()


HOSTILE: dict[str, Callable[[], bytes]] = {
    "empty": lambda: b"",
    "not a tar": lambda: b"this is not a tar at all\n" * 100,
    "truncated": lambda: _tar(_member("file", data=b"x" * 100_000))[:50_000],
    "dotdot": lambda: _tar(_member("../../escaped")),
    "dotdot inside": lambda: _tar(_member("a/../../escaped")),
    "hard link out": lambda: _tar(_member("link", tarfile.LNKTYPE, "../../../etc/passwd")),
    "hard link to nothing": lambda: _tar(_member("link", tarfile.LNKTYPE, "missing")),
    "a terabyte": _sparse_terabyte,
    "a terabyte of hole": _gnu_sparse_terabyte,
    "a terabyte of hole, newer": _pax_sparse_terabyte,
    "a long name": lambda: _tar(_member("d/" * 3000 + "x")),
    "a NUL in a name": lambda: _pax_path("a\0b"),
    "bad checksum": lambda: b"x" + _tar(_member("file"))[1:],
    "truncated gzip": lambda: b"\x1f\x8b\x08\x00" + b"\0" * 20,
}


def _pax_path(path: str) -> bytes:
    out = io.BytesIO()
    with tarfile.open(fileobj=out, mode="w", format=tarfile.PAX_FORMAT, pax_headers={}) as tar:
        info = tarfile.TarInfo("x")
        info.pax_headers = {"path": path}
        tar.addfile(info)
    return out.getvalue()


@pytest.mark.parametrize("name", HOSTILE)
def test_hostile_tar(proa_box: Box, name: str, tmp_path: Path) -> None:
    file = tmp_path / "hostile.tar"
    file.write_bytes(HOSTILE[name]())
    before = _stored(proa_box)
    result = proa_box.cli("import", str(file), "hostile")
    assert result.code == 1, result
    _one_line_with_a_code(result)
    assert proa_box.cli("images", "-q", "hostile").text == ""
    assert _stored(proa_box) == before
    assert not Path("/escaped").exists()


def _stored(box: Box) -> set[str]:
    """Files in the store: an import that failed leaves none. (Layer trees are not walked: one entry each.)"""
    assert box.root
    found = set()
    for folder in ("content", "layers", "blocks"):
        top = box.root / "state" / folder
        depth = len(top.parts)
        found |= {str(path) for path in top.rglob("*") if len(path.parts) <= depth + (1 if folder == "layers" else 3)}
    return found


@pytest.mark.parametrize("kind", ["through a link", "absolute", "absolute link"])
def test_a_tar_stays_inside(proa_box: Box, kind: str, tmp_path: Path) -> None:
    """What a real tar may hold too: it works, and writes nothing outside."""
    target = tmp_path / "outside"
    target.mkdir()
    members = {
        "through a link": [_member("dir", tarfile.SYMTYPE, str(target)), _member("dir/file")],
        "absolute": [_member(f"{target}/file")],
        "absolute link": [_member("dir", tarfile.SYMTYPE, str(target))],
    }[kind]
    file = tmp_path / "odd.tar"
    file.write_bytes(_tar(*members))
    result = proa_box.cli("import", str(file), "odd")
    assert result.code in (0, 1)
    if result.code:
        _one_line_with_a_code(result)
    assert list(target.iterdir()) == []
    proa_box.cli("rmi", "odd")


def test_a_newer_state(root: Path) -> None:
    _cli(root, "ps").ok()
    _cli(root, "engine", "stop").ok()
    with sqlite3.connect(root / "state/state.db") as db:
        db.execute("PRAGMA user_version = 9999")
    db.close()
    result = _cli(root, "ps")
    assert result.code != 0
    _one_line_with_a_code(result, "state-newer")


def test_a_broken_state(root: Path) -> None:
    (root / "state").mkdir(parents=True)
    (root / "state/state.db").write_bytes(b"nonsense" * 1000)
    result = _cli(root, "ps")
    assert result.code != 0
    _one_line_with_a_code(result)


def test_a_socket_path_that_is_too_long(root: Path) -> None:
    result = _cli(root / ("x" * 120), "ps")
    assert result.code != 0
    _one_line_with_a_code(result, "socket-path-too-long")


def test_a_state_directory_that_is_a_file(root: Path) -> None:
    (root / "state").write_text("")
    result = _cli(root, "ps")
    assert result.code != 0
    _one_line_with_a_code(result)


def test_a_socket_that_nobody_answers(root: Path) -> None:
    (root / "run").mkdir()
    (root / "run/engine.sock").touch()
    assert _cli(root, "ps", "-q").ok().text == ""


def test_hostile_python_settings(root: Path, tmp_path: Path) -> None:
    """Modules in the working directory, in PYTHONPATH, in PYTHONHOME: none of them runs, in no program of ours."""
    trap = f"import os; os.open({str(tmp_path / 'trapped')!r}, os.O_CREAT)"
    for name in ("re", "json", "socket", "os", "sitecustomize", "usercustomize", "proa", "asyncio", "ctypes", "_json"):
        (tmp_path / f"{name}.py").write_text(trap)
    (tmp_path / "x.pth").write_text(trap)
    result = _cli(
        root,
        "ps",
        cwd=tmp_path,
        PYTHONPATH=str(tmp_path),
        PYTHONHOME=str(tmp_path),
        PYTHONSTARTUP=str(tmp_path / "re.py"),
        PYTHONINSPECT="1",
        PYTHONUSERBASE=str(tmp_path),
    )
    assert result.code == 0, result.error
    assert not (tmp_path / "trapped").exists()


def test_output_cannot_drive_the_terminal(proa_box: Box) -> None:
    """Names and labels come from anyone: what ps prints is inert."""
    status, body = proa_box.api("POST", "/containers/create?name=c1", {
        "Image": IMAGE, "Cmd": ["echo", "\x1b]0;owned\x07"], "Labels": {"x": "\x1b[31m"},
        "HostConfig": {"NetworkMode": "none", "Isolation": "vm" if proa_box.is_vm else "process"},
    })  # fmt: skip
    assert status == 201, body
    assert b"\x1b" not in proa_box.cli("ps", "-a").out


@pytest.mark.skipif(os.geteuid() == 0 and not Path("/proc/self/ns/mnt").exists(), reason="needs a mount namespace")
def test_a_read_only_state_directory(root: Path) -> None:
    """As a read-only mount, which stops root too: in a mount namespace of its own."""
    _cli(root, "ps").ok()
    _cli(root, "engine", "stop").ok()
    script = 'mount --bind "$0" "$0" && mount -o remount,ro,bind "$0" && shift 0 && exec "$@"'
    done = subprocess.run(
        ["unshare", "--mount", "sh", "-c", script, str(root / "state"), *command(), "ps"],
        env=clean_environment(PROA_ROOT=str(root)),
        capture_output=True,
        stdin=subprocess.DEVNULL,
        timeout=60,
    )
    result = Result(done.returncode, done.stdout, done.stderr)
    if "unshare" in result.error:
        pytest.skip(result.error)
    assert result.code != 0
    _one_line_with_a_code(result)
