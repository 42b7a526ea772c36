"""``proa doctor``: the host's row of the ladder, what is missing, what it costs and how to get it.

A program of its own, which works with no engine. Exit code 1 when the hull that was asked for cannot be had, or, where
none was asked for, when neither can.
"""

from __future__ import annotations

import argparse
import dataclasses
import json
import os
import sys
from collections.abc import Iterable

from .. import NAME
from ..errors import ProaError
from ..places import find
from .diagnosis import Diagnosis, Finding, diagnose

_MARKS = {"yes": "yes", "no": "NO", "limited": "partly"}
_HULLS = {"process": "container", "container": "container", "vm": "vm", "hyperv": "vm"}


def main(argv: list[str] | None = None) -> None:
    """Entry point; ends with SystemExit: 0, 1 (the hull is missing), or an error's exit code."""
    options = _options(sys.argv[1:] if argv is None else argv)
    try:
        diagnosis = diagnose(find(options.root))
    except ProaError as problem:
        print(f"{NAME}: {problem.what}", file=sys.stderr)
        sys.exit(problem.exit)
    if options.json:
        print(json.dumps(as_json(diagnosis)))
    else:
        print("\n".join(table(diagnosis)))
    sys.exit(0 if can(diagnosis, options.isolation) else 1)


def can(diagnosis: Diagnosis, isolation: str) -> bool:
    """Can the asked hull be had? "" and "default": any of them."""
    wanted = _HULLS.get(isolation)
    hulls = [diagnosis.hulls[wanted]] if wanted else list(diagnosis.hulls.values())
    return any(hull.state != "no" for hull in hulls)


def as_json(diagnosis: Diagnosis) -> dict[str, object]:
    """For ``--json``: {row, hulls: {container, vm}, findings: […]}."""
    return dataclasses.asdict(diagnosis)


def table(diagnosis: Diagnosis) -> list[str]:
    """The lines that a person reads."""
    uname = os.uname()
    head = f"this host: {diagnosis.row} (Linux {uname.release}, {uname.machine}, uid {os.getuid()})"
    rows = [*diagnosis.hulls.values(), *diagnosis.findings]
    width = max(len(row.name) for row in rows)
    lines = [head, ""]
    lines += _lines(diagnosis.hulls.values(), width)
    lines.append("")
    lines += _lines(diagnosis.findings, width)
    return lines


def _lines(findings: Iterable[Finding], width: int) -> list[str]:
    lines = []
    for finding in findings:
        cost = f" ({finding.cost})" if finding.cost else ""
        lines.append(f"{finding.name:<{width}}  {_MARKS[finding.state]:<6}  {finding.why}{cost}")
        if finding.next and finding.state != "yes":
            lines.append(f"{'':<{width}}          → {finding.next}")
    return lines


def _options(argv: list[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog=f"{NAME} doctor", description="Say what this host can run, what is missing, and how to get it."
    )
    parser.add_argument("--json", action="store_true", help="print everything as JSON")
    parser.add_argument(
        "--isolation", default="", choices=["", "default", *_HULLS], help="exit 1 when this hull cannot be had"
    )
    parser.add_argument("--root", default="", metavar="DIR", help="the engine's directories lie below DIR")
    return parser.parse_args(argv)
