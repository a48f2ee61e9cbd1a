"""What a run says: a table for people, and the same as data."""

from __future__ import annotations

import platform
from collections.abc import Iterator
from dataclasses import asdict

import helios
from helios.bench import machine
from helios.bench.figure import FLOOR, GIT, Limit, Result, Verdict
from helios.bench.inference import Analysis, Interval, available
from helios.bench.noise import Noise
from helios.bench.run import Run
from helios.bench.workbench import Workbench

FORMAT = 1
"""Of the data: raised when what a name means changes."""

TITLES = ("figure", "measured", "must", "", "aim", "", FLOOR, GIT)
WIDTHS = (50, 12, 18, 8, 24, 8, 11, 11)
DECIMALS = 4


def number(value: float) -> str:
    """Three or more digits that say something."""
    digits = 0 if abs(value) >= 1000 else 1 if abs(value) >= 100 else 2 if abs(value) >= 1 else 3
    return f"{value:.{digits}f}"


def headers(bench: Workbench, load_before: str) -> dict[str, str]:
    """The machine, the programs and the sizes, by name."""
    found = {
        "machine": machine.describe(),
        "load before": load_before,
        "directory": f"{bench.directory} ({machine.file_system(bench.directory)})",
        "helios": helios.__version__,
        "python": platform.python_version(),
        "git": bench.programs.git_version(),
        "seed": str(bench.seed),
        "sizes": ", ".join(f"{name} {value}" for name, value in asdict(bench.sizes).items()),
    }
    if reason := available():
        found["intervals"] = f"none: {reason}"
    return found


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
    if measured and result.analysis:
        yield from (f"    {line}" for line in analysed(result.analysis, measured.statistic, unit))
    for note in measured.notes if measured else ():
        yield f"    {note}"
    if result.refusal and (figure.must or figure.aim):
        yield f"    no verdict, the machine was too noisy: {result.refusal}"


def analysed(analysis: Analysis, statistic: str, unit: str) -> Iterator[str]:
    """Intervals, ratios and outliers in words."""
    if analysis.intervals:
        said = (f"{name} {spread(found)}" for name, found in analysis.intervals.items())
        yield f"{statistic}, 95% confidence: {', '.join(said)} {unit}"
    for name, ratio in analysis.ratios.items():
        sure = "" if ratio.interval is None else f" ({spread(ratio.interval)})"
        better = ""
        if ratio.superiority is not None:
            better = f"; a sample is below its with probability {ratio.superiority:.2f}"
        yield f"{number(ratio.value)}{sure} x {name}{better}"
    for name, outliers in analysis.outliers.items():
        if outliers.count:
            yield (
                f"{name}: {outliers.count} outliers above {number(outliers.above)}, the worst "
                f"{number(outliers.worst)} {unit}; they are counted"
            )


def spread(interval: Interval) -> str:
    """`23.1 to 24.9`."""
    return f"{number(interval.low)} to {number(interval.high)}"


def lines_of_end(run: Run) -> Iterator[str]:
    """What it comes to."""
    bench, results = run.bench, run.results
    yield ""
    yield f"load after:  {machine.load_average()}"
    yield f"noise:       {run.noise.describe() if run.noise else 'unknown'} (the worst of all)"
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
    if run.partial:
        yield f"PARTIAL:     {run.partial}; not measured: {'; '.join(run.unmeasured)}"


def as_data(run: Run) -> dict[str, object]:
    """The run as JSON has it: durations in the unit of each figure, and every sample."""
    bench = run.bench
    return {
        "format": FORMAT,
        "partial": run.partial,
        "unmeasured": run.unmeasured,
        "machine_class": machine.kind(),
        **headers(bench, run.load_before),
        "load after": machine.load_average(),
        "noise": noise_data(run.noise),
        "contents": bench.contents,
        "content_hash": bench.content_hash,
        "figures": [figure_data(result) for result in run.results],
    }


def noise_data(noise: Noise | None) -> dict[str, object] | None:
    """The noise by name, and what was too much of it."""
    return None if noise is None else {**asdict(noise), "excess": noise.excess}


def figure_data(result: Result) -> dict[str, object]:
    """A figure as JSON has it."""
    figure, measured = result.figure, result.measured
    return {
        "suite": result.suite,
        "name": figure.name,
        "unit": figure.unit,
        "value": measured.value if measured else None,
        "references": measured.references if measured else {},
        "statistic": measured.statistic if measured and measured.samples else None,
        "must": _as_text(figure.must, figure.unit),
        "must_verdict": result.must.value,
        "aim": _as_text(figure.aim, figure.unit),
        "aim_verdict": result.aim.value,
        "notes": list(measured.notes) if measured else [],
        "unknown": result.unknown,
        "failure": result.failure,
        "seconds": result.seconds,
        "noise": noise_data(result.noise),
        "refusal": result.refusal,
        **({} if result.analysis is None else asdict(result.analysis)),
        # A nanosecond is the third place of a microsecond.
        "samples": {
            name: [[round(each, DECIMALS) for each in samples] for samples in series]
            for name, series in (measured.samples if measured else {}).items()
        },
        "charts": [asdict(chart) for chart in measured.charts] if measured else [],
    }


def _as_text(limit: Limit | None, unit: str) -> str | None:
    return None if limit is None else limit.text(unit)


def _limit(limit: Limit | None, verdict: Verdict, unit: str) -> tuple[str, str]:
    return (_as_text(limit, unit) or "-", "" if limit is None else verdict.value)


def _row(cells: list[str] | tuple[str, ...]) -> str:
    return " ".join(cell.ljust(width) for cell, width in zip(cells, WIDTHS, strict=True)).rstrip()
