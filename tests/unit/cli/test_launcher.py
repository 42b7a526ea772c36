"""The launcher, installed as pip would: found through links, deaf to whatever a caller's settings would load."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from proa.program import SITE

LAUNCHER = Path(__file__).resolve().parents[3] / "launcher" / "proa"
EVIL = "import posix; posix.write(2, b'EVIL'); posix._exit(66)\n"


@pytest.fixture
def prefix(tmp_path: Path) -> Path:
    """bin/proa, bin/python and lib/pythonX.Y/site-packages/proa, in a folder with a space in its name."""
    prefix = tmp_path / "a prefix"
    site = prefix / "lib" / f"python{sys.version_info[0]}.{sys.version_info[1]}" / "site-packages"
    site.mkdir(parents=True)
    (prefix / "bin").mkdir()
    (site / "proa").symlink_to(Path(SITE) / "proa")
    (prefix / "bin" / "python").symlink_to(Path(sys.executable))
    target = prefix / "bin" / "proa"
    target.write_bytes(LAUNCHER.read_bytes())
    target.chmod(0o755)
    return prefix


def run(*argv: str | Path, **options: object) -> subprocess.CompletedProcess[str]:
    return subprocess.run([str(word) for word in argv], capture_output=True, text=True, timeout=20, **options)  # type: ignore[call-overload,no-any-return]


def test_runs(prefix: Path) -> None:
    done = run(prefix / "bin" / "proa", "--version")
    assert (done.returncode, done.stderr) == (0, "")
    assert done.stdout.startswith("proa version ")


def test_arguments_arrive_as_they_are(prefix: Path) -> None:
    done = run(prefix / "bin" / "proa", "two words *", "")
    assert "unknown command: proa two words *" in done.stderr


@pytest.mark.parametrize("relative", ["./proa", "../bin/proa", "bin/proa"])
def test_relative(prefix: Path, relative: str) -> None:
    cwd = prefix if relative.startswith("bin") else prefix / "bin"
    assert run(relative, "--version", cwd=cwd).returncode == 0


def test_through_links(prefix: Path, tmp_path: Path) -> None:
    (tmp_path / "one").symlink_to(prefix / "bin" / "proa")
    (tmp_path / "two").symlink_to("one")
    assert run(tmp_path / "two", "--version").returncode == 0


def test_found_in_path(prefix: Path) -> None:
    assert run("proa", "--version", env={"PATH": f"{prefix}/bin:/usr/bin:/bin"}).returncode == 0


def test_no_interpreter_beside_it(prefix: Path, tmp_path: Path) -> None:
    (prefix / "bin" / "python").unlink()
    (tmp_path / "python3").symlink_to(Path(sys.executable))
    assert run(prefix / "bin" / "proa", "--version", env={"PATH": f"{tmp_path}:/usr/bin:/bin"}).returncode == 0


def test_not_installed_for_it(prefix: Path) -> None:
    next(prefix.glob("lib/*/site-packages/proa")).unlink()
    done = run(prefix / "bin" / "proa", "--version")
    assert done.returncode == 1
    assert "[launcher]" in done.stderr


def test_hostile_surroundings(prefix: Path, tmp_path: Path) -> None:
    evil = tmp_path / "evil"
    evil.mkdir()
    for name in ("re", "os", "posix", "struct", "proa", "sitecustomize", "usercustomize", "json", "encodings"):
        (evil / f"{name}.py").write_text(EVIL)
    site = next(prefix.glob("lib/*/site-packages"))
    (site / "evil.pth").write_text(EVIL)
    (site / "sitecustomize.py").write_text(EVIL)
    env = {
        "PATH": os.environ["PATH"], "PYTHONPATH": str(evil), "PYTHONHOME": str(evil), "PYTHONSTARTUP": f"{evil}/re.py",
        "PYTHONUSERBASE": str(evil), "PYTHONINSPECT": "1", "PYTHONWARNINGS": "error", "PYTHONUTF8": "0",
        "PYTHONSAFEPATH": "", "LC_ALL": "C",
    }  # fmt: skip
    for argv in (("--version",), ("-H", f"unix://{tmp_path}/no.sock", "ps"), ("run", "--help"), ("pss",)):
        done = run(prefix / "bin" / "proa", *argv, cwd=evil, env=env)
        assert "EVIL" not in done.stderr + done.stdout
        assert done.returncode in (0, 1, 125)
