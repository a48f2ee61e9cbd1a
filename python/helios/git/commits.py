"""Snapshots as git commits, and git commits as snapshots."""

from __future__ import annotations

import os

from helios import errors
from helios.git import ingest as ingests
from helios.git import view as views
from helios.repository.written import write_git

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence

    from helios import Repository, Snapshot


def to_git(repository: Repository, snapshot: str | Snapshot) -> str:
    """The git commit of a snapshot, in hexadecimal; in the view, with all that it reaches.

    A snapshot that came from git is that commit. One that was born in Helios is written once, in
    git's canonical form, and keeps its id for ever. Makes the view if there is none. No ref moves.
    Raises as `Repository.resolve`, and `GitNotFound`, `GitFailed`, `StorageError`, `Corruption`.
    """
    found = repository.resolve(snapshot)
    views.of_or_make(repository)
    return write_commits(repository, [found])[found]


def from_git(repository: Repository, commit: str) -> str:
    """The id of the snapshot of a git commit, given as a git id or any name that git resolves in
    the view. It is derived if it is not yet. No ref moves.

    Raises `UnknownRevision` if the view has no such commit, `GitNotFound`, `GitFailed`.
    """
    view, _ = ingests.parts(repository)
    code, out = view.git.ask(
        "rev-parse", "--verify", "--quiet", "--end-of-options", f"{commit}^{{commit}}"
    )
    oid = out.decode().strip()
    found = ingests.ingest(repository, [oid]) if code == 0 and oid else {}
    if oid not in found:
        raise errors.UnknownRevision(f"the git view has no commit {commit!r}")
    return found[oid]


def write_commits(repository: Repository, snapshots: Sequence[str]) -> dict[str, str]:
    """The git commit of each snapshot, given by its full id; those that git does not have yet are
    written, with all that they reach."""
    view, derived = ingests.parts(repository)
    packs = os.path.join(view.directory, "objects", "pack")
    return write_git(repository, derived.map, packs, list(dict.fromkeys(snapshots)))
