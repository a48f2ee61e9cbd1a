"""How branches of Helios stand to their git counterparts: the branches of that name at the remotes,
as they were when they were fetched last, and in the git checkout beside the worktree."""

from __future__ import annotations

import os

from helios import errors
from helios.git import remotes, sync
from helios.git import view as views
from helios.repository.result import Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator

    from helios import Repository
    from helios.git.view import View

CHECKOUT = "checkout"
HEADS = "refs/heads/"


class Standing(Result):
    """A branch beside one counterpart. `branch` and `counterpart` are names, such as `main` and
    `origin/main`; `ours` and `theirs` the git commits, None where there is none. `ahead` and
    `behind` count the commits that only the branch, and only the counterpart has (0 where one is
    missing); `paths` the paths that differ."""

    __slots__ = ("ahead", "behind", "branch", "counterpart", "ours", "paths", "theirs")

    def __init__(
        self,
        branch: str,
        counterpart: str,
        ours: str | None,
        theirs: str | None,
        ahead: int = 0,
        behind: int = 0,
        paths: int = 0,
    ) -> None:
        self.branch = branch
        self.counterpart = counterpart
        self.ours = ours
        self.theirs = theirs
        self.ahead = ahead
        self.behind = behind
        self.paths = paths

    @property
    def equal(self) -> bool:
        """Whether both are the same commit."""
        return self.ours == self.theirs


def standings(repository: Repository, branch: str | None = None) -> list[Standing]:
    """All branches, or one, beside all their counterparts; those of a remote alone, too.

    Raises `UnknownRevision` if neither side has the branch, `GitNotFound`, `GitFailed`.
    """
    view = views.of(repository)
    if view is None:
        raise errors.Refused(
            "this repository has nothing to do with git yet; `helios-cli git remote add` names a "
            "git repository elsewhere"
        )
    sync.sync(repository)
    ours = _named(view.references(HEADS), HEADS)
    found = [
        _compare(view, name, f"{where}/{name}", ours.get(name), theirs.get(name), objects)
        for where, theirs, objects in _sides(repository, view)
        for name in sorted({*ours, *theirs})
        if branch in {None, name}
    ]
    if branch is not None and branch not in ours and not any(each.theirs for each in found):
        raise errors.UnknownRevision(f"there is no branch {branch!r}, here or elsewhere")
    return found


def _named(references: dict[str, str], prefix: str) -> dict[str, str]:
    return {name.removeprefix(prefix): found for name, found in references.items()}


def _sides(repository: Repository, view: View) -> Iterator[tuple[str, dict[str, str], str | None]]:
    """A name for each other side, its branches, and where its objects are if not in the view."""
    for remote in sorted(remotes.urls(repository)):
        prefix = f"refs/remotes/{remote}/"
        theirs = _named(view.references(prefix), prefix)
        theirs.pop("HEAD", None)
        yield remote, theirs, None
    from helios.git.checkout import Checkout

    try:
        checkout = Checkout(repository.root or os.devnull)
    except errors.HeliosError:
        return
    if checkout.object_format == view.object_format:
        out = checkout.git().run("for-each-ref", "--format=%(objectname) %(refname)", HEADS)
        pairs = (line.split(" ", 1) for line in os.fsdecode(out).splitlines())
        yield CHECKOUT, {name[len(HEADS) :]: found for found, name in pairs}, checkout.objects


def _compare(
    view: View,
    name: str,
    counterpart: str,
    ours: str | None,
    theirs: str | None,
    objects: str | None,
) -> Standing:
    if ours is None or theirs is None or ours == theirs:
        return Standing(name, counterpart, ours, theirs)
    git = view.git
    if objects is not None:
        from helios.git.checkout import quoted

        git = view.with_variables({"GIT_ALTERNATE_OBJECT_DIRECTORIES": quoted(objects)})
    counted = git.run("rev-list", "--left-right", "--count", f"{ours}...{theirs}").split()
    listed = git.run("diff-tree", "-r", "-z", "--name-only", "--no-renames", ours, theirs)
    return Standing(
        name, counterpart, ours, theirs, int(counted[0]), int(counted[1]), listed.count(b"\0")
    )
