"""Timings and how they are shown: percentiles, goals, one table."""

from __future__ import annotations

import json
import statistics
from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, field


@dataclass
class Series:
    """Timings of one thing, in ms unless ``unit`` says otherwise."""

    name: str
    unit: str = "ms"
    values: list[float] = field(default_factory=list)

    def add(self, value: float) -> None:
        self.values.append(value)

    def at(self, share: float) -> float:
        """The value below which ``share`` of the values lie."""
        ordered = sorted(self.values)
        return ordered[min(len(ordered) - 1, int(len(ordered) * share))]

    @property
    def median(self) -> float:
        return statistics.median(self.values)

    def row(self) -> str:
        numbers = [min(self.values), self.at(0.1), self.median, self.at(0.9)]
        return (
            f"{self.name:<52} "
            + " ".join(f"{number:9.2f}" for number in numbers)
            + f"  {len(self.values):4} {self.unit}"
        )


@dataclass(frozen=True)
class Goal:
    """A promise: ``found`` must not be above ``limit``."""

    name: str
    found: float
    limit: float
    unit: str = ""

    @property
    def kept(self) -> bool:
        return self.found <= self.limit

    def row(self) -> str:
        return f"{'kept  ' if self.kept else 'MISSED'}  {self.name:<66} {self.found:9.3f} ≤ {self.limit:g} {self.unit}"


class Report:
    """What was measured and promised; printed at the end, as a table or as JSON."""

    def __init__(self) -> None:
        self.series: dict[str, Series] = {}
        self.goals: list[Goal] = []
        self.notes: list[str] = []

    def of(self, name: str, unit: str = "ms") -> Series:
        return self.series.setdefault(name, Series(name, unit))

    def goal(self, name: str, found: float, limit: float, unit: str = "") -> None:
        self.goals.append(Goal(name, found, limit, unit))

    def ratio(self, name: str, ours: str, theirs: str, limit: float) -> None:
        """Ours may take ``limit`` of theirs, by median."""
        if ours in self.series and theirs in self.series:
            self.goal(name, self.of(ours).median / self.of(theirs).median, limit)

    def text(self) -> str:
        head = f"{'':<52} {'min':>9} {'p10':>9} {'median':>9} {'p90':>9}"
        rows = [series.row() for series in self.series.values() if series.values]
        return "\n".join([head, *rows, "", *(goal.row() for goal in self.goals), "", *self.notes])

    def json(self) -> str:
        told = {
            "series": [asdict(series) for series in self.series.values()],
            "goals": [{**asdict(goal), "kept": goal.kept} for goal in self.goals],
            "notes": self.notes,
        }
        return json.dumps(told, indent=2)


def interleaved(rounds: int, things: Sequence[Callable[[], object]]) -> None:
    """Each thing once a round, so that whatever else this machine does meets all of them alike."""
    for _ in range(rounds):
        for thing in things:
            thing()
