"""A chart: what a figure shows beside its number. The HTML report draws it."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Literal

Point = tuple[float, float]


@dataclass(frozen=True)
class Chart:
    """Lines through points, or one bar for each name.

    A bar's height is the `y` of its only point. Axes name their unit.
    """

    title: str
    x: str
    y: str
    lines: dict[str, list[Point]]
    kind: Literal["lines", "bars"] = "lines"
    log_x: bool = False
    log_y: bool = False
    bands: dict[str, list[Point]] = field(default_factory=dict)
    """Stretches of the x axis that are marked, from and to, by what they are."""
