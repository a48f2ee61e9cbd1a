"""Snapshots that were born in Helios, written as git commits: what `helios.git` needs the engine
for."""

from __future__ import annotations

from helios import _core

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios._core import GitMap
    from helios.repository.repository import Repository


def write_git(
    repository: Repository, map: GitMap, packs: str, snapshots: list[str]
) -> dict[str, str]:
    """The git commit of each snapshot, by full ids.

    What git does not have yet is written into a pack in the directory `packs`, and put into the
    map, durably.
    """
    written = _core.write_git(repository._engine, map, packs, snapshots)
    return dict(zip(snapshots, written, strict=True))
