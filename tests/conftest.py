"""Fixtures for every test. PROA_TEST_HULLS picks the hulls of the behaviour suite (docker: the judge)."""

from __future__ import annotations

import os
import shutil
import signal
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from support import hulls, image, peers
from support.answers import Answers
from support.box import SLOW, Box, Unplayable, docker, proa
from support.hulls import HULLS

os.umask(0o022)  # whatever who runs the tests has: roots of containers are made here, and read by other users

DEADLINE = 600 * int(min(SLOW, 3))
"""Seconds that a single test may take: one that waits for what never comes fails, and the run goes on."""


@pytest.hookimpl(wrapper=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Iterator[None]:
    """Marks each test ``on_HULL``, and plays one hull's after the other's, each in the order it is written in."""
    for item in items:
        if hull := hulls.of(item):
            item.add_marker(f"on_{hull}")
    place = {item: number for number, item in enumerate(items)}
    yield
    order = {hull: number for number, hull in enumerate(["", *hulls.ALL])}
    items.sort(key=lambda item: (order[hulls.of(item)], place[item]))


@pytest.fixture(autouse=True)
def _deadline(request: pytest.FixtureRequest) -> Iterator[None]:
    def late(number: int, frame: object) -> None:
        raise TimeoutError(f"{request.node.name} took longer than {DEADLINE} s")

    before = signal.signal(signal.SIGALRM, late)
    signal.alarm(DEADLINE)
    yield
    signal.alarm(0)
    signal.signal(signal.SIGALRM, before)


@pytest.fixture(scope="session")
def image_tar() -> Iterator[Path]:
    """The small image, as a tar that every user may read."""
    with open_folder() as folder:
        try:
            yield image.build(folder / "bb.tar")
        except peers.Missing as problem:
            pytest.skip(f"busybox: {problem}")


@pytest.fixture
def tmp_path() -> Iterator[Path]:
    """pytest's own is closed to the floor's user, who reads what a test puts here."""
    with open_folder() as folder:
        yield folder


@contextmanager
def open_folder() -> Iterator[Path]:
    """A temporary folder that every user may enter."""
    folder = Path(tempfile.mkdtemp(prefix="proa-"))
    folder.chmod(0o755)
    try:
        yield folder
    finally:
        shutil.rmtree(folder, ignore_errors=True)


@pytest.fixture(scope="session", params=HULLS)
def shared_box(request: pytest.FixtureRequest, image_tar: Path) -> Iterator[Box]:
    """One engine for all behaviour tests of a hull."""
    if request.param == "docker":
        yield request.getfixturevalue("docker_box")
        return
    try:
        with proa(image_tar, request.param) as box:
            yield box
    except Unplayable as problem:
        pytest.skip(str(problem))


@pytest.fixture
def box(shared_box: Box) -> Iterator[Box]:
    """That engine, with no container before and after."""
    yield shared_box
    shared_box.clean()


@pytest.fixture
def proa_box(box: Box) -> Box:
    """For behaviour that is ours alone."""
    if box.is_docker:
        pytest.skip("not Docker's behaviour")
    return box


@pytest.fixture(scope="session")
def docker_box(image_tar: Path) -> Iterator[Box]:
    """The judge, for tests that compare."""
    try:
        with docker(image_tar) as box:
            yield box
    except peers.Missing as problem:
        pytest.skip(f"dockerd: {problem}")


@pytest.fixture(scope="session")
def answers(request: pytest.FixtureRequest) -> Iterator[Answers]:
    """What the judge shows for command lines. PROA_TEST_ANSWERS: a folder that several processes share."""
    with open_folder() as own:
        folder = Path(os.environ.get("PROA_TEST_ANSWERS") or own)
        yield Answers(folder, lambda: request.getfixturevalue("docker_box"))
