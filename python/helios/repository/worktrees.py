"""The worktrees of a repository: adds, lists and removes those beside the main one.

Each is the place of one agent: a directory, a branch, and an index of its own. Two of them never
follow one branch (`docs/design/010-worktrees.md`). Adding and removing takes turns.
"""

from __future__ import annotations

import os
from contextlib import suppress

from helios import errors
from helios.repository import place as places
from helios.repository.claim import dismiss
from helios.repository.operation import BRANCHES, WORKTREES
from helios.repository.place import DIRECTORY, Place
from helios.repository.result import Result
from helios.repository.standing import read_head
from helios.repository.target import empty, require_empty
from helios.repository.turn import Turn
from helios.repository.worktree import PathWarning, Worktree

TYPE_CHECKING = False
if TYPE_CHECKING:
    from helios._core import Engine, Snapshot
    from helios.repository.repository import Repository

LEFT_SHOWN_MAX = 5


class ListedWorktree(Result):
    """A worktree of a repository.

    `root` is its directory, `branch` the one that it follows, `base` the id of the snapshot that
    the disk came from (None before the first). `missing`: the directory is gone, or is no longer
    this worktree. The main one, which the repository is in, is called `main`.
    """

    __slots__ = ("base", "branch", "missing", "name", "root")

    def __init__(self, name: str, root: str, branch: str, base: str | None, missing: bool) -> None:
        self.name = name
        self.root = root
        self.branch = branch
        self.base = base
        self.missing = missing

    @property
    def is_main(self) -> bool:
        """Whether the repository is in it."""
        return self.name == places.MAIN


class AddedWorktree(Result):
    """What was made: the worktree, and the files in it.

    `created`: the branch was made, too. `files` and `bytes` are those of the snapshot, `carried`
    counts the ignored files that came along, and `shared` the files, of both kinds, whose content
    the file system shares with the main worktree's.
    """

    __slots__ = (
        "branch",
        "bytes",
        "carried",
        "created",
        "files",
        "name",
        "root",
        "shared",
        "snapshot",
        "warnings",
    )

    def __init__(
        self,
        place: Place,
        branch: str,
        snapshot: str,
        created: bool,
        counts: tuple[int, int, int, int],
        warnings: list[PathWarning],
    ) -> None:
        self.name = place.name
        self.root = place.root
        self.branch = branch
        self.snapshot = snapshot
        self.created = created
        self.files, self.bytes, self.shared, self.carried = counts
        self.warnings = warnings


class RemovedWorktree(Result):
    """What was removed. `safety` holds what was not committed, on the branch, which stays."""

    __slots__ = ("branch", "missing", "root", "safety")

    def __init__(self, root: str, branch: str, missing: bool, safety: Snapshot | None) -> None:
        self.root = root
        self.branch = branch
        self.missing = missing
        self.safety = safety


def listed(place: Place) -> ListedWorktree:
    """What the repository knows of one worktree."""
    branch, base = read_head(place)
    return ListedWorktree(place.name, place.root, branch, base, not place.is_linked())


def every(repository: str) -> list[ListedWorktree]:
    """All worktrees of the repository in a directory, the main one first, the others by name."""
    main = places.main_place(repository)
    found = [] if main.is_bare else [main]
    return [listed(place) for place in (*found, *places.linked(repository))]


def require_unfollowed(repository: str, branch: str, by: str | None = None) -> None:
    """Raises `Refused` if a worktree, other than the one called `by`, follows the branch."""
    for other in every(repository):
        if other.branch != branch or other.name == by:
            continue
        way = (
            "which is missing; `worktree prune` forgets it"
            if other.missing
            else "and two on one branch would undo each other's work; use another branch"
        )
        raise errors.Refused(f"branch {branch!r} is followed by the worktree {other.root}, {way}")


class Worktrees:
    """Adds and removes the worktrees of one repository."""

    def __init__(
        self, engine: Engine, repository: Repository, main: Place, excludes_file: str | None
    ) -> None:
        self._engine = engine
        self._repository = repository
        self._main = main
        self._excludes_file = excludes_file

    def _turn(self) -> Turn:
        return Turn(os.path.join(self._main.repository, places.WORKTREES))

    def _open(self, place: Place) -> Worktree:
        return Worktree(self._engine, self._repository, place, self._excludes_file)

    def add(self, root: str, branch: str, start: str | Snapshot | None) -> AddedWorktree:
        """See `Repository.add_worktree`."""
        root = os.path.realpath(root)
        if "\n" in root or "\n" in self._main.repository:
            raise errors.InvalidPath(f"{root!r}: no path of a worktree may hold a line break")
        self._require_apart(root)
        with self._turn():
            is_new = require_empty(root)
            head = self._engine.branch(branch)
            if head is not None and start is not None:
                raise errors.BranchExists(
                    f"branch {branch!r} exists already; leave the start out to use it as it is"
                )
            self._forget_missing_at(root)
            require_unfollowed(self._main.repository, branch)
            found = self._repository.resolve("@" if start is None else start)
            snapshot = found if head is None else head
            place = None
            try:
                place = places.reserve(root, self._main.repository)
                return self._fill(place, branch, snapshot, created=head is None)
            except BaseException as error:
                # Nothing was there before, and half a worktree is worse than none.
                empty(root, remove=is_new)
                if place is not None:
                    _remove(place.state)
                if isinstance(error, OSError) and not isinstance(error, errors.HeliosError):
                    raise _told(error, root) from error
                raise

    def _fill(self, place: Place, branch: str, snapshot: str, *, created: bool) -> AddedWorktree:
        os.makedirs(place.root, exist_ok=True)
        worktree = self._open(place)
        *counts, warnings = worktree.populate(snapshot, self._main)
        changes: list[tuple[str, str | None, str | None]] = [
            (WORKTREES + place.name, None, snapshot)
        ]
        if created:
            changes.append((BRANCHES + branch, None, snapshot))
        # Not noted as done in the new worktree, nor in this one: no undo reverts it unasked.
        self._engine.operate(changes, f"worktree add {branch}", notes=[], worktree=None)
        worktree.follow(branch, snapshot)
        place.write()
        files, size, shared, carried = counts
        told = [PathWarning(pair) for pair in warnings]
        return AddedWorktree(place, branch, snapshot, created, (files, size, shared, carried), told)

    def _require_apart(self, root: str) -> None:
        """Refuses a directory in which a worktree's scan would come by the files of another."""
        if {DIRECTORY, ".git"} & set(root.split(os.sep)):
            raise errors.Refused(f"{root} is inside a repository's own directory")
        above = os.path.dirname(root)
        while True:
            if os.path.lexists(os.path.join(above, DIRECTORY)):
                outer = places.find(above)
                if outer is not None and not self._open(outer).ignores(root):
                    raise errors.Refused(
                        f"{root} is inside the worktree {above}, which does not ignore it: "
                        "its snapshots would hold these files, too; use a directory beside it, "
                        "or ignore this one there"
                    )
            if above == os.path.dirname(above):
                return
            above = os.path.dirname(above)

    def _forget_missing_at(self, root: str) -> None:
        for place in places.linked(self._main.repository):
            if place.root == root and not place.is_linked():
                self._forget(place)

    def _forget(self, place: Place) -> None:
        """Removes the state of a worktree, and the ref of what its disk held."""
        name = WORKTREES + place.name
        held = self._engine.reference(name)
        if held is not None:
            command = f"worktree remove {place.name}"
            self._engine.operate([(name, held, None)], command, notes=[], worktree=None)
        dismiss(os.path.join(place.state, "watch"), place.root)
        # First what makes it one, so that nobody finds half of a worktree.
        with suppress(FileNotFoundError):
            os.unlink(os.path.join(place.state, "root"))
        _remove(place.state)

    def _named(self, root: str) -> Place:
        real = os.path.realpath(root)
        if real == os.path.realpath(self._main.root):
            raise errors.Refused(
                f"{root} is the main worktree, which the repository is in; it is not removed"
            )
        for place in places.linked(self._main.repository):
            if os.path.realpath(place.root) == real:
                return place
        raise errors.PathNotFound(
            f"{root} is no worktree of this repository; `worktree list` shows them"
        )

    def remove(self, root: str, *, force: bool) -> RemovedWorktree:
        """See `Repository.remove_worktree`."""
        with self._turn():
            place = self._named(root)
            branch, _ = read_head(place)
            if not place.is_linked():
                self._forget(place)
                return RemovedWorktree(place.root, branch, True, None)
            inner = os.path.join(os.path.realpath(place.root), "")
            for other in places.linked(self._main.repository):
                if other.is_linked() and os.path.realpath(other.root).startswith(inner):
                    raise errors.Refused(
                        f"the worktree {other.root} is inside {place.root}; remove it first"
                    )
            with Turn(place.state):
                safety = self._secure(place, force=force)
                safety = self._put_aside(place) or safety
                self._forget(place)
        return RemovedWorktree(place.root, branch, False, safety)

    def _put_aside(self, place: Place) -> Snapshot | None:
        """Deletes the directory under another name, where nobody writes by its path any more, and
        commits before what was written until then."""
        from tempfile import mkdtemp

        try:
            # A scan passes over a name like this one.
            aside = mkdtemp(prefix=f"{DIRECTORY}-tmp-", dir=os.path.dirname(place.root))
            os.rename(place.root, aside)
        except OSError as error:
            raise _told(error, place.root) from error
        try:
            moved = self._open(Place(aside, place.repository, place.name))
            last = moved.commit_for("worktree remove").snapshot
        except BaseException:
            os.rename(aside, place.root)
            raise
        _remove(aside)
        return last if last.stats is not None else None

    def _secure(self, place: Place, *, force: bool) -> Snapshot | None:
        """Commits what is on disk. Raises `Refused` if something would still be lost."""
        worktree = self._open(place)
        left = [] if force else worktree.leftovers()
        if left:
            more = len(left) - LEFT_SHOWN_MAX
            shown = ", ".join(left[:LEFT_SHOWN_MAX]) + (f" and {more} more" if more > 0 else "")
            raise errors.Refused(
                f"{place.root} holds ignored files that are in no snapshot: {shown}; "
                "move them away, or force it"
            )
        done = worktree.commit_for("worktree remove")
        if done.warnings and not force:
            path, reason = done.warnings[0]
            raise errors.Refused(
                f"{place.root} holds what could not be committed: {path}: {reason}; "
                "mend that, or force it"
            )
        return done.snapshot if done.snapshot.stats is not None else None

    def prune(self) -> list[ListedWorktree]:
        """Forgets the worktrees whose directories are gone; gives them."""
        with self._turn():
            gone = []
            for place in places.linked(self._main.repository):
                found = listed(place)
                if found.missing:
                    self._forget(place)
                    gone.append(found)
            # Left by a process that died, or that waited for its turn while one was removed.
            for state in places.nameless(self._main.repository):
                _remove(state)
            return gone


def _remove(directory: str) -> None:
    from shutil import rmtree

    try:
        rmtree(directory)
    except OSError as error:
        raise errors.StorageError(
            f"{error.filename or directory}: {error.strerror}; what is left of {directory} "
            "can be deleted by hand",
            errno=error.errno,
        ) from error


def _told(error: OSError, root: str) -> errors.HeliosError:
    """The system's error as one of Helios."""
    message = f"{error.filename or root}: {error.strerror}"
    if isinstance(error, PermissionError):
        return errors.ReadOnlyRepository(message)
    return errors.StorageError(message, errno=error.errno)
