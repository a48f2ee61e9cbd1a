"""A git checkout in whose root a Helios repository is: both have the same files, and neither
touches what the other keeps. `commit` is the only way from Helios into the checkout's history.
"""

from __future__ import annotations

import os

from helios import errors
from helios.git import view as views
from helios.git.commits import to_git
from helios.repository.result import Result
from helios.store.git.process import Git

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios import Repository

SUBMODULE = "160000"


class Committed(Result):
    """A commit of the checkout: its id, the branch of git that moved (None if HEAD is detached),
    the snapshot that it has the files of, and whether it was made, or HEAD has them already.

    `index_kept` says that git's index was left as it was: what is staged in it is not in HEAD
    before, nor now.
    """

    __slots__ = ("branch", "commit", "created", "index_kept", "snapshot")

    def __init__(
        self, commit: str, branch: str | None, snapshot: str, *, created: bool, index_kept: bool
    ) -> None:
        self.commit = commit
        self.branch = branch
        self.snapshot = snapshot
        self.created = created
        self.index_kept = index_kept


class Checkout:
    """The git checkout whose root is `root`. Raises `Refused` if it is none, `GitNotFound`."""

    def __init__(self, root: str) -> None:
        self.root = root
        git = Git(None)
        code, out = git.ask(
            "rev-parse",
            "--absolute-git-dir",
            "--show-object-format",
            "--git-path",
            "objects",
            "--show-cdup",
            accepted=(0, 128),
            directory=root,
        )
        said = [*os.fsdecode(out).split("\n"), *[""] * 4]
        self.directory, self.object_format, objects, up = said[:4]
        if code or up:
            raise errors.Refused(
                f"{root} is not the root of a git checkout; run this there, or `git init` first"
            )
        self.objects = os.path.normpath(os.path.join(root, objects))

    def git(self, **variables: str) -> Git:
        """git in the checkout, with these variables."""
        return Git(self.directory, variables={"GIT_WORK_TREE": self.root, **variables})


def init(repository: Repository) -> Checkout:
    """Puts a Helios repository, which is new or not, beside the git checkout in its root.

    The checkout, its index and its refs stay as they are; git is told to ignore `.helios` by a file
    in there. Raises `Refused` if there is no checkout, `GitNotFound`, `GitFailed`.
    """
    if repository.root is None or repository.directory is None:
        raise errors.Refused("a repository in memory is beside no git checkout")
    checkout = Checkout(repository.root)
    views.of_or_make(repository, checkout.object_format)
    ignore = os.path.join(repository.directory, ".gitignore")
    if not os.path.exists(ignore):
        with open(ignore, "w", encoding="utf-8") as file:
            file.write("*\n")
    return checkout


def commit(
    repository: Repository,
    revision: str,
    message: str | None = None,
    *,
    allow_empty: bool = False,
) -> Committed:
    """Makes a snapshot the next commit of the git checkout, as if its files had been staged.

    The message is the snapshot's unless one is given; author and committer are git's. What git
    tracks and Helios leaves out (ignored files, submodules) stays as it is in HEAD. The files on
    disk are not touched. Git's index follows as far as nothing else is staged in it. Hooks do not
    run, and nothing is signed. Raises as `Repository.resolve`, `Refused` if there is no checkout,
    `Conflict` if git's branch moves meanwhile, `GitNotFound`, `GitFailed`.
    """
    if repository.root is None:
        raise errors.Refused("a repository in memory is beside no git checkout")
    checkout = Checkout(repository.root)
    snapshot = repository.snapshot(revision)
    view = views.of_or_make(repository, checkout.object_format)
    git = checkout.git()
    code, out = git.ask("rev-parse", "--quiet", "--verify", "HEAD^{commit}")
    head = None if code else out.decode().strip()
    code, out = git.ask("symbolic-ref", "--quiet", "HEAD")
    branch = None if code else os.fsdecode(out).strip()
    exported = to_git(repository, snapshot)
    source = view.git.run("rev-parse", f"{exported}^{{tree}}").decode().strip()
    tree = _tree(checkout, os.path.join(view.directory, "objects"), source, head)
    if head is not None and not allow_empty:
        present = git.run("rev-parse", f"{head}^{{tree}}").decode().strip()
        if present == tree:
            return Committed(head, branch, snapshot.id, created=False, index_kept=False)
    text = snapshot.message if message is None else message
    if not text.strip():
        raise errors.Usage("the snapshot has no message; give one with -m")
    parents = [] if head is None else ["-p", head]
    made = git.run("commit-tree", tree, *parents, "-F", "-", input=f"{text.rstrip()}\n".encode())
    new = made.decode().strip()
    subject = text.strip().splitlines()[0]
    none = "0" * len(new)
    try:
        git.run("update-ref", "-m", f"helios-cli git commit: {subject}", "HEAD", new, head or none)
    except errors.GitFailed as error:
        raise errors.Conflict(f"git's HEAD has moved meanwhile; try again ({error})") from error
    return Committed(new, branch, snapshot.id, created=True, index_kept=not _stage(git, head, tree))


def _tree(checkout: Checkout, objects: str, source: str, head: str | None) -> str:
    """The tree of a commit with the files of `source`, a tree in the view's objects, and what git
    tracks beside them; put into the checkout's objects, with all that it needs."""
    from tempfile import TemporaryDirectory

    plain = checkout.git()
    with TemporaryDirectory(prefix="helios-") as directory:
        both = checkout.git(
            GIT_INDEX_FILE=os.path.join(directory, "index"),
            GIT_ALTERNATE_OBJECT_DIRECTORIES=quoted(objects),
        )
        both.run("read-tree", source)
        if head is not None:
            _keep(checkout, both, head)
        tree = both.run("write-tree").decode().strip()
        wanted = tree if head is None else f"{tree}\n^{head}"
        pack = both.run("pack-objects", "--revs", "--stdout", "-q", input=f"{wanted}\n".encode())
    plain.run("unpack-objects", "-q", input=pack)
    # Whatever it reaches must be there without the view, or git's history would have a hole.
    plain.run("rev-list", "--objects", "--quiet", *wanted.split("\n"))
    return tree


def quoted(path: str) -> str:
    """A path in a list that colons separate (git(1))."""
    escaped = path.replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'


def _keep(checkout: Checkout, git: Git, head: str) -> None:
    """Puts into the index of `git` what HEAD has and Helios leaves out."""
    listed = git.run("ls-tree", "-r", "-z", "--full-tree", head)
    entries = {}
    for line in listed.split(b"\0")[:-1]:
        about, _, path = line.partition(b"\t")
        mode, _, found = about.decode().split(" ")
        entries[path] = (mode, found)
    submodules = [path for path, (mode, _) in entries.items() if mode == SUBMODULE]
    ignored = b"".join(
        checkout.git().run("ls-files", "-z", "--cached", "--ignored", exclude)
        for exclude in ("--exclude-standard", "--exclude-per-directory=.heliosignore")
    )
    kept = [*submodules, *(path for path in ignored.split(b"\0") if path in entries)]
    if not kept:
        return
    none = "0" * len(head)
    staged = git.run("ls-files", "-z").split(b"\0")[:-1]
    inside = tuple(path + b"/" for path in submodules)
    gone = [path for path in staged if inside and path.startswith(inside)]
    known = set(staged)
    feed = b"".join(b"0 %s\t%s\0" % (none.encode(), path) for path in gone)
    for path in kept:
        mode, found = entries[path]
        if mode == SUBMODULE or path not in known:
            feed += b"%s %s\t%s\0" % (mode.encode(), found.encode(), path)
    git.run("update-index", "-z", "--index-info", input=feed)


def _stage(git: Git, head: str | None, tree: str) -> bool:
    """Brings the index from the old commit to the new tree, if nothing else is staged in it."""
    none = git.run("hash-object", "-t", "tree", "--stdin").decode().strip()
    code, _ = git.ask("read-tree", "-i", "-m", head or none, tree, accepted=(0, 1, 128))
    if code == 0:
        git.ask("update-index", "-q", "--refresh", accepted=(0, 1, 128))
    return code == 0
