"""Branches or tags as a list for a person."""

from __future__ import annotations

from time import time

from helios.cli.quoting import printable
from helios.cli.snapshots import line

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from helios import Repository
    from helios.cli.changes import Paint

LISTED_MAX = 1000
"""No more are listed, so that it takes no longer with 100,000; `--json` lists all."""


def listing(
    repository: Repository, names: dict[str, str], paint: Paint, current: str | None = None
) -> Iterator[str]:
    """A line for each name: a mark at the current one, the snapshot, its age and message.

    `names` may be one more than are listed; then the last line says so.
    """
    shown = list(names.items())[:LISTED_MAX]
    width = max((len(name) for name, _ in shown), default=0)
    now_s = time()
    ids = dict.fromkeys(found for _, found in shown)
    snapshots = {found.id: found for found in repository.snapshots(ids)}
    for name, found in shown:
        mark, padded = " ", f"{printable(name):<{width}}"
        if name == current:
            mark, padded = "*", paint(padded, "added")
        yield f"{mark} {padded}  {line(snapshots[found], [], now_s, paint)}"
    if len(names) > LISTED_MAX:
        yield f"  ... these are the first {LISTED_MAX:,}; --json lists all"
