"""What is said of samples is what statistics allows: intervals, ratios, outliers, changes."""

from __future__ import annotations

import random

import pytest

from helios.bench import inference
from helios.bench.figure import HELIOS, Measured, Unmeasurable
from helios.bench.latencies import Series, statistic_of


def drawn(seed: int, count: int = 600, scale: float = 1.0) -> Series:
    chance = random.Random(seed)
    return [[scale * chance.gammavariate(9, 2) for _ in range(count // 3)] for _ in range(3)]


@pytest.mark.parametrize("statistic", ["p50", "p95", "mean"])
def test_an_interval_holds_the_truth_about_as_often_as_it_promises(statistic: str) -> None:
    truth = statistic_of([drawn(999, 300_000)[0]], statistic)
    found = [inference.interval_of(drawn(seed), statistic, seed) for seed in range(30)]
    held = sum(1 for each in found if each is not None and each.low <= truth <= each.high)
    assert held >= 24
    assert all(each is not None and each.low < each.high for each in found)


def test_samples_that_resemble_their_neighbours_make_a_wider_interval() -> None:
    chance = random.Random(5)
    walk, level = [], 100.0
    for _ in range(600):
        level = 0.98 * level + 2 + chance.gauss(0, 1)
        walk.append(level)
    shuffled = chance.sample(walk, len(walk))
    widths = []
    for samples in (walk, shuffled):
        interval = inference.interval_of([samples], "mean", 1)
        assert interval is not None
        widths.append(interval.high - interval.low)
    assert widths[0] > 1.5 * widths[1]


def test_too_few_samples_have_no_interval() -> None:
    assert inference.interval_of([[1.0, 2.0, 3.0, 4.0]], "p50", 1) is None


def test_a_ratio_has_its_interval_and_the_probability_of_being_lower() -> None:
    ratio = inference.ratio_of(drawn(1), drawn(2, scale=2.0), "p50", 1)
    assert ratio.interval is not None
    assert ratio.interval.low < ratio.value < ratio.interval.high < 0.7
    assert ratio.superiority is not None
    assert ratio.superiority > 0.9
    same = inference.ratio_of(drawn(1), drawn(2), "p50", 1)
    assert same.interval is not None
    assert same.interval.low < 1 < same.interval.high
    assert same.superiority == pytest.approx(0.5, abs=0.06)


def test_outliers_are_counted_and_not_removed() -> None:
    series = [[10.0] * 50 + [11.0] * 50 + [500.0, 900.0]]
    found = inference.outliers_of(series)
    assert (found.count, found.worst) == (2, 900.0)
    assert statistic_of(series, "p99") == 500.0


def test_a_slope_is_told_from_none() -> None:
    chance = random.Random(3)
    flat = {float(x): [[20 + chance.gauss(0, 1) for _ in range(200)]] for x in range(2, 6)}
    slope, interval = inference.slope_of(flat, 1)
    assert interval.low < 0 < interval.high
    assert abs(slope) < 0.3
    steep = {x: [[each + 2 * x for each in series[0]]] for x, series in flat.items()}
    _, interval = inference.slope_of(steep, 1)
    assert 1.5 < interval.low < 2 < interval.high < 2.5
    with pytest.raises(Unmeasurable, match="too few samples"):
        inference.slope_of({1.0: [[1.0]], 2.0: [[1.0]]}, 1)


def test_everything_is_said_of_each_that_was_measured() -> None:
    measured = Measured.of("p95", {HELIOS: drawn(1), "other": drawn(2)})
    found = inference.analyse(measured, 1)
    assert found.intervals.keys() == found.outliers.keys() == {HELIOS, "other"}
    assert found.ratios.keys() == {"other"}
    again = inference.analyse(measured, 1)
    assert again == found


def test_without_scipy_there_are_no_intervals_and_it_is_said(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def missing(name: str) -> object:
        raise ImportError(name)

    inference.scipy_stats.cache_clear()
    monkeypatch.setattr(inference, "import_module", missing)
    try:
        assert "pip install 'helios-engine[bench]'" in inference.available()
        found = inference.analyse(Measured.of("p50", {HELIOS: drawn(1), "other": drawn(2)}), 1)
        assert not found.intervals
        assert found.ratios["other"].interval is None
        with pytest.raises(Unmeasurable):
            inference.interval_of(drawn(1), "p50", 1)
    finally:
        inference.scipy_stats.cache_clear()
