"""Tells the kill test's seed at the end of every run that played it."""

from __future__ import annotations

import pytest

from .plan import SEED


def pytest_terminal_summary(terminalreporter: pytest.TerminalReporter) -> None:
    """Printed, so that a run can be repeated."""
    terminalreporter.write_line(f"kill test: PROA_KILL_SEED={SEED}")
