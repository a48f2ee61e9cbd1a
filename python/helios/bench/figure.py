"""A figure: what is measured, what it must be, what it should be, and what came out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

from helios.bench.chart import Chart
from helios.bench.latencies import Series, statistic_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios.bench.inference import Analysis
    from helios.bench.noise import Noise
    from helios.bench.workbench import Workbench

HELIOS = "helios"
FLOOR = "floor"
GIT = "git"
TIMES = ("us", "ms", "s")
"""Units of what is timed; what is counted does not depend on how busy the machine is."""


class Unmeasurable(Exception):
    """A figure cannot be measured here; the message says why."""


class Verdict(Enum):
    """Whether a limit is kept."""

    MET = "met"
    MISSED = "missed"
    UNKNOWN = "unknown"
    REFUSED = "refused"
    """The machine was too noisy."""
    NONE = "-"


@dataclass(frozen=True)
class Limit:
    """An upper bound: `factor`, or `factor` times the reference `of`, and the reference `plus`.

    References are what is measured beside the figure, in its unit: the floor, git, a start-up.
    """

    factor: float
    of: str = ""
    plus: str = ""

    def text(self, unit: str) -> str:
        """The bound in words: `< 70 us`, `< 2.5 x floor`."""
        if not self.of:
            return f"< {self.factor:g} {unit}"
        factor = "" if self.factor == 1 else f"{self.factor:g} x "
        plus = f" + {self.plus}" if self.plus else ""
        return f"< {factor}{self.of}{plus}"

    def bound(self, references: dict[str, float]) -> float | None:
        """The bound in the figure's unit; None if a reference could not be measured."""
        if not self.of:
            return self.factor
        if self.of not in references or (self.plus and self.plus not in references):
            return None
        return self.factor * references[self.of] + references.get(self.plus, 0.0)


@dataclass(frozen=True)
class Measured:
    """What came out: the value and its references, in the figure's unit, and remarks."""

    value: float
    references: dict[str, float] = field(default_factory=dict)
    notes: tuple[str, ...] = ()
    samples: dict[str, Series] = field(default_factory=dict)
    """All samples that value and references come from, in the figure's unit, by who was measured;
    what has no samples was counted or measured once."""
    statistic: str = "p50"
    """What value and references are of their samples."""
    charts: tuple[Chart, ...] = ()

    @classmethod
    def of(
        cls,
        statistic: str,
        samples: dict[str, Series],
        notes: tuple[str, ...] = (),
        charts: tuple[Chart, ...] = (),
        references: dict[str, float] | None = None,
    ) -> Measured:
        """The statistic of the samples of Helios; those of the others are its references."""
        values = {name: statistic_of(series, statistic) for name, series in samples.items()}
        value = values.pop(HELIOS)
        return cls(value, values | (references or {}), notes, samples, statistic, charts)


@dataclass(frozen=True)
class Figure:
    """One row of the benchmark."""

    name: str
    unit: str
    measure: Callable[[Workbench], Measured]
    must: Limit | None = None
    aim: Limit | None = None


@dataclass(frozen=True)
class Result:
    """A figure with what came out, or with why nothing did."""

    figure: Figure
    measured: Measured | None
    seconds: float
    unknown: str = ""
    """Why it could not be measured."""
    failure: str = ""
    """What went wrong, where it could have been measured."""
    noise: Noise | None = None
    """What disturbed the machine meanwhile, where somebody listened."""
    analysis: Analysis | None = None
    """What its samples allow to be said."""
    suite: str = ""

    def verdict(self, limit: Limit | None) -> Verdict:
        """Whether `limit` is kept."""
        if limit is None:
            return Verdict.NONE
        if self.measured is None:
            return Verdict.UNKNOWN
        bound = limit.bound(self.measured.references)
        if bound is None:
            return Verdict.UNKNOWN
        if self.refusal:
            return Verdict.REFUSED
        return Verdict.MET if self.measured.value < bound else Verdict.MISSED

    @property
    def refusal(self) -> str:
        """Why no verdict can be given, if so: what is timed needs a quiet machine."""
        if self.noise is None or self.figure.unit not in TIMES:
            return ""
        return "; ".join(self.noise.excess)

    @property
    def must(self) -> Verdict:
        """Whether the figure is what it must be."""
        return self.verdict(self.figure.must)

    @property
    def aim(self) -> Verdict:
        """Whether the figure is what it should be."""
        return self.verdict(self.figure.aim)

    @property
    def passed(self) -> bool:
        """Whether nothing is missed and nothing went wrong; what is unknown counts as neither."""
        return self.must is not Verdict.MISSED and not self.failure
