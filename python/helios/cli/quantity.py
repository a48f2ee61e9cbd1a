"""Sizes, counts, durations and ages, as a person reads them."""

from __future__ import annotations

_UNITS = ("KiB", "MiB", "GiB", "TiB", "PiB")
_SPANS = (
    (365 * 86400, "year"),
    (30 * 86400, "month"),
    (7 * 86400, "week"),
    (86400, "day"),
    (3600, "hour"),
    (60, "minute"),
)


def size(count: float) -> str:
    """Bytes: `917 B`, `1.4 KiB`, `23 MiB`."""
    if abs(count) < 1024:
        return f"{count:.0f} B"
    value = count / 1024
    power = 0
    # From 1023.5 on, rounding would give 1024 of a unit.
    while abs(value) >= 1023.5 and power < len(_UNITS) - 1:
        value /= 1024
        power += 1
    return f"{value:.1f} {_UNITS[power]}" if abs(value) < 99.95 else f"{value:,.0f} {_UNITS[power]}"


def counted(count: int, noun: str, plural: str | None = None) -> str:
    """`1 file`, `10,000 files`."""
    return f"{count:,} {noun if count == 1 else plural or noun + 's'}"


def duration(seconds: float) -> str:
    """`8.2 us`, `1.4 ms`, `2.3 s`, `4 min 10 s`."""
    if seconds < 0.9995e-3:
        return f"{seconds * 1e6:.3g} us"
    if seconds < 0.9995:
        return f"{seconds * 1e3:.3g} ms"
    if seconds < 60:
        return f"{seconds:.3g} s"
    minutes, rest = divmod(round(seconds), 60)
    return f"{minutes} min {rest} s"


def age(time_s: float, now_s: float) -> str:
    """How long ago a time was: `just now`, `3 minutes ago`."""
    past = now_s - time_s
    if past < -60:
        return "in the future"
    if past < 10:
        return "just now"
    for span, name in _SPANS:
        if past >= span:
            return f"{counted(int(past // span), name)} ago"
    return f"{int(past)} seconds ago"
