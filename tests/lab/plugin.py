"""A plugin of the host's pytest (``-p lab.plugin``): what is collected here runs in the lab, each file in a fresh one.

Collection is the host's; setup, call and teardown happen inside, and their reports are the host's results. A failure
shows the traceback and journal from inside and the end of the serial log.
"""

from __future__ import annotations

import json
import os
from collections.abc import Generator
from contextlib import ExitStack

import pytest

from support import peers

from .agent import Silent
from .machine import Lost, Machine
from .saved import ENVIRONMENT, PLUG, PYTEST, Session

QUIET = 2400
"""Seconds without a word from inside after which a machine is given up: a test's own deadline is well below."""
COMMAND = [*PYTEST, "-p", "lab.guest.reporter", "--durations=0"]


FAILURES = (peers.Missing, Lost, Silent, RuntimeError)


class Lab:
    """The machines of one run. The session is made when the first test needs it."""

    def __init__(self) -> None:
        self._session: Session | None = None
        self._broken: Exception | None = None
        self._file: FileRun | None = None

    def reports(self, item: pytest.Item) -> list[pytest.TestReport]:
        """The reports of one test's phases; starts its file's machine with the file's first test."""
        name = _file(item)
        if self._file is None or self._file.name != name:
            self.end_file()
            nodes = [other.nodeid for other in item.session.items if _file(other) == name]
            self._file = FileRun(item.config, self._machines(), name, nodes)
        return self._file.reports(item)

    def _machines(self) -> Session:
        """What could not be had once is not tried again for each test."""
        if self._broken:
            raise self._broken
        if self._session is None:
            try:
                self._session = Session()
            except FAILURES as problem:
                self._broken = problem
                raise
        return self._session

    def end_file(self) -> None:
        if self._file:
            self._file.end()
        self._file = None

    def end(self) -> None:
        self.end_file()
        if self._session:
            self._session.end()


class FileRun:
    """One machine, in which one file's tests run in one pytest."""

    def __init__(self, config: pytest.Config, machines: Session, name: str, nodes: list[str]) -> None:
        self.name = name
        self._config = config
        self._stack = ExitStack()
        self._machine: Machine = self._stack.enter_context(machines.machine())
        self._found: dict[str, list[pytest.TestReport]] = {}
        self._out = ""
        hulls = {"PROA_TEST_HULLS": "container", **_asked()}
        self._machine.agent.begin([*COMMAND, *nodes], {**ENVIRONMENT, **hulls}, PLUG)
        self._messages = self._machine.agent.messages(QUIET)

    def reports(self, item: pytest.Item) -> list[pytest.TestReport]:
        """Waits for them. What never comes is a failure that says what was seen instead."""
        try:
            while not self._is_over(item.nodeid):
                self._take(next(self._messages))
        except StopIteration:
            return [
                *self._found.get(item.nodeid, []),
                _failure(item, f"it never ran; pytest inside said:\n{self._out}"),
            ]
        except (Silent, OSError) as problem:
            return [*self._found.get(item.nodeid, []), _failure(item, f"{problem}\n{self._out}\n{self._words()}")]
        found = self._found.pop(item.nodeid)
        for report in found:
            if report.failed:
                report.sections.append(("serial log of the lab", self._words()))
        return found

    def _is_over(self, node: str) -> bool:
        return any(report.when == "teardown" for report in self._found.get(node, []))

    def _take(self, message: dict[str, object]) -> None:
        self._out = (self._out + str(message.get("out", "")))[-20_000:]
        if "line" in message:
            data = json.loads(str(message["line"]))
            report = self._config.hook.pytest_report_from_serializable(config=self._config, data=data)
            self._found.setdefault(report.nodeid, []).append(report)

    def _words(self) -> str:
        return self._machine.last_words()

    def end(self) -> None:
        self._stack.close()


def _asked() -> dict[str, str]:
    """Settings of the tests that hold inside as well."""
    return {name: value for name, value in os.environ.items() if name in ("PROA_TEST_HULLS", "PROA_KILL_SEED")}


def _file(item: pytest.Item) -> str:
    return item.nodeid.partition("::")[0]


def _failure(item: pytest.Item, text: str) -> pytest.TestReport:
    keywords = dict.fromkeys(item.keywords, 1)
    return pytest.TestReport(item.nodeid, item.location, keywords, "failed", text, "call")


LAB = pytest.StashKey[Lab]()


def pytest_configure(config: pytest.Config) -> None:
    config.stash[LAB] = Lab()


@pytest.hookimpl(wrapper=True, tryfirst=True)
def pytest_collection_modifyitems(items: list[pytest.Item]) -> Generator[None, None, None]:
    """Whatever order others want: a file's tests follow each other, since they share a machine."""
    yield
    first: dict[str, int] = {}
    for item in items:
        first.setdefault(_file(item), len(first))
    items.sort(key=lambda item: first[_file(item)])


@pytest.hookimpl(tryfirst=True)
def pytest_runtest_protocol(item: pytest.Item) -> bool:
    """Instead of the item's own setup, call and teardown."""
    item.ihook.pytest_runtest_logstart(nodeid=item.nodeid, location=item.location)
    for report in _reports(item):
        item.ihook.pytest_runtest_logreport(report=report)
    item.ihook.pytest_runtest_logfinish(nodeid=item.nodeid, location=item.location)
    return True


def _reports(item: pytest.Item) -> list[pytest.TestReport]:
    lab = item.config.stash[LAB]
    try:
        return lab.reports(item)
    except FAILURES as problem:
        return [_failure(item, f"no machine: {problem}")]


def pytest_unconfigure(config: pytest.Config) -> None:
    config.stash[LAB].end()
