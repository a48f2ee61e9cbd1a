"""Exporting: a git repository of its own that has all that the view has."""

from __future__ import annotations

import os

from helios import errors
from helios.git import sync
from helios.git import view as views
from helios.git.view import View
from helios.store.git.objects import object_format
from helios.store.git.process import Git

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios import Repository

    Path = str | os.PathLike[str]

OWNER = "helios.exportOf"
"""The setting of an exported repository that says of which one."""


class Exported:
    """What an export did: the `directory`, whether it was `created`, the number of `references`
    that it has now, and of those that have `moved`, or are gone, since the last time."""

    __slots__ = ("created", "directory", "moved", "references")

    def __init__(self, directory: str, *, created: bool, references: int, moved: int) -> None:
        self.directory = directory
        self.created = created
        self.references = references
        self.moved = moved


def export_repository(repository: Repository, directory: Path) -> Exported:
    """Makes the directory, new or empty, a bare git repository with all refs and their objects.

    What came from git is there byte for byte. A directory that was exported to before is made the
    same again, which costs what has changed; what somebody else has put there since goes. Raises
    `TargetNotEmpty`, `GitNotFound`, `GitFailed`, `StorageError`, `Corruption`.
    """
    target = os.path.abspath(os.fspath(directory))
    view = views.of_or_make(repository)
    sync.sync(repository)
    owner = repository.directory or ""
    exists = os.path.exists(os.path.join(target, "HEAD"))
    if exists:
        _require_ours(target, owner, view)
    else:
        _require_room(target)
        _clone(view, target, owner)
    before = {}
    if exists:
        before = View(target, view.object_format).references()
        _fetch(view, target)
    after = view.references()
    moved = sum(before.get(name) != after.get(name) for name in {**before, **after})
    return Exported(target, created=not exists, references=len(after), moved=moved)


def _require_ours(target: str, owner: str, view: View) -> None:
    code, out = Git(target).ask("config", "--get", OWNER, accepted=(0, 1, 128))
    if code != 0 or os.fsdecode(out).rstrip("\n") != owner:
        raise errors.TargetNotEmpty(
            f"{target} holds something that is no export of {owner}; export into a directory of "
            "its own, or `git push` to it"
        )
    if object_format(target) != view.object_format:
        raise errors.TargetNotEmpty(f"{target} has git ids of another length than the view")


def _require_room(target: str) -> None:
    try:
        if os.listdir(target):
            raise errors.TargetNotEmpty(f"{target} is not empty; export to a directory of its own")
    except FileNotFoundError:
        return
    except OSError as error:
        if isinstance(error, errors.HeliosError):
            raise
        raise errors.StorageError(f"{target}: {error.strerror}", errno=error.errno) from error


def _clone(view: View, target: str, owner: str) -> None:
    """By links to the packs, where the file system can: they never change."""
    Git(None).run(
        *("clone", "--quiet", "--local", "--mirror", "--template="),
        *("--", view.directory, target),
    )
    git = Git(target)
    git.run("config", "--remove-section", "remote.origin")
    git.run("config", OWNER, owner)


def _fetch(view: View, target: str) -> None:
    git = Git(target)
    git.run(
        *("fetch", "--quiet", "--prune", "--no-tags", "--no-auto-gc", "--no-write-fetch-head"),
        *("--update-head-ok", "--", view.directory, "+refs/*:refs/*"),
    )
    head = view.head()
    if head is not None:
        git.run("symbolic-ref", "HEAD", head)
