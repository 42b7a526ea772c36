"""Is the hulls' contract suite worth anything? Each method of each hull returns early in turn, and the suite must fail.

The mutated suite runs in a pytest of its own, told by PROA_MUTATE; ``contract/hull/conftest.py`` breaks the method.
"""

from __future__ import annotations

import os
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

SUITE = Path(__file__).parents[1] / "hull"
TESTS = SUITE.parents[1]
CATCHES = {
    "needs": "test_needs_and_facts",
    "create": "test_output_and_exit_code",
    "adopt": "test_a_second_engine_adopts",
    "start": "test_refused_programs",
    "attach": "test_output_and_exit_code",
    "exec": "test_exec_detached",
    "resize": "test_terminal",
    "signal": "test_what_has_ended_takes_no_signal",
    "wait": "test_output_and_exit_code",
    "freeze": "test_freeze",
    "delete": "test_delete_ends_what_runs",
}
"""The methods that Hull has by now, each with a test that must notice when it does nothing, and does so at once:
one that waits for what never comes would notice too, after its patience."""

HULLS = [
    kind
    for kind in os.environ.get("PROA_TEST_HULLS", "container,vm").replace(",", " ").split()
    if kind not in ("docker", "floor")  # the floor's hull is the VM's
]


@pytest.fixture(scope="module")
def state() -> Iterator[str]:
    """STATE of all the mutated suites: one template is made for them."""
    with tempfile.TemporaryDirectory(prefix="proa-", dir="/tmp") as directory:
        yield directory


def run(kind: str, test: str, state: str, method: str = "") -> subprocess.CompletedProcess[str]:
    """The suite's ``test`` for one hull, with ``method`` broken."""
    mutation = {"PROA_MUTATE": method, "PROA_TEST_STATE": state, "PROA_TEST_PATIENCE": "20"}
    environment = {**os.environ, "PROA_TEST_HULLS": kind, **mutation}
    options = ["-q", "-x", "-p", "no:cacheprovider", "-W", "default", "--rootdir", str(TESTS.parent)]
    return subprocess.run(
        [sys.executable, "-m", "pytest", *options, str(SUITE), "-k", f"{test} and {kind}"],
        env=environment,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )


@pytest.mark.parametrize("kind", HULLS)
def test_the_suite_is_whole_without_a_mutation(kind: str, state: str) -> None:
    done = run(kind, "(" + " or ".join(sorted(set(CATCHES.values()))) + ")", state)
    assert done.returncode == 0, done.stdout


@pytest.mark.parametrize("kind", HULLS)
@pytest.mark.parametrize("method", CATCHES)
def test_a_method_that_does_nothing_is_caught(kind: str, method: str, state: str) -> None:
    done = run(kind, CATCHES[method], state, method)
    assert done.returncode == 1, done.stdout
    assert "skipped" not in done.stdout.splitlines()[-1]


def test_every_method_is_here() -> None:
    from proa.hull.contract import Hull

    methods = {name for name, value in vars(Hull).items() if callable(value) and not name.startswith("_")}
    assert methods == set(CATCHES)
