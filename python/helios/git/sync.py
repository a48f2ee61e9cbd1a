"""Keeping the view and Helios in step."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from helios import Repository


class Taken:
    """What `take` did: `changes` are (Helios ref, old, new), `operation` its id, or None if there
    was nothing to change; `left` are refs of git that Helios has no name for, or no snapshot."""

    __slots__ = ("changes", "left", "operation")

    def __init__(
        self,
        changes: list[tuple[str, str | None, str | None]],
        operation: str | None,
        left: list[str],
    ) -> None:
        self.changes = changes
        self.operation = operation
        self.left = left


def sync(repository: Repository) -> bool:
    """Makes the view's branches and tags those of Helios; true if something had to be written.

    What has moved in Helios alone (commits, undo, new and deleted branches) is written to git. Refs
    that Helios has no name for stay. A view that is in step costs one look at the log. Does nothing
    if there is no view. Raises `GitNotFound`, `GitFailed`, `StorageError`, `Corruption`.
    """
    raise NotImplementedError


def take(
    repository: Repository,
    changes: Mapping[str, tuple[str | None, str | None]],
    *,
    command: str,
    variables: Mapping[str, str] | None = None,
) -> Taken:
    """Moves Helios' branches and tags as refs of git move, in one operation, by compare-and-swap.

    `changes` are full git ref names to (old, new) git ids, None where there is no ref. What `new`
    reaches is ingested if it is not yet. A ref that Helios has no name for, or that peels to no
    commit, is left out. Raises `BranchMoved` if a branch is not where `old` says: then nothing
    moves. The view's own refs are not touched, and it counts as in step afterwards if it was.
    """
    raise NotImplementedError


def in_step(repository: Repository, names: Iterable[str] = ()) -> bool:
    """Whether the view holds what Helios does, as far as the marker says; starts no git."""
    raise NotImplementedError
