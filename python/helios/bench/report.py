"""What a run says: a table for people, and the same as data."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import asdict

import helios
from helios.bench import machine
from helios.bench.figure import FLOOR, GIT, Limit, Result, Verdict
from helios.bench.workbench import Workbench

TITLES = ("figure", "measured", "must", "", "aim", "", FLOOR, GIT)
WIDTHS = (50, 12, 18, 7, 24, 7, 11, 11)


def number(value: float) -> str:
    """Three or more digits that say something."""
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 2 if abs(value) >= 1 else 3
    return f"{value:.{digits}f}"


def headers(bench: Workbench, load_before: str) -> dict[str, str]:
    """The machine, the programs and the sizes, by name."""
    return {
        "machine": machine.describe(),
        "load before": load_before,
        "directory": f"{bench.directory} ({machine.file_system(bench.directory)})",
        "helios": helios.__version__,
        "python": platform.python_version(),
        "git": bench.programs.git_version(),
        "seed": str(bench.seed),
        "sizes": ", ".join(f"{name} {value}" for name, value in asdict(bench.sizes).items()),
    }


def lines_of_header(bench: Workbench, load_before: str) -> Iterator[str]:
    """The head of the table."""
    for name, value in headers(bench, load_before).items():
        yield f"{name + ':':13}{value}"
    yield ""
    yield _row(TITLES)
    yield "-" * (sum(WIDTHS) + len(WIDTHS) - 1)


def lines_of(result: Result) -> Iterator[str]:
    """A figure's row, and its remarks below."""
    figure, measured = result.figure, result.measured
    references = dict(measured.references) if measured else {}
    unit = figure.unit
    cells = [
        figure.name,
        f"{number(measured.value)} {unit}" if measured else "unknown",
        *_limit(figure.must, result.must, unit),
        *_limit(figure.aim, result.aim, unit),
        *(number(references.pop(name)) if name in references else "-" for name in (FLOOR, GIT)),
    ]
    yield _row(cells)
    if result.unknown:
        yield f"    unknown: {result.unknown}"
    if result.failure:
        yield f"    FAILED: {result.failure}"
    if references:
        yield "    " + ", ".join(f"{name}: {number(v)} {unit}" for name, v in references.items())
    for note in measured.notes if measured else ():
        yield f"    {note}"


def lines_of_end(bench: Workbench, results: list[Result]) -> Iterator[str]:
    """What it comes to."""
    yield ""
    yield f"load after:  {machine.load_average()}"
    yield f"content:     sha256 {bench.content_hash} (of {len(bench.contents)} ids)"
    yield f"took:        {sum(result.seconds for result in results):.0f} s"
    for name, verdicts in (
        ("must", [result.must for result in results]),
        ("aim", [result.aim for result in results]),
    ):
        counts = {each: verdicts.count(each) for each in Verdict if each is not Verdict.NONE}
        yield f"{name + ':':13}{', '.join(f'{n} {each.value}' for each, n in counts.items())}"
    if failed := [result.figure.name for result in results if result.failure]:
        yield f"failed:      {'; '.join(failed)}"


def as_data(bench: Workbench, load_before: str, results: list[Result]) -> dict[str, object]:
    """The run as JSON has it: durations in the unit of each figure."""
    return {
        **headers(bench, load_before),
        "load after": machine.load_average(),
        "contents": bench.contents,
        "content_hash": bench.content_hash,
        "figures": [
            {
                "name": result.figure.name,
                "unit": result.figure.unit,
                "value": result.measured.value if result.measured else None,
                "references": result.measured.references if result.measured else {},
                "must": _as_text(result.figure.must, result.figure.unit),
                "must_verdict": result.must.value,
                "aim": _as_text(result.figure.aim, result.figure.unit),
                "aim_verdict": result.aim.value,
                "notes": list(result.measured.notes) if result.measured else [],
                "unknown": result.unknown,
                "failure": result.failure,
                "seconds": result.seconds,
            }
            for result in results
        ],
    }


def _as_text(limit: Limit | None, unit: str) -> str | None:
    return None if limit is None else limit.text(unit)


def _limit(limit: Limit | None, verdict: Verdict, unit: str) -> tuple[str, str]:
    return (_as_text(limit, unit) or "-", "" if limit is None else verdict.value)


def _row(cells: list[str] | tuple[str, ...]) -> str:
    return " ".join(cell.ljust(width) for cell, width in zip(cells, WIDTHS, strict=True)).rstrip()
