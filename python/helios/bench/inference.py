"""What samples allow to be said: confidence intervals, ratios with their certainty, outliers.

Intervals are percentile bootstraps by scipy. Neighbouring samples resemble each other, so blocks of
neighbours within a round are drawn, not single samples (Kuensch 1989, with blocks that do not
overlap): to draw single ones would make the intervals too narrow. Where there are fewer than five
samples, or no scipy, there is no interval, and that is said.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from functools import cache
from importlib import import_module
from typing import Any

from helios.bench.figure import HELIOS, Measured, Unmeasurable
from helios.bench.latencies import Series, fraction_of, percentile, rank, statistic_of

CONFIDENCE = 0.95
SAMPLES_MIN = 5
BLOCKS = 60
RESAMPLES = 999
FAR_OUT = 3.0
"""Outliers lie further above the third quartile than so many interquartile ranges (Tukey 1977)."""
MISSING = "scipy is not installed (pip install 'helios-engine[bench]')"


@dataclass(frozen=True)
class Interval:
    """Where the true value lies, with a confidence of 95%."""

    low: float
    high: float


@dataclass(frozen=True)
class Ratio:
    """A statistic of Helios by the same one of somebody else."""

    value: float
    interval: Interval | None
    superiority: float | None
    """The probability that a sample of Helios is below one of the other: 0.5 if they are alike."""


@dataclass(frozen=True)
class Outliers:
    """Samples far above the others: they are counted in all that is said."""

    count: int
    above: float
    worst: float


@dataclass(frozen=True)
class Analysis:
    """What is known of each of those that were measured."""

    intervals: dict[str, Interval] = field(default_factory=dict)
    ratios: dict[str, Ratio] = field(default_factory=dict)
    outliers: dict[str, Outliers] = field(default_factory=dict)


@cache
def scipy_stats() -> Any:
    """The module scipy.stats. Raises `Unmeasurable` if it is not installed."""
    try:
        return import_module("scipy.stats")
    except ImportError as error:
        raise Unmeasurable(MISSING) from error


def available() -> str:
    """Empty, or why there are no intervals."""
    try:
        scipy_stats()
    except Unmeasurable as reason:
        return str(reason)
    return ""


def analyse(measured: Measured, seed: int) -> Analysis:
    """Everything that the figure's samples allow to be said."""
    analysis = Analysis()
    statistic = measured.statistic
    for name, series in measured.samples.items():
        analysis.outliers[name] = outliers_of(series)
        if not available() and (found := interval_of(series, statistic, seed)):
            analysis.intervals[name] = found
    ours = measured.samples.get(HELIOS)
    for name, series in measured.samples.items():
        if ours is not None and name != HELIOS:
            analysis.ratios[name] = ratio_of(ours, series, statistic, seed)
    return analysis


def outliers_of(series: Series) -> Outliers:
    """The samples beyond Tukey's outer fence."""
    samples = [each for samples in series for each in samples]
    low, high = percentile(samples, 0.25), percentile(samples, 0.75)
    fence = high + FAR_OUT * (high - low)
    return Outliers(sum(1 for each in samples if each > fence), fence, max(samples))


def interval_of(series: Series, statistic: str, seed: int) -> Interval | None:
    """The interval of a statistic; None for fewer than five samples. Raises `Unmeasurable`."""
    scipy_stats()
    blocks = _blocks(series)
    if blocks is None:
        return None
    return _bootstrapped([blocks], lambda drawn: _statistic(drawn[0], statistic), seed)


def ratio_of(ours: Series, theirs: Series, statistic: str, seed: int) -> Ratio:
    """The ratio of a statistic, with its interval where there can be one."""
    below = statistic_of(theirs, statistic)
    value = statistic_of(ours, statistic) / below if below else float("inf")
    if available():
        return Ratio(value, None, None)
    interval = None
    blocks = _blocks(ours), _blocks(theirs)
    if blocks[0] is not None and blocks[1] is not None:
        interval = _bootstrapped(
            [blocks[0], blocks[1]],
            lambda drawn: _statistic(drawn[0], statistic) / _statistic(drawn[1], statistic),
            seed,
        )
    return Ratio(value, interval, _superiority(ours, theirs))


def change_of(
    old: tuple[Series, Series | None],
    new: tuple[Series, Series | None],
    statistic: str,
    seed: int,
) -> Interval | None:
    """How a statistic, by that of the floor beside it where there is one, went from old to new.

    1 is no change. None for too few samples. Raises `Unmeasurable`.
    """
    groups = []
    for series in (*new, *old):
        if series is not None:
            blocks = _blocks(series)
            if blocks is None:
                return None
            groups.append(blocks)

    def change(drawn: list[Any]) -> float:
        values = [_statistic(samples, statistic) for samples in drawn]
        half = len(values) // 2
        after, before = values[:half], values[half:]
        if half > 1:
            return after[0] / after[1] / (before[0] / before[1])
        return after[0] / before[0]

    return _bootstrapped(groups, change, seed)


def significance(first: Sequence[float], second: Sequence[float]) -> float:
    """How probable such a difference would be if both came from one source (Mann-Whitney U)."""
    return float(scipy_stats().mannwhitneyu(first, second).pvalue)


def slope_of(medians_at: dict[float, Series], seed: int) -> tuple[float, Interval]:
    """The slope of the least-squares line through the medians at each x, with its interval.

    Raises `Unmeasurable` without scipy, or with too few samples.
    """
    stats, numpy = scipy_stats(), import_module("numpy")
    at = numpy.array(list(medians_at))
    groups = [blocks for series in medians_at.values() if (blocks := _blocks(series))]

    def slope(drawn: list[Any]) -> float:
        medians = [_statistic(samples, "p50") for samples in drawn]
        return float(stats.linregress(at, medians).slope)

    interval = None
    if len(groups) == len(at) > 1:
        interval = _bootstrapped(groups, slope, seed)
    if interval is None:
        raise Unmeasurable("there are too few samples for the slope's interval")
    return slope([numpy.concatenate(blocks) for blocks in groups]), interval


def _superiority(ours: Series, theirs: Series) -> float:
    """The probability of superiority, from U (Vargha and Delaney 2000); ties count half."""
    first = [each for samples in ours for each in samples]
    second = [each for samples in theirs for each in samples]
    above = float(scipy_stats().mannwhitneyu(first, second).statistic)
    return 1 - above / (len(first) * len(second))


def _blocks(series: Series) -> list[Any] | None:
    """Stretches of neighbours, about `BLOCKS` in all; None for too few samples."""
    numpy = import_module("numpy")
    count = sum(map(len, series))
    if count < SAMPLES_MIN:
        return None
    length = max(1, count // BLOCKS)
    return [
        numpy.array(samples[start : start + length])
        for samples in series
        for start in range(0, len(samples), length)
    ]


def _statistic(samples: Any, statistic: str) -> float:
    fraction = fraction_of(statistic)
    if fraction is None:
        return float(samples.mean())
    at = rank(len(samples), fraction)
    samples.partition(at)
    return float(samples[at])


def _bootstrapped(groups: list[list[Any]], of: Any, seed: int) -> Interval | None:
    numpy = import_module("numpy")

    def drawn(*numbers: Any) -> float:
        return float(
            of(
                [
                    numpy.concatenate([blocks[int(at)] for at in chosen])
                    for blocks, chosen in zip(groups, numbers, strict=True)
                ]
            )
        )

    if any(len(blocks) < SAMPLES_MIN for blocks in groups):
        return None
    found = scipy_stats().bootstrap(
        tuple(numpy.arange(len(blocks)) for blocks in groups),
        drawn,
        vectorized=False,
        method="percentile",
        n_resamples=RESAMPLES,
        confidence_level=CONFIDENCE,
        rng=seed,
    )
    bounds = found.confidence_interval
    return Interval(float(bounds.low), float(bounds.high))
