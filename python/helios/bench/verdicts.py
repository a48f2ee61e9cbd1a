"""What a validation says: a table for people, and the same as data."""

from __future__ import annotations

from collections.abc import Iterator

from helios.bench import machine, report
from helios.bench.gates import Judged, Validation
from helios.bench.noise import Noise, worst
from helios.bench.workbench import Workbench

TITLES = ("gate", "target", "measured (95% confidence)", "verdict")
WIDTHS = (28, 26, 44, 8)


def lines_of_header(bench: Workbench, load_before: str) -> Iterator[str]:
    """The machine, and the head of the table."""
    for name, value in report.headers(bench, load_before).items():
        yield f"{name + ':':13}{value}"
    yield ""
    yield _row(TITLES)
    yield "-" * (sum(WIDTHS) + len(WIDTHS) - 1)


def lines_of(judged: Judged) -> Iterator[str]:
    """A gate's row, and its remarks below."""
    yield _row((judged.name, judged.target, judged.measured, judged.word.value))
    for note in judged.notes:
        yield f"    {note}"


def lines_of_end(done: Validation) -> Iterator[str]:
    """What it comes to."""
    noise = _noise(done)
    yield ""
    yield f"load after:  {machine.load_average()}"
    if noise is not None:
        yield f"noise:       {noise.describe()} (the worst of all)"
    if done.partial:
        yield f"PARTIAL:     {done.partial}"
    yield f"verdict:     {done.verdict}"


def _noise(done: Validation) -> Noise | None:
    results = [each.result for each in done.judged if each.result is not None]
    return worst(result.noise for result in results if result.noise is not None)


def as_data(bench: Workbench, done: Validation, load_before: str) -> dict[str, object]:
    """The validation as JSON has it, with every sample."""
    noise = _noise(done)
    return {
        "format": report.FORMAT,
        "partial": done.partial,
        "verdict": done.verdict,
        "machine_class": machine.kind(),
        **report.headers(bench, load_before),
        "load after": machine.load_average(),
        "noise": report.noise_data(noise),
        "contents": bench.contents,
        "content_hash": bench.content_hash,
        "gates": [
            {
                "name": each.name,
                "target": each.target,
                "measured": each.measured,
                "verdict": each.word.value,
                "notes": list(each.notes),
            }
            for each in done.judged
        ],
        "figures": [
            report.figure_data(each.result) for each in done.judged if each.result is not None
        ],
    }


def _row(cells: tuple[str, ...]) -> str:
    return " ".join(cell.ljust(width) for cell, width in zip(cells, WIDTHS, strict=True)).rstrip()
