"""Git repositories elsewhere: their names and URLs, and what goes there and comes from there.

They are the view's remotes, so whatever git can speak to is one, and credentials are git's. What a
fetch brings is under `refs/remotes/` in the view, derived, and named by the ids of its snapshots;
its tags are Helios' tags. No branch of Helios is moved, unless the remote is mirrored.
"""

from __future__ import annotations

import os
from subprocess import DEVNULL, PIPE

from helios import errors
from helios.git import sync
from helios.git import view as views
from helios.repository.result import Result
from helios.store.git.process import failure

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from helios import Repository
    from helios.git.view import View

ORIGIN = "origin"


class Fetched(Result):
    """A ref of the view that a fetch has moved: its name, git's ids before and after, None where
    there is no ref, and the id of the snapshot, None if it is no commit."""

    __slots__ = ("name", "new", "old", "snapshot")

    def __init__(self, name: str, old: str | None, new: str | None, snapshot: str | None) -> None:
        self.name = name
        self.old = old
        self.new = new
        self.snapshot = snapshot


class Sent(Result):
    """A ref of a remote that was to be moved. `outcome` is one of `OUTCOMES`; `detail` is what git
    says of it."""

    __slots__ = ("detail", "name", "outcome")

    def __init__(self, name: str, outcome: str, detail: str) -> None:
        self.name = name
        self.outcome = outcome
        self.detail = detail


OUTCOMES = {
    " ": "moved",
    "+": "forced",
    "-": "deleted",
    "*": "new",
    "!": "rejected",
    "=": "unchanged",
}
"""What git's flags mean (git-push(1), "Output")."""


def urls(repository: Repository) -> dict[str, str]:
    """The URL of each remote, by its name."""
    view = views.of(repository)
    return {} if view is None else _urls(view)


def _urls(view: View) -> dict[str, str]:
    _, out = view.git.ask("config", "--null", "--get-regexp", r"^remote\..*\.url$")
    pairs = (os.fsdecode(each).split("\n", 1) for each in out.split(b"\0") if each)
    return {key[len("remote.") : -len(".url")]: url for key, url in reversed([*pairs])}


def add(repository: Repository, name: str, url: str) -> None:
    """Names a git repository elsewhere. Raises `Usage` if the name is taken, or is none."""
    view = views.of_or_make(repository)
    if name in _urls(view):
        raise errors.Usage(f"there is a remote {name!r} already; `git remote remove {name}` it")
    _quietly(view, "remote", "add", "--", name, url)


def remove(repository: Repository, name: str) -> None:
    """Forgets a remote, and what was fetched from it but for its tags."""
    view, name = _known(repository, name)
    with view.turn():
        _quietly(view, "remote", "remove", name)


def _quietly(view: View, *arguments: str) -> None:
    """Runs git where it is the authority on what a name or URL may be."""
    try:
        view.git.run(*arguments)
    except errors.GitFailed as error:
        raise errors.Usage(str(error)) from error


def _known(repository: Repository, name: str | None) -> tuple[View, str]:
    """The view, and the remote of this name; without a name the only one, or `origin`."""
    view = views.of(repository)
    found = {} if view is None else _urls(view)
    if name is None:
        name = ORIGIN if ORIGIN in found else next(iter(found), None)
        if name is None or (name != ORIGIN and len(found) > 1):
            raise errors.Usage(
                "which remote? name one of " + ", ".join(sorted(found))
                if found
                else "there is no remote; `helios-cli git remote add origin URL` adds one"
            )
    if view is None or name not in found:
        raise errors.Usage(f"there is no remote {name!r}; `helios-cli git remote` lists them")
    return view, name


def fetch(
    repository: Repository,
    remote: str | None = None,
    refs: Sequence[str] = (),
    *,
    prune: bool = False,
    command: str = "git fetch",
) -> list[Fetched]:
    """Brings what is new from a remote, all of it or these refs: what has moved in the view.

    `prune` forgets what is gone there. What came is derived, so that its snapshots can be named.
    Raises `Usage` if there is no such remote, `GitNotFound`, `GitFailed`, and `BranchMoved` if a
    mirrored branch has been committed to meanwhile.
    """
    from helios.git.ingest import ingest

    view, name = _known(repository, remote)
    options = ["--no-write-fetch-head", "--quiet", *(["--prune"] if prune else [])]
    if not _is_mirrored(view, name):
        tracking = f"+refs/heads/*:refs/remotes/{name}/*"
        options.append(f"--refmap={tracking}")
        refs = refs or [tracking]
    with view.turn():
        sync.sync_in_turn(repository, view)
        before = view.references()
        view.git.run("fetch", *options, "--", name, *refs)
        after = view.references()
        changes = _changes(before, after)
        sync.take(repository, changes, command=command)
        found = ingest(repository, sorted({new for _, new in changes.values() if new is not None}))
    return [
        Fetched(each, old, new, None if new is None else found.get(new))
        for each, (old, new) in sorted(changes.items())
    ]


def _changes(
    before: Mapping[str, str], after: Mapping[str, str]
) -> dict[str, tuple[str | None, str | None]]:
    names = before.keys() | after.keys()
    pairs = {name: (before.get(name), after.get(name)) for name in names}
    return {name: (old, new) for name, (old, new) in pairs.items() if old != new}


def push(
    repository: Repository,
    remote: str | None = None,
    refs: Iterable[str] = (),
    *,
    options: Iterable[str] = (),
) -> list[Sent]:
    """Sends branches and tags to a remote, as `git push` with these options and refspecs would.

    Without refs it is the branch that the worktree follows. What the other side rejects is in the
    result. Raises `Usage` if there is no such remote, `GitNotFound`, `GitFailed`.
    """
    view, name = _known(repository, remote)
    sync.sync(repository)
    chosen = list(refs)
    flags = list(options)
    if not chosen and "--tags" not in flags:
        branch = repository.worktree.branch
        chosen = [f"refs/heads/{branch}:refs/heads/{branch}"]
    # Of a mirror, git would send everything, and then move the view's own refs as those there.
    target = _urls(view)[name] if _is_mirrored(view, name) else name
    words = ["push", "--porcelain", *flags, "--", target, *chosen]
    with view.git.start(*words, stdin=DEVNULL, stdout=PIPE, stderr=PIPE) as process:
        out, problem = process.communicate()
    sent = [_sent(line) for line in os.fsdecode(out).splitlines() if "\t" in line]
    if process.returncode and not any(each.outcome == "rejected" for each in sent):
        raise failure(words, process.returncode, problem)
    return sent


def _is_mirrored(view: View, name: str) -> bool:
    return view.git.ask("config", "--get", f"remote.{name}.mirror")[1].strip() == b"true"


def _sent(line: str) -> Sent:
    flag, names, detail, *_ = [*line.split("\t", 2), ""]
    return Sent(names.rpartition(":")[2], OUTCOMES.get(flag, "moved"), detail)
