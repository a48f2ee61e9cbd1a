"""Snapshots as git commits, and git commits as snapshots."""

from __future__ import annotations

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios import Repository, Snapshot


def to_git(repository: Repository, snapshot: str | Snapshot) -> str:
    """The git commit of a snapshot, in hexadecimal; in the view, with all that it reaches.

    A snapshot that came from git is that commit. One that was born in Helios is written once, in
    git's canonical form, and keeps its id for ever. Makes the view if there is none. No ref moves.
    Raises as `Repository.resolve`, and `GitNotFound`, `GitFailed`, `StorageError`, `Corruption`.
    """
    raise NotImplementedError


def from_git(repository: Repository, commit: str) -> str:
    """The id of the snapshot of a git commit, given as a git id or any name that git resolves in
    the view. It is derived if it is not yet. No ref moves.

    Raises `UnknownRevision` if the view has no such commit, `GitNotFound`, `GitFailed`.
    """
    raise NotImplementedError
