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

DESCRIBED_MAX = 1000
"""Of more than these, only names and ids are listed: to read as many snapshots takes seconds."""


def listing(
    repository: Repository, names: dict[str, str], paint: Paint, current: str | None = None
) -> Iterator[str]:
    """A line for each name: a mark at the current one, the snapshot, its age and message."""
    width = max(map(len, names), default=0)
    if len(names) > DESCRIBED_MAX:
        # One string: a hundred thousand lines one by one would take as long as all the rest.
        yield "\n".join(
            [
                f"{'*' if name == current else ' '} {name:<{width}}  {found[:12]}"
                for name, found in names.items()
            ]
        )
        return
    now_s = time()
    for name, found in names.items():
        shown = f"{printable(name):<{width}}"
        mark, shown = ("*", paint(shown, "added")) if name == current else (" ", shown)
        yield f"{mark} {shown}  {line(repository.snapshot(found), [], now_s, paint)}"
