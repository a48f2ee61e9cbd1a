"""Snapshots that were born in Helios, written as git commits."""

from __future__ import annotations

from helios._core import Engine, GitMap, write_git


def write(engine: Engine, map: GitMap, packs: str, snapshots: list[str]) -> dict[str, str]:
    """The git commit of each snapshot, by full ids.

    What git does not have yet is written into a pack in the directory `packs`, and put into the
    map, durably.
    """
    return dict(zip(snapshots, write_git(engine, map, packs, snapshots), strict=True))
