"""The noise of the machine while something was measured, and how much of it a verdict stands.

Three things are looked at, over the time that a figure takes:

- **steal**: the share of processor time that the hypervisor gave to other machines;
- **others**: the share that processes which are not ours took;
- **a fixed loop**, run before and after: how far its median has drifted, and how much slower its
  95th percentile is than its median.

What is above a bound here makes every timed verdict `refused`. The figure is shown all the same.
"""

from __future__ import annotations

import os
import resource
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from time import monotonic, perf_counter_ns

from helios.bench.latencies import percentile

STEAL_PERCENT_MAX = 5.0
OTHERS_PERCENT_MAX = 15.0
DRIFT_PERCENT_MAX = 25.0
SPREAD_MAX = 2.0

TELLING_S = 0.3
"""In less time the system's ticks of 10 ms tell nothing apart."""
LOOP_NUMBERS = 3000
STEAL = 7
BUSY = (0, 1, 2, 5, 6)
"""Columns of the first line of /proc/stat (proc_stat(5)); guests are part of the first two."""


@dataclass(frozen=True)
class Noise:
    """What disturbed the machine meanwhile; None is what this system does not tell."""

    steal_percent: float | None
    others_percent: float | None
    drift_percent: float
    spread: float
    """The 95th percentile of the fixed loop by its median, the worse of before and after."""
    loop_us: float
    """The median of the fixed loop."""

    @property
    def excess(self) -> list[str]:
        """What is above its bound, in words; nothing if a verdict can be given."""
        bounds = (
            (self.steal_percent, STEAL_PERCENT_MAX, "steal time {:.1f}%"),
            (self.others_percent, OTHERS_PERCENT_MAX, "other processes {:.1f}% of the processors"),
            (self.drift_percent, DRIFT_PERCENT_MAX, "the fixed loop drifted by {:.1f}%"),
            (self.spread, SPREAD_MAX, "the fixed loop's p95 is {:.2f} x its median"),
        )
        return [
            f"{said.format(value)} (at most {most:g})"
            for value, most, said in bounds
            if value is not None and value > most
        ]

    def describe(self) -> str:
        """All of it in one line."""
        steal = "unknown" if self.steal_percent is None else f"{self.steal_percent:.1f}%"
        others = "unknown" if self.others_percent is None else f"{self.others_percent:.0f}%"
        return (
            f"steal {steal}, other processes {others}, fixed loop {self.loop_us:.1f} us, "
            f"drift {self.drift_percent:.0f}%, p95 {self.spread:.2f} x p50"
        )


def worst(noises: Iterable[Noise]) -> Noise | None:
    """The worst of each over several stretches of time."""
    found = list(noises)
    if not found:
        return None

    def most(values: Iterable[float | None]) -> float | None:
        return max((value for value in values if value is not None), default=None)

    return Noise(
        most(each.steal_percent for each in found),
        most(each.others_percent for each in found),
        max(each.drift_percent for each in found),
        max(each.spread for each in found),
        max(each.loop_us for each in found),
    )


class Listening:
    """Begins to listen when it is made."""

    def __init__(self, loop_s: float) -> None:
        """Runs the fixed loop for `loop_s` seconds."""
        self._loop_s = loop_s
        self._begun = monotonic()
        self._ticks = _ticks()
        self._own_s = _own_s()
        self._loop = fixed_loop(loop_s)

    def end(self) -> Noise:
        """What there was since the beginning."""
        # The loops are within the time that is looked at: however short the work between them is,
        # there are ticks enough to tell.
        loop = fixed_loop(self._loop_s)
        ticks, own_s = _ticks(), _own_s() - self._own_s
        elapsed_s = monotonic() - self._begun
        steal = others = None
        if ticks is not None and self._ticks is not None:
            passed = [after - before for before, after in zip(self._ticks, ticks, strict=True)]
            total = max(1, sum(passed[: STEAL + 1]))
            steal = 100 * passed[STEAL] / total
            busy_s = sum(passed[column] for column in BUSY) / os.sysconf("SC_CLK_TCK")
            capacity_s = elapsed_s * (os.cpu_count() or 1)
            if elapsed_s > TELLING_S:
                others = 100 * max(0.0, busy_s - own_s) / capacity_s
        medians = [percentile(samples, 0.5) for samples in (self._loop, loop)]
        spreads = [percentile(samples, 0.95) for samples in (self._loop, loop)]
        return Noise(
            steal,
            others,
            100 * (max(medians) / min(medians) - 1),
            max(high / low for high, low in zip(spreads, medians, strict=True)),
            sum(medians) / 2000,
        )


def fixed_loop(seconds: float) -> list[int]:
    """Nanoseconds of each turn of a loop that always does the same: it adds numbers."""
    samples = []
    begun = monotonic()
    while monotonic() - begun < seconds:
        start = perf_counter_ns()
        sum(range(LOOP_NUMBERS))
        samples.append(perf_counter_ns() - start)
    return samples


def _ticks() -> list[int] | None:
    try:
        line = Path("/proc/stat").read_text(encoding="ascii").partition("\n")[0]
    except OSError:
        return None
    return [int(word) for word in line.split()[1:]]


def _own_s() -> float:
    """Processor time of this process and of the children that it has waited for."""
    times = [resource.getrusage(who) for who in (resource.RUSAGE_SELF, resource.RUSAGE_CHILDREN)]
    return sum(each.ru_utime + each.ru_stime for each in times)
