"""The light diet: the exact set of modules that each program on the launch path has loaded.

A bare interpreter's own modules are taken off; what is left must be ours or on the list. The numbers are in
docs/architecture.md, "Import budget".
"""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

import pytest

import proa
from proa import program

SITE = Path(proa.__file__).parents[1]
PACKAGE = Path(proa.__file__).parent
LIGHT = {
    *("errno", "fcntl", "gc", "resource", "select", "struct", "_struct", "termios", "time"),
    *("ctypes", "_ctypes", "ctypes._endian", "_socket", "_signal", "_json", "types"),  # types: ctypes imports it
}
"""What spawner, shim, runtime and guest may have loaded, beside a bare interpreter and ourselves."""


def loaded(code: str) -> set[str]:
    """Modules in a fresh isolated interpreter after ``code``, less those of a bare one."""
    return _modules(code) - _modules("")


def _modules(code: str) -> set[str]:
    # os is not loaded by -S alone; every program of ours that needs it may have it
    script = f"import sys, os; sys.path.append({str(SITE)!r})\n{code}\nprint(' '.join(sorted(sys.modules)))"
    done = subprocess.run([sys.executable, *program.FLAGS, "-c", script], capture_output=True, text=True, check=True)
    return set(done.stdout.split("\n")[-2].split())


def _names(*folders: str) -> list[str]:
    return sorted(
        ".".join(path.relative_to(SITE).with_suffix("").parts)
        for folder in folders
        for path in PACKAGE.glob(folder)
        if path.name != "__init__.py"
    )


DIET = _names("linux/*.py", "cgroup/*.py", "runtime/*.py", "hull/spawner.py", "hull/shim.py", "hull/vm/guest/*.py")


@pytest.mark.parametrize("module", DIET)
def test_light_modules(module: str) -> None:
    foreign = {name for name in loaded(f"import {module}") if not name.startswith("proa")}
    assert foreign - LIGHT == set()


def test_spawner_exactly() -> None:
    """The spawner has the runtime and the shim loaded before it forks: nothing is imported on the launch path."""
    foreign = {name for name in loaded("import proa.hull.spawner") if not name.startswith("proa")}
    assert foreign <= LIGHT
    assert {"ctypes", "_socket", "_json", "select"} <= foreign


def test_engine_does_without_the_heavy_ones() -> None:
    heavy = {"aiohttp", "pyroute2", "rich", "click", "docker", "multiprocessing", "logging.config", "requests"}
    assert loaded(f"sys.path.append({str(Path(_site('msgspec')))!r}); import proa.engine.main") & heavy == set()


def _site(module: str) -> str:
    import importlib.util

    spec = importlib.util.find_spec(module)
    assert spec and spec.origin
    return str(Path(spec.origin).parents[1])


def test_package_inits_are_empty() -> None:
    full = [str(path) for path in PACKAGE.glob("*/**/__init__.py") if path.read_text().strip()]
    assert full == []


def test_importing_the_package_costs_nothing() -> None:
    assert {name for name in loaded("import proa") if not name.startswith("proa")} == set()
