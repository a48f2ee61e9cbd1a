"""The coverage that `make cover` has measured, from the reports of its two tools."""

from __future__ import annotations

import json
from pathlib import Path

from compliance.errors import Unusable
from compliance.result import Status


def rust(lcov: Path) -> float:
    """Percent of the lines in an LCOV report: `LF` counts them, `LH` those that ran."""
    found = hit = 0
    for line in _text(lcov).splitlines():
        kind, _, count = line.partition(":")
        found += int(count) if kind == "LF" else 0
        hit += int(count) if kind == "LH" else 0
    if not found:
        raise Unusable(f"{lcov}: no lines are counted in it")
    return round(100 * hit / found, 2)


def python(report: Path) -> float:
    """Percent in the JSON report of coverage.py."""
    try:
        return round(float(json.loads(_text(report))["totals"]["percent_covered"]), 2)
    except (ValueError, KeyError, TypeError) as error:
        raise Unusable(f"{report}: no report of coverage.py: {error!r}") from None


def judged(rust_percent: float, python_percent: float, percent_min: float) -> tuple[Status, str]:
    """Outcome and reason: the lower of the two decides."""
    lowest = min(rust_percent, python_percent)
    if lowest < percent_min:
        return Status.FAIL, f"{lowest}% is below {percent_min}%"
    return Status.PASS, f"both are at or above {percent_min}%"


def _text(path: Path) -> str:
    try:
        return path.read_text(encoding="utf-8")
    except OSError as error:
        raise Unusable(f"{path}: {error.strerror}") from None
