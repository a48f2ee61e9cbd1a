"""Ingesting: what git has brought into the view gets its place in the map, and its snapshots."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from helios import Repository


def ingest(
    repository: Repository, ids: Sequence[str], *, variables: Mapping[str, str] | None = None
) -> dict[str, str]:
    """Derives everything that these git objects reach and that the map does not have yet.

    `ids` are full git ids in hexadecimal, of objects of any kind. `variables` are set for git, such
    as `GIT_QUARANTINE_PATH`, `GIT_OBJECT_DIRECTORY` and `GIT_ALTERNATE_OBJECT_DIRECTORIES` in a
    pre-receive hook. Gives the Helios snapshot of each id that is a commit or an annotated tag
    that peels to one; the others are left out. Nothing in Helios or in git's refs is moved. What
    is added to the map stays there, also if git drops the objects again: then it does not count.

    Raises `GitNotFound`, `GitFailed`, `StorageError`.
    """
    raise NotImplementedError
