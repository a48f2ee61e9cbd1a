"""Two runs beside each other: what has become slower, by a measure that both machines share.

Each timed figure is divided by its floor, which was measured beside it; where it has none by git's
figure, and where that is missing, too, by the fixed loop that the noise is measured with. A change
counts if its whole 95% confidence interval is beyond 5%, and Mann and Whitney's U test finds the
samples different, at 5% shared among all figures (Bonferroni). What is counted in bytes has no
floor: beyond 5% is beyond 5%.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from enum import Enum
from pathlib import Path
from typing import Any

from helios.bench.figure import FLOOR, GIT, HELIOS, TIMES
from helios.bench.inference import Interval, available, change_of, significance
from helios.bench.latencies import Series, statistic_of
from helios.bench.report import FORMAT, number, spread
from helios.errors import InvalidInput

CHANGE_MIN = 0.05
ALPHA = 0.05
LOOP = "fixed loop"
SAME_RUN = ("machine_class", "seed", "sizes")
WIDTHS = (50, 13, 11, 11, 18, 9, 10)
TITLES = ("figure", "by", "before", "now", "change", "p", "")


class Word(Enum):
    """What has become of a figure."""

    WORSE = "WORSE"
    BETTER = "better"
    SAME = "same"
    UNKNOWN = "unknown"
    REFUSED = "refused"


@dataclass(frozen=True)
class Change:
    """One figure in both runs; the values are by the yardstick, where there is one."""

    name: str
    yardstick: str
    before: float
    now: float
    interval: Interval | None
    p: float | None
    word: Word
    reason: str = ""


@dataclass(frozen=True)
class Comparison:
    """All figures that both runs have, and what is to be said beside."""

    changes: list[Change]
    notes: list[str]

    @property
    def worse(self) -> bool:
        """Whether anything is."""
        return any(change.word is Word.WORSE for change in self.changes)


def load(path: Path) -> dict[str, Any]:
    """A run that `--json` has saved. Raises `InvalidInput`, `OSError`."""
    try:
        data = json.loads(path.read_text(encoding="utf-8"))
    except ValueError as error:
        raise InvalidInput(f"{path} is no run of `helios-cli benchmark --json`: {error}") from error
    if not isinstance(data, dict) or not isinstance(data.get("figures"), list):
        raise InvalidInput(f"{path} is no run of `helios-cli benchmark --json`: it has no figures")
    if data.get("format") != FORMAT:
        found = data.get("format")
        raise InvalidInput(f"{path} has format {found}, this Helios compares format {FORMAT}")
    return data


def compare(old: dict[str, Any], new: dict[str, Any]) -> Comparison:
    """The changes from `old` to `new`. Raises `InvalidInput` for runs that do not compare."""
    for name in SAME_RUN:
        if old.get(name) != new.get(name):
            raise InvalidInput(
                f"the runs do not compare: {name} was {old.get(name)!r} and is {new.get(name)!r}"
            )
    before = {each["name"]: each for each in old["figures"]}
    pairs = [(before[each["name"]], each) for each in new["figures"] if each["name"] in before]
    notes = [
        f"only in one run: {name}"
        for name in sorted(before.keys() ^ {each["name"] for each in new["figures"]})
    ]
    notes += [
        f"the {when} run is partial"
        for when, run in (("old", old), ("new", new))
        if run.get("partial")
    ]
    if reason := available():
        notes.append(f"no verdicts: {reason}")
    seed = int(new["seed"])
    changes = [_change(was, now, ALPHA / max(1, len(pairs)), seed) for was, now in pairs]
    return Comparison(changes, notes)


def _change(was: dict[str, Any], now: dict[str, Any], alpha: float, seed: int) -> Change:
    name = now["name"]
    if was["value"] is None or now["value"] is None:
        said = "; ".join(filter(None, (each["unknown"] or each["failure"] for each in (was, now))))
        return Change(name, "", 0, 0, None, None, Word.UNKNOWN, f"not measured: {said}")
    if now["unit"] not in TIMES:
        ratio = now["value"] / was["value"] if was["value"] else float("inf")
        word = _word(Interval(ratio, ratio), None, alpha)
        return Change(name, "", was["value"], now["value"], Interval(ratio, ratio), None, word)
    yardstick, floors = _yardstick(was, now)
    before, after = was["value"] / floors[0], now["value"] / floors[1]

    def open_(word: Word, reason: str) -> Change:
        return Change(name, yardstick, before, after, None, None, word, reason)

    refused = "; ".join(filter(None, (was["refusal"], now["refusal"])))
    if refused:
        return open_(Word.REFUSED, refused)
    ours: list[Series] = [each["samples"].get(HELIOS, []) for each in (was, now)]
    if not all(ours) or available():
        return open_(Word.UNKNOWN, available() or "it has no samples")
    beside = [
        each["samples"].get(yardstick) or [[floor] * 5]
        for each, floor in zip((was, now), floors, strict=True)
    ]
    statistic = now["statistic"]
    interval = change_of((ours[0], beside[0]), (ours[1], beside[1]), statistic, seed)
    if interval is None:
        return open_(Word.UNKNOWN, "too few samples")
    flat = [
        [sample / floor for samples in series for sample in samples]
        for series, floor in zip(ours, floors, strict=True)
    ]
    p = significance(flat[0], flat[1])
    return Change(name, yardstick, before, after, interval, p, _word(interval, p, alpha))


def _yardstick(was: dict[str, Any], now: dict[str, Any]) -> tuple[str, list[float]]:
    for name in (FLOOR, GIT):
        if name in was["samples"] and name in now["samples"]:
            return name, [
                statistic_of(each["samples"][name], each["statistic"]) for each in (was, now)
            ]
    return LOOP, [float(each["noise"]["loop_us"]) for each in (was, now)]


def _word(interval: Interval, p: float | None, alpha: float) -> Word:
    if p is not None and p >= alpha:
        return Word.SAME
    if interval.low > 1 + CHANGE_MIN:
        return Word.WORSE
    return Word.BETTER if interval.high < 1 / (1 + CHANGE_MIN) else Word.SAME


def lines(comparison: Comparison) -> Iterator[str]:
    """A table for people."""
    yield _row(TITLES)
    yield "-" * (sum(WIDTHS) + len(WIDTHS) - 1)
    for change in comparison.changes:
        shown = "-"
        if change.interval is not None:
            exact = change.interval.low == change.interval.high
            shown = f"{number(change.interval.low)} x" if exact else f"{spread(change.interval)} x"
        yield _row(
            (
                change.name,
                change.yardstick or "-",
                number(change.before),
                number(change.now),
                shown,
                "-" if change.p is None else f"{change.p:.2g}",
                change.word.value,
            )
        )
        if change.reason:
            yield f"    {change.reason}"
    yield from comparison.notes
    words = [change.word for change in comparison.changes]
    yield ", ".join(f"{words.count(word)} {word.value.lower()}" for word in Word)


def as_data(comparison: Comparison) -> dict[str, object]:
    """The comparison as JSON has it."""
    return {
        "worse": comparison.worse,
        "notes": comparison.notes,
        "figures": [
            {
                "name": change.name,
                "yardstick": change.yardstick or None,
                "before": change.before,
                "now": change.now,
                "change": None
                if change.interval is None
                else [change.interval.low, change.interval.high],
                "p": change.p,
                "verdict": change.word.value.lower(),
                "reason": change.reason,
            }
            for change in comparison.changes
        ],
    }


def _row(cells: tuple[str, ...]) -> str:
    return " ".join(cell.ljust(width) for cell, width in zip(cells, WIDTHS, strict=True)).rstrip()
