"""A figure: what is measured, what it must be, what it should be, and what came out."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from enum import Enum

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios.bench.workbench import Workbench

FLOOR = "floor"
GIT = "git"


class Unmeasurable(Exception):
    """A figure cannot be measured here; the message says why."""


class Verdict(Enum):
    """Whether a limit is kept."""

    MET = "met"
    MISSED = "missed"
    UNKNOWN = "unknown"
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

    def verdict(self, limit: Limit | None) -> Verdict:
        """Whether `limit` is kept."""
        if limit is None:
            return Verdict.NONE
        if self.measured is None:
            return Verdict.UNKNOWN
        bound = limit.bound(self.measured.references)
        if bound is None:
            return Verdict.UNKNOWN
        return Verdict.MET if self.measured.value < bound else Verdict.MISSED

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
