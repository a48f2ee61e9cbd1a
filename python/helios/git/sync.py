"""Keeping the view and Helios in step: refs that moved on one side move on the other.

A marker in the view names the last operation that the view's branches and tags are true to. While
it is the last of the log, nothing needs to be looked at.
"""

from __future__ import annotations

import os

from helios import errors
from helios.git import ingest as ingests
from helios.git import view as views
from helios.git.commits import write_commits
from helios.git.references import PREFIXES, git_ref, helios_ref

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from helios import Repository
    from helios.git.view import View

    Changes = list[tuple[str, str | None, str | None]]

MARKER = "synced"


class Taken:
    """What `take` did: `changes` are (Helios ref, old, new), `operation` its id, or None if there
    was nothing to change; `left` are refs of git that Helios has no name for, or no snapshot."""

    __slots__ = ("changes", "left", "operation")

    def __init__(self, changes: Changes, operation: str | None, left: list[str]) -> None:
        self.changes = changes
        self.operation = operation
        self.left = left


def sync(repository: Repository) -> bool:
    """Makes the view's branches and tags those of Helios; true if something had to be written.

    What has moved in Helios alone (commits, undo, new and deleted branches) is written to git. Refs
    that Helios has no name for stay. A view that is in step costs one look at the log. Does nothing
    if there is no view. Raises `GitNotFound`, `GitFailed`, `StorageError`, `Corruption`.
    """
    view = views.of(repository)
    if view is None:
        return False
    if _last(repository) == _marked(view):
        return False
    with view.turn():
        return sync_in_turn(repository, view)


def sync_in_turn(repository: Repository, view: View) -> bool:
    """The same, for who has the view's turn already."""
    last = _last(repository)
    marked = _marked(view)
    if last == marked:
        return False
    changes = _to_view(repository, view, _names_since(repository, marked))
    try:
        view.update_references(changes)
    except errors.GitFailed:
        view.unlock()
        # Refs that are elsewhere than they were a moment ago, too: somebody used git in the view.
        changes = _to_view(repository, view, None)
        view.update_references(changes)
    _mark(view, last)
    return bool(changes)


def take(
    repository: Repository,
    changes: Mapping[str, tuple[str | None, str | None]],
    *,
    command: str,
    then: Callable[[], None] | None = None,
    variables: Mapping[str, str] | None = None,
) -> Taken:
    """Moves Helios' branches and tags as refs of git move, in one operation, by compare-and-swap.

    `changes` are full git ref names to (old, new) git ids, None where there is no ref. What `new`
    reaches is ingested if it is not yet. A ref that Helios has no name for, or that peels to no
    commit, is left out. Raises `BranchMoved` if a branch is not where `old` says: then nothing
    moves.

    The view's own refs are not touched. Where they have not moved yet, `then` moves them, once
    Helios' have. The view counts as in step only after that, if it did before: who dies in between
    leaves it to the next `sync`.
    """
    oids = list({oid for pair in changes.values() for oid in pair if oid is not None})
    found = ingests.ingest(repository, oids, variables=variables)
    moves: Changes = []
    left = []
    for name, (old, new) in changes.items():
        ours = helios_ref(name)
        if ours is None or (new is not None and new not in found):
            left.append(name)
        if ours is None:
            continue
        before = None if old is None else found.get(old)
        after = None if new is None else found.get(new)
        if before != after:
            moves.append((ours, before, after))
    view = views.of(repository)
    last = _last(repository)
    operation = None
    if moves:
        operation = repository.operate(moves, command, in_worktree=False)
    if then is not None:
        then()
    if operation is None:
        return Taken([], None, left)
    if view is not None and _marked(view) == last and _follows(repository, operation, last):
        _mark(view, operation)
    return Taken(moves, operation, left)


def in_step(repository: Repository) -> bool:
    """Whether the view holds what Helios does, as far as the marker says; starts no git."""
    view = views.of(repository)
    return view is None or _marked(view) == _last(repository)


def note(repository: Repository) -> None:
    """Says that the view and Helios agree as of the last operation: the caller knows it."""
    view = views.of(repository)
    if view is not None:
        _mark(view, _last(repository))


def _last(repository: Repository) -> str:
    """The id of the last operation; empty before the first."""
    return next((operation.id for operation in repository.operations(1)), "")


def _follows(repository: Repository, operation: str, last: str) -> bool:
    """Whether an operation is the latest, and directly behind another."""
    latest = [found.id for found in repository.operations(2)]
    return latest == ([operation, last] if last else [operation])


def _marked(view: View) -> str | None:
    try:
        with open(os.path.join(view.state, MARKER), encoding="ascii") as file:
            return file.read().strip()
    except (OSError, ValueError):
        return None


def _mark(view: View, operation: str) -> None:
    path = os.path.join(view.state, MARKER)
    temporary = f"{path}-{os.getpid()}.tmp"
    try:
        with open(temporary, "w", encoding="ascii") as file:
            file.write(f"{operation}\n")
        os.replace(temporary, path)
    except OSError as error:
        raise errors.StorageError(f"{path}: {error.strerror}", errno=error.errno) from error


def _names_since(repository: Repository, marked: str | None) -> set[str] | None:
    """The branches and tags that operations have changed since; None if all may have."""
    names: set[str] = set()
    for operation in repository.operations():
        if operation.id == marked:
            return names
        names.update(change.name for change in operation.changes if git_ref(change.name))
    return None


def _to_view(
    repository: Repository, view: View, names: set[str] | None
) -> dict[str, tuple[str | None, str | None]]:
    """What has to change in the view."""
    wanted = {
        name: found
        for prefix in PREFIXES.values()
        for name, found in _ours(repository, prefix, names).items()
    }
    there = {
        name: oid
        for name, oid in view.references(*PREFIXES).items()
        if (ours := helios_ref(name)) is not None and (names is None or ours in names)
    }
    meant = ingests.snapshots(view, ingests.parts(repository)[1], list(set(there.values())))
    changes: dict[str, tuple[str | None, str | None]] = {}
    moved = []
    for ours, snapshot in wanted.items():
        name = f"refs/{ours}"
        oid = there.get(name)
        if oid is None or meant.get(oid) != snapshot:
            moved.append((name, oid, snapshot))
    commits = write_commits(repository, [snapshot for _, _, snapshot in moved])
    for name, oid, snapshot in moved:
        if commits[snapshot] != oid:
            changes[name] = (oid, commits[snapshot])
    for name, oid in there.items():
        # A tag of something that is no commit is git's alone.
        if helios_ref(name) not in wanted and oid in meant:
            changes[name] = (oid, None)
    return changes


def _ours(repository: Repository, prefix: str, names: set[str] | None) -> dict[str, str]:
    """Helios' refs with a prefix, by full name; those of `names` only."""
    listed = repository.branches() if prefix == "heads/" else repository.tags()
    found = {prefix + name: snapshot for name, snapshot in listed.items()}
    if names is None:
        return found
    return {name: found[name] for name in names if name in found}
