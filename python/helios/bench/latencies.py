"""Latencies: all samples, in the order and the rounds in which they were taken.

Nothing is put into buckets and nothing is dropped: a percentile is that of all samples, outliers
included, and is one of them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from time import perf_counter

NS_PER_US = 1000.0

Series = list[list[float]]
"""Samples in rounds, between which something else was measured."""


def percentile(samples: Sequence[float], fraction: float) -> float:
    """The nearest-rank percentile: the smallest sample that `fraction` of all do not exceed."""
    ordered = sorted(samples)
    return ordered[rank(len(ordered), fraction)]


def rank(count: int, fraction: float) -> int:
    """Where the nearest-rank percentile stands among so many ordered samples, from 0."""
    return max(1, math.ceil(fraction * count)) - 1


def fraction_of(statistic: str) -> float | None:
    """Of `p95` 0.95; None for `mean`, which is no percentile."""
    return None if statistic == "mean" else float(statistic.removeprefix("p")) / 100


def statistic_of(series: Series, statistic: str) -> float:
    """The statistic over all samples of all rounds."""
    samples = [each for samples in series for each in samples]
    fraction = fraction_of(statistic)
    return sum(samples) / len(samples) if fraction is None else percentile(samples, fraction)


class Rounds:
    """Samples in nanoseconds, in rounds between which something else was measured."""

    def __init__(self) -> None:
        """Begins without any round."""
        self._rounds: list[list[int]] = []

    def add(self, samples: list[int]) -> None:
        """Adds a round."""
        self._rounds.append(samples)

    def __len__(self) -> int:
        return sum(map(len, self._rounds))

    @property
    def us(self) -> Series:
        """The samples in microseconds."""
        return [[each / NS_PER_US for each in samples] for samples in self._rounds]

    def percentile_us(self, fraction: float) -> float:
        """The percentile over all samples of all rounds, in microseconds."""
        return percentile([each for samples in self._rounds for each in samples], fraction) / 1000

    def describe(self) -> str:
        """`p50 12.3, p95 14.5, p99 20.1 us (3000 samples); p95 of the rounds 13.9 to 15.2`."""
        values = ", ".join(f"p{100 * f:g} {self.percentile_us(f):.1f}" for f in (0.5, 0.95, 0.99))
        said = f"{values} us ({len(self)} samples)"
        if len(self._rounds) > 1:
            each = [percentile(samples, 0.95) / NS_PER_US for samples in self._rounds]
            said += f"; p95 of the rounds {min(each):.1f} to {max(each):.1f}"
        return said


def seconds_of(work: Callable[[], object]) -> float:
    """How long `work` takes, in seconds."""
    start = perf_counter()
    work()
    return perf_counter() - start
