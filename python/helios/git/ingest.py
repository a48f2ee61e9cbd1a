"""Ingesting: what git has brought into the view gets its place in the map, and its snapshots."""

from __future__ import annotations

from helios import errors
from helios.git import view as views
from helios.store.git import ingest as ingests

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from helios import Repository
    from helios.git.view import View
    from helios.store.git.derived import Derived
    from helios.store.git.ingest import Report

COMMIT_KIND = 3


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
    view, derived = parts(repository)
    git = view.with_variables(variables)
    unknown = [oid for oid, row in zip(ids, derived.find(ids), strict=True) if row is None]
    if unknown:
        known = [oid for oid in set(view.references().values()) if oid not in unknown]
        rows = derived.find(known)
        there = [oid for oid, row in zip(known, rows, strict=True) if row is not None]
        ingests.reachable(derived, git, unknown, there)
    return snapshots(view, derived, ids, variables=variables)


def ingest_all(repository: Repository, report: Report | None = None) -> int:
    """As `ingest`, of all objects that the view has; gives how many were new."""
    view, derived = parts(repository)
    return ingests.everything(derived, view.git, report)


def snapshots(
    view: View, derived: Derived, ids: Sequence[str], *, variables: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The Helios snapshot of each git id that is, or peels to, a commit that the map has."""
    rows = derived.find(ids)
    found = {}
    others = []
    for oid, row in zip(ids, rows, strict=True):
        if row is None:
            others.append(oid)
        elif row[1] == COMMIT_KIND:
            found[oid] = row[5]
    if others:
        peeled = peel(view, others, variables=variables)
        rows = derived.find(list(peeled.values()))
        for oid, row in zip(peeled, rows, strict=True):
            if row is not None and row[1] == COMMIT_KIND:
                found[oid] = row[5]
    return found


def peel(
    view: View, ids: Sequence[str], *, variables: Mapping[str, str] | None = None
) -> dict[str, str]:
    """The commit that each git id is or peels to; without those that do not."""
    lines = "".join(f"{oid}^{{commit}}\n" for oid in ids).encode()
    out = view.with_variables(variables).run(
        "cat-file", "--batch-check=%(objectname) %(objecttype)", "--buffer", input=lines
    )
    found = {}
    for oid, line in zip(ids, out.decode().split("\n"), strict=False):
        commit, _, kind = line.partition(" ")
        if kind == "commit":
            found[oid] = commit
    return found


def parts(repository: Repository) -> tuple[View, Derived]:
    """The view of a repository, and what is derived from it. Raises `Refused` if there is none."""
    view = views.of(repository)
    derived = repository.derived
    if view is None or derived is None:
        raise errors.Refused("this repository has no git view; `helios-cli git setup` makes one")
    return view, derived
