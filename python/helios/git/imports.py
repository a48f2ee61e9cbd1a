"""Importing a git repository: what git serves becomes the view, and Helios' branches and tags."""

from __future__ import annotations

import os

from helios import Repository, errors
from helios.git import sync, view
from helios.git.ingest import ingest_all, parts
from helios.git.references import helios_ref
from helios.store.git.process import Git

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Sequence
    from typing import Unpack

    from helios.git.sync import Taken
    from helios.repository.options import Options
    from helios.store.git.ingest import Report

    Path = str | os.PathLike[str]

REMOTE = "origin"
REFSPECS = ("refs/heads/*:refs/heads/*", "refs/tags/*:refs/tags/*")
MIRROR_REFSPECS = ("+refs/*:refs/*",)


class Imported:
    """What an import did: the repository's `directory`, how many `objects` were new, what was
    `taken` into Helios, the `branch` of the worktree, None if it has none or is unborn, and
    `warnings`: paths that could not be written, and why."""

    __slots__ = ("branch", "directory", "objects", "taken", "warnings")

    def __init__(
        self,
        directory: str,
        objects: int,
        taken: Taken,
        branch: str | None = None,
        warnings: Sequence[tuple[str, str]] = (),
    ) -> None:
        self.directory = directory
        self.objects = objects
        self.taken = taken
        self.branch = branch
        self.warnings = list(warnings)


def import_repository(
    source: Path,
    directory: Path,
    *,
    mirror: bool = False,
    report: Report | None = None,
    **options: Unpack[Options],
) -> Imported:
    """Makes the directory, new or empty, a Helios repository with all that a git repository has.

    `source` is a path or an URL that git takes. Its branches and tags become those of Helios, and
    the files of its HEAD are written. With `mirror` all of its refs come along, also those that
    Helios has no notion of, and the directory becomes a repository without a worktree.

    A directory that was imported from the same source before is brought up to date, which costs
    what has changed; a branch that has moved on both sides is left and `GitFailed` raised, but a
    mirror follows its source. `report` is called with what is done, how many objects of it, and of
    how many, 0 if that is not known. Options are those of `Repository.open`. Raises
    `TargetNotEmpty`, `Refused`, `GitNotFound`, `GitFailed`, `StorageError`; after a failure nothing
    is left behind.
    """
    root = os.path.abspath(os.fspath(directory))
    place = _source(os.fspath(source))
    if _is_repository(root):
        with Repository.open(root, **options) as repository:
            return _update(repository, place)
    made = _require_room(root)
    try:
        with Repository.init(root, bare=mirror, **options) as repository:
            if report is not None:
                report("fetching from git", 0, 0)
            _clone(repository, place, mirror=mirror)
            return _take_all(repository, report)
    except BaseException:
        _remove(root, keep=not made)
        raise


def _source(source: str) -> str:
    """A path as git takes it from another directory; an URL as it is."""
    if os.path.exists(source):
        return os.path.abspath(source)
    if source.startswith("-"):
        raise errors.Usage(f"{source!r} is neither a path nor an URL")
    return source


def _is_repository(root: str) -> bool:
    return os.path.exists(os.path.join(root, ".helios")) or os.path.exists(
        os.path.join(root, "format")
    )


def _require_room(root: str) -> bool:
    """Raises unless the directory is new (then true) or empty."""
    try:
        if os.listdir(root):
            raise errors.TargetNotEmpty(f"{root} is not empty; import into a directory of its own")
    except FileNotFoundError:
        return True
    except OSError as error:
        if isinstance(error, errors.HeliosError):
            raise
        raise errors.StorageError(f"{root}: {error.strerror}", errno=error.errno) from error
    return False


def _remove(root: str, *, keep: bool) -> None:
    from contextlib import suppress
    from shutil import rmtree

    if not keep:
        rmtree(root, ignore_errors=True)
        return
    for name in os.listdir(root):
        path = os.path.join(root, name)
        rmtree(path, ignore_errors=True)
        with suppress(OSError):
            os.unlink(path)


def _clone(repository: Repository, source: str, *, mirror: bool) -> None:
    target = view.directory_of(repository)
    # Not by links to a local repository's files: what comes in is verified, and is in one pack.
    Git(None).run(
        *("-c", "init.defaultBranch=main", "-c", "transfer.unpackLimit=1"),
        *("-c", "pack.writeReverseIndex=false", "clone", "--quiet"),
        *("--no-local", "--template=", "--mirror" if mirror else "--bare"),
        *("--origin", REMOTE, "--", source, target),
    )
    view.configure(target)
    if not mirror:
        # What a later fetch brings is beside the branches that it is compared with.
        git = Git(target)
        git.run("config", f"remote.{REMOTE}.fetch", f"+refs/heads/*:refs/remotes/{REMOTE}/*")


def _take_all(repository: Repository, report: Report | None) -> Imported:
    objects = ingest_all(repository, report)
    found, _ = parts(repository)
    changes = {name: (None, oid) for name, oid in found.references().items()}
    taken = sync.take(repository, changes, command="git import")
    sync.note(repository)
    branch, warnings = _check_out(repository, found.head())
    return Imported(str(repository.directory), objects, taken, branch, warnings)


def _check_out(
    repository: Repository, head: str | None
) -> tuple[str | None, Sequence[tuple[str, str]]]:
    """Brings the worktree, if there is one, to the branch of git's HEAD: that, and warnings."""
    if repository.root is None or head is None:
        return None, []
    ours = helios_ref(head)
    branch = (ours or "").removeprefix("heads/")
    snapshot = repository.branch(branch) if branch else None
    if snapshot is None:
        return None, []
    return branch, repository.worktree.begin(branch, snapshot)


def _update(repository: Repository, source: str) -> Imported:
    found = view.of(repository)
    known = None if found is None else _remote(found.git)
    if found is None or known != source:
        raise errors.TargetNotEmpty(
            f"{repository.root or repository.directory} is a repository already, and not one that "
            f"was imported from {source}; import into a directory of its own"
        )
    sync.sync(repository)
    before = found.references()
    mirror = found.git.ask("config", "--get", f"remote.{REMOTE}.mirror")[1].strip() == b"true"
    refspecs = MIRROR_REFSPECS if mirror else REFSPECS
    arguments = ["fetch", "--quiet", "--no-write-fetch-head", "--no-auto-gc", "--atomic"]
    arguments += ["--prune"] if mirror else []
    code, _ = found.git.ask(*arguments, "--no-tags", REMOTE, *refspecs)
    if code:
        raise errors.GitFailed(
            f"a branch or a tag has moved here and, to somewhere else, at {source}; nothing was "
            "changed. `helios-cli git fetch` brings what is there beside the branches, for "
            "`helios-cli merge` to take"
        )
    after = found.references()
    return _take_moved(repository, before, after)


def _take_moved(repository: Repository, before: dict[str, str], after: dict[str, str]) -> Imported:
    names = [name for name in {**before, **after} if before.get(name) != after.get(name)]
    changes = {name: (before.get(name), after.get(name)) for name in names}
    _, derived = parts(repository)
    size = len(derived.map)
    taken = sync.take(repository, changes, command="git import")
    return Imported(str(repository.directory), len(derived.map) - size, taken)


def _remote(git: Git) -> str | None:
    code, out = git.ask("config", "--get", f"remote.{REMOTE}.url")
    return os.fsdecode(out).rstrip("\n") if code == 0 else None
