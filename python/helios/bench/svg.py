"""Drawings in SVG: lines over an axis, and bars. Text in them is escaped; nothing is loaded."""

from __future__ import annotations

import math
from collections.abc import Iterable, Mapping, Sequence
from html import escape

from helios.bench.chart import Point

WIDTH, HEIGHT = 620, 300
LEFT, RIGHT, TOP, BOTTOM = 66, 28, 12, 44
BAR_HEIGHT, BAR_LEFT = 26, 190
# Okabe and Ito's palette: told apart by people who do not see all colours.
COLOURS = ("#0072b2", "#d55e00", "#009e73", "#cc79a7", "#e69f00", "#56b4e9", "#000000", "#999999")
TICKS = 6
SMALL_DECADES = 1.5


class Axis:
    """Where values stand on a stretch of pixels, and which of them are named."""

    def __init__(
        self, values: Iterable[float], start: float, end: float, *, log: bool, zero: bool = False
    ) -> None:
        """`zero` begins a linear axis at 0. A logarithmic one leaves out what is not above 0."""
        known = [value for value in values if math.isfinite(value) and (value > 0 or not log)]
        self.log = log
        self._start, self._end = start, end
        low, high = (min(known), max(known)) if known else (1.0, 10.0)
        if zero and not log:
            low = min(0.0, low)
        if low == high:
            low, high = (low / 2, high * 2) if log else (low - 0.5, high + 0.5)
        self.low, self.high = low, high

    def at(self, value: float) -> float:
        """The pixel of a value; what is outside stands at the edge."""
        value = min(max(value, self.low), self.high)
        if self.log:
            share = math.log(value / self.low) / math.log(self.high / self.low)
        else:
            share = (value - self.low) / (self.high - self.low)
        return self._start + share * (self._end - self._start)

    def ticks(self) -> list[float]:
        """Round values to name."""
        if not self.log:
            return _linear_ticks(self.low, self.high)
        decades = math.log10(self.high / self.low)
        steps = (1, 2, 5) if decades < 2 * SMALL_DECADES else (1,)
        first, last = math.floor(math.log10(self.low)), math.ceil(math.log10(self.high))
        every = max(1, math.ceil((last - first) / (TICKS + 2)))
        found = [step * 10.0**power for power in range(first, last + 1, every) for step in steps]
        inside = [value for value in found if self.low <= value <= self.high]
        return inside if len(inside) > 1 else _linear_ticks(self.low, self.high)


def _linear_ticks(low: float, high: float) -> list[float]:
    rough = (high - low) / TICKS
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(power * factor for factor in (1, 2, 5, 10) if power * factor >= rough)
    first = math.ceil(low / step)
    return [number * step for number in range(first, math.floor(high / step) + 1)]


def label(value: float) -> str:
    """A tick's value: `1 k`, `2.5 M`, `0.03`."""
    for factor, unit in ((1e9, " G"), (1e6, " M"), (1e3, " k")):
        if abs(value) >= factor:
            return f"{value / factor:g}{unit}"
    return f"{value:.3g}"


def colour(position: int) -> str:
    """The colour of the n-th line."""
    return COLOURS[position % len(COLOURS)]


def lines(
    series: Mapping[str, Sequence[Point]],
    x: str,
    y: str,
    *,
    log_x: bool = False,
    log_y: bool = False,
    bands: Mapping[str, Sequence[Point]] | None = None,
    dots: bool = False,
) -> str:
    """Lines through points, with axes and their names; bands mark stretches of the x axis."""
    points = [point for line in series.values() for point in line]
    across = Axis((at for at, _ in points), LEFT, WIDTH - RIGHT, log=log_x)
    up = Axis((value for _, value in points), HEIGHT - BOTTOM, TOP, log=log_y, zero=True)
    parts = [_open(WIDTH, HEIGHT)]
    for name, stretches in (bands or {}).items():
        for start, end in stretches:
            left, right = across.at(start), across.at(end)
            parts.append(
                f'<rect class="band" x="{left:.1f}" y="{TOP}" width="{max(1.0, right - left):.1f}" '
                f'height="{HEIGHT - BOTTOM - TOP}"><title>{escape(name)}</title></rect>'
            )
    parts += _axes(across, up, x, y)
    for position, (name, line) in enumerate(series.items()):
        drawn = [
            (at, value) for at, value in line if (at > 0 or not log_x) and (value > 0 or not log_y)
        ]
        path = " ".join(f"{across.at(at):.1f},{up.at(value):.1f}" for at, value in drawn)
        paint = colour(position)
        parts.append(
            f'<polyline points="{path}" stroke="{paint}"><title>{escape(name)}</title></polyline>'
        )
        if dots:
            parts += [
                f'<circle cx="{across.at(at):.1f}" cy="{up.at(value):.1f}" r="3" fill="{paint}">'
                f"<title>{escape(name)}: {label(value)} at {label(at)}</title></circle>"
                for at, value in drawn
            ]
    parts.append("</svg>")
    return "".join(parts)


def _axes(across: Axis, up: Axis, x: str, y: str) -> list[str]:
    bottom, right = HEIGHT - BOTTOM, WIDTH - RIGHT
    parts = []
    for tick in up.ticks():
        at = up.at(tick)
        parts.append(f'<line class="grid" x1="{LEFT}" x2="{right}" y1="{at:.1f}" y2="{at:.1f}"/>')
        parts.append(_text(LEFT - 6, at + 4, label(tick), "end"))
    for tick in across.ticks():
        at = across.at(tick)
        parts.append(f'<line class="grid" x1="{at:.1f}" x2="{at:.1f}" y1="{TOP}" y2="{bottom}"/>')
        parts.append(_text(at, bottom + 16, label(tick), "middle"))
    parts.append(_text((LEFT + right) / 2, HEIGHT - 8, x, "middle"))
    middle = (TOP + bottom) / 2
    parts.append(
        f'<text transform="translate(14 {middle:.0f}) rotate(-90)" text-anchor="middle">'
        f"{escape(y)}</text>"
    )
    return parts


def bars(values: Mapping[str, float], unit: str, *, log: bool = False) -> str:
    """A bar for each name, with its value behind it."""
    height = BAR_HEIGHT * len(values) + 8
    along = Axis(values.values(), BAR_LEFT, WIDTH - 90, log=log, zero=True)
    if log and values:
        # The smallest bar is to be seen, too.
        along.low = min(value for value in values.values() if value > 0) / 3
    parts = [_open(WIDTH, height)]
    for position, (name, value) in enumerate(values.items()):
        top = 4 + position * BAR_HEIGHT
        width = max(1.0, along.at(value) - BAR_LEFT)
        parts.append(_text(BAR_LEFT - 8, top + 16, name, "end"))
        parts.append(
            f'<rect x="{BAR_LEFT}" y="{top + 2}" width="{width:.1f}" height="{BAR_HEIGHT - 6}" '
            f'fill="{colour(position)}"/>'
        )
        shown = f"{value:,.0f}" if value >= 100 else f"{value:.3g}"
        parts.append(_text(BAR_LEFT + width + 6, top + 16, f"{shown} {unit}", "start"))
    parts.append("</svg>")
    return "".join(parts)


def _open(width: int, height: int) -> str:
    return f'<svg viewBox="0 0 {width} {height}" width="{width}" height="{height}" role="img">'


def _text(x: float, y: float, text: str, anchor: str) -> str:
    return f'<text x="{x:.1f}" y="{y:.1f}" text-anchor="{anchor}">{escape(text)}</text>'
