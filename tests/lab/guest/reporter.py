"""A plugin of the pytest inside: each report goes to the host as one line of JSON, a failure with the journal."""

from __future__ import annotations

import json
import os
import subprocess
import time
from collections.abc import Generator

import pytest


class Reporter:
    """``lines``: the descriptor that the agent reads."""

    def __init__(self, config: pytest.Config, lines: int) -> None:
        self._config = config
        self._lines = lines
        self._began = 0.0

    def pytest_runtest_logstart(self, nodeid: str) -> None:
        self._began = time.time()

    @pytest.hookimpl(wrapper=True)
    def pytest_runtest_makereport(self) -> Generator[None, pytest.TestReport, pytest.TestReport]:
        report = yield
        if report.failed:
            report.sections.append(("journal of the lab", _journal(self._began)))
        return report

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        data = self._config.hook.pytest_report_to_serializable(config=self._config, report=report)
        line = json.dumps(data, default=str).encode() + b"\n"
        while line:
            line = line[os.write(self._lines, line) :]


def _journal(since: float) -> str:
    command = ["journalctl", "--no-pager", "--output=short-precise", f"--since=@{since:.0f}"]
    return subprocess.run(command, capture_output=True, text=True, errors="replace").stdout[-20_000:]


def pytest_configure(config: pytest.Config) -> None:
    lines = int(os.environ.get("PROA_LAB_LINES", "-1"))
    if lines >= 0:
        config.pluginmanager.register(Reporter(config, lines), "proa-lab-reporter")
