"""Latencies: what many samples, taken in interleaved rounds, say."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from statistics import median
from time import perf_counter

NS_PER_US = 1000.0


def percentile(samples: Sequence[float], fraction: float) -> float:
    """The nearest-rank percentile: the smallest sample that `fraction` of all do not exceed."""
    ordered = sorted(samples)
    rank = max(1, math.ceil(fraction * len(ordered)))
    return ordered[rank - 1]


class Rounds:
    """Samples in nanoseconds, in rounds between which something else was measured.

    A percentile is the median of the rounds' percentiles: a neighbour that disturbs one round does
    not decide. `worst` is over all samples.
    """

    def __init__(self) -> None:
        """Begins without any round."""
        self._rounds: list[list[int]] = []

    def add(self, samples: list[int]) -> None:
        """Adds a round."""
        self._rounds.append(samples)

    def __len__(self) -> int:
        return sum(map(len, self._rounds))

    def percentile_us(self, fraction: float) -> float:
        """The median of the rounds' percentiles, in microseconds."""
        return median(percentile(samples, fraction) for samples in self._rounds) / NS_PER_US

    def pooled_us(self, fraction: float) -> float:
        """The percentile over all samples together, in microseconds."""
        return percentile([each for samples in self._rounds for each in samples], fraction) / 1000

    def describe(self) -> str:
        """`p50 12.3, p95 14.5, p99 20.1 us (3000 samples)`."""
        values = ", ".join(f"p{100 * f:g} {self.percentile_us(f):.1f}" for f in (0.5, 0.95, 0.99))
        return f"{values} us ({len(self)} samples)"


def seconds_of(work: Callable[[], object]) -> float:
    """How long `work` takes, in seconds."""
    start = perf_counter()
    work()
    return perf_counter() - start
