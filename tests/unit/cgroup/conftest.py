"""Groups for real, below a parent of the test's own."""

import os
import secrets
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from proa.cgroup import choose, tree


@pytest.fixture
def value() -> Iterator[Any]:
    """What can be had here; skipped where that is nothing. Nothing may be left at the end."""
    made = choose.detect("proa-" + secrets.token_hex(4))
    if not made["version"]:
        pytest.skip("no cgroup can be made on this host")
    yield made
    left = choose.leftovers(made)
    for name in left:
        choose.open(made, name).kill()
    for base in set(made["mounts"].values()):
        for name in left:
            tree.remove(f"{base}/{made['parent']}/{name}")
    choose.forget(made)
    assert left == []
    assert not any(os.path.exists(f"{base}/{made['parent']}") for base in made["mounts"].values())


@pytest.fixture
def unified() -> Iterator[Path]:
    """A version 2 group, whichever the host's version is."""
    for line in Path("/proc/self/mountinfo").read_text().splitlines():
        if " - cgroup2 " in line:
            path = Path(line.split()[4]) / f"proa-{secrets.token_hex(4)}"
            try:
                path.mkdir()
            except OSError as problem:
                pytest.skip(f"no version 2 group: {problem}")
            yield path
            tree.remove(str(path))
            return
    pytest.skip("version 2 is not mounted")
