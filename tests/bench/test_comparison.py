"""Two runs: what has become slower is told from noise, by ratio to the floor."""

from __future__ import annotations

import json
import random
from pathlib import Path
from typing import Any

import pytest

from helios.bench import comparison
from helios.bench.comparison import Word
from helios.bench.figure import FLOOR, HELIOS
from helios.errors import InvalidInput


def a_run(scale: float = 1.0, machine: float = 1.0, draw: int = 0) -> dict[str, Any]:
    """A run with a timed figure `scale` times as slow, on a machine `machine` times as slow."""
    chance = random.Random(draw)

    def samples(at: float) -> list[list[float]]:
        return [[at * chance.gammavariate(60, 1 / 60) for _ in range(200)] for _ in range(3)]

    figure = {
        "name": "commit p95",
        "unit": "us",
        "value": 20 * scale * machine,
        "statistic": "p50",
        "samples": {HELIOS: samples(20 * scale * machine), FLOOR: samples(6 * machine)},
        "noise": {"loop_us": 40 * machine},
        "refusal": "",
        "unknown": "",
        "failure": "",
    }
    size = {**figure, "name": "bytes", "unit": "B", "value": 1000 * scale, "samples": {}}
    return {
        "format": 1,
        "partial": "",
        "machine_class": "one",
        "seed": "1",
        "sizes": "files 10000",
        "figures": [figure, size],
    }


def words(old: dict[str, Any], new: dict[str, Any]) -> list[Word]:
    return [change.word for change in comparison.compare(old, new).changes]


def test_the_same_again_is_the_same() -> None:
    assert words(a_run(), a_run(draw=1)) == [Word.SAME, Word.SAME]


def test_a_slower_machine_is_no_regression() -> None:
    assert words(a_run(), a_run(machine=1.6, draw=1)) == [Word.SAME, Word.SAME]


def test_a_regression_is_found_and_an_improvement_too() -> None:
    found = comparison.compare(a_run(), a_run(scale=1.25, machine=0.7, draw=1))
    assert [change.word for change in found.changes] == [Word.WORSE, Word.WORSE]
    interval = found.changes[0].interval
    assert interval is not None
    assert interval.low < 1.25 < interval.high
    assert found.worse
    assert words(a_run(scale=1.25), a_run(draw=1)) == [Word.BETTER, Word.BETTER]
    said = "\n".join(comparison.lines(found))
    assert "2 worse, 0 better" in said
    data = comparison.as_data(found)
    assert data["worse"] is True


def test_a_change_below_the_bound_does_not_count() -> None:
    assert words(a_run(), a_run(scale=1.03, draw=1)) == [Word.SAME, Word.SAME]


def test_no_verdict_where_one_of_the_runs_was_too_noisy() -> None:
    new = a_run(scale=2.0, draw=1)
    new["figures"][0]["refusal"] = "steal time 9.0%"
    assert words(a_run(), new) == [Word.REFUSED, Word.WORSE]


def test_what_was_not_measured_is_unknown_and_a_figure_of_one_run_is_named() -> None:
    new = a_run(draw=1)
    new["figures"][0] |= {"value": None, "failure": "disk full"}
    new["figures"].append({**new["figures"][1], "name": "another"})
    found = comparison.compare(a_run(), new)
    assert [change.word for change in found.changes] == [Word.UNKNOWN, Word.SAME]
    assert "disk full" in found.changes[0].reason
    assert "only in one run: another" in found.notes


@pytest.mark.parametrize("name", ["machine_class", "seed", "sizes"])
def test_runs_that_do_not_compare_are_refused(name: str) -> None:
    with pytest.raises(InvalidInput, match=name):
        comparison.compare(a_run(), a_run() | {name: "2"})


@pytest.mark.parametrize("text", ["", "{", "[]", "{}", '{"figures": [], "format": 99}'])
def test_a_file_that_is_no_run_is_refused(text: str, tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text(text)
    with pytest.raises(InvalidInput, match=r"run\.json"):
        comparison.load(path)


def test_a_saved_run_is_read(tmp_path: Path) -> None:
    path = tmp_path / "run.json"
    path.write_text(json.dumps(a_run()))
    assert comparison.load(path) == a_run()
