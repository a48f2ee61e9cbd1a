"""The worktree: a directory on disk that follows a branch."""

from __future__ import annotations

import os

from helios import errors
from helios.repository.operation import BRANCHES, WORKTREES, Head, Merging, require_free
from helios.repository.result import Result
from helios.repository.standing import forget, read, read_standing, write
from helios.repository.turn import Turn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from helios._core import Diff, Engine, PathConflict, Snapshot
    from helios.repository.merging import Merged
    from helios.repository.options import Path
    from helios.repository.place import Place
    from helios.repository.repository import Repository
    from helios.repository.watch import Watch

MONITORED_MIN = 5_000
"""A look at fewer files and directories costs less than a process that makes it needless."""
SETTLE_S = 0.5
WAIT_S_MAX = 5.0
AS_BEFORE = ""
"""Says that what is merged by hand, if anything, stays what it is."""


class PathWarning(tuple[str, str]):
    """A path that was passed over, and the reason; a pair."""

    __slots__ = ()

    @property
    def path(self) -> str:
        """The path, relative to the root."""
        return self[0]

    @property
    def reason(self) -> str:
        """Why, for a person."""
        return self[1]


class Committed(Result):
    """The snapshot (its `stats` are None if nothing had changed), and warnings."""

    __slots__ = ("snapshot", "warnings")

    def __init__(self, snapshot: Snapshot, warnings: list[PathWarning]) -> None:
        self.snapshot = snapshot
        self.warnings = warnings


class Status(Result):
    """The branch, the snapshot that the disk came from, and how the disk differs from it.

    `base` is that snapshot's id, `head` is the branch's; they differ if somebody else has moved
    the branch. Both are None before the first commit.
    """

    __slots__ = ("base", "branch", "diff", "head", "warnings")

    def __init__(
        self,
        branch: str,
        base: str | None,
        head: str | None,
        diff: Diff,
        warnings: list[PathWarning],
    ) -> None:
        self.branch = branch
        self.base = base
        self.head = head
        self.diff = diff
        self.warnings = warnings


class Restored(Result):
    """What a restore wrote and deleted; `safety` holds what was on disk before, if it was new.

    `conflicts` are those of a restore that was to merge; then nothing was done.
    """

    __slots__ = ("conflicts", "deleted", "safety", "snapshot", "warnings", "written")

    def __init__(
        self,
        snapshot: Snapshot,
        safety: Snapshot | None,
        written: list[str],
        deleted: list[str],
        warnings: list[PathWarning],
        conflicts: list[PathConflict] | None = None,
    ) -> None:
        self.snapshot = snapshot
        self.safety = safety
        self.written = written
        self.deleted = deleted
        self.warnings = warnings
        self.conflicts = conflicts or []


class Switched(Result):
    """The branch that the worktree follows now, its snapshot, and what changed on disk."""

    __slots__ = ("branch", "deleted", "safety", "snapshot", "warnings", "written")

    def __init__(
        self,
        branch: str,
        snapshot: Snapshot | None,
        safety: Snapshot | None,
        written: list[str],
        deleted: list[str],
        warnings: list[PathWarning],
    ) -> None:
        self.branch = branch
        self.snapshot = snapshot
        self.safety = safety
        self.written = written
        self.deleted = deleted
        self.warnings = warnings


class Worktree:
    """A directory that follows a branch. One process at a time works on it; others wait."""

    def __init__(
        self,
        engine: Engine,
        repository: Repository,
        place: Place,
        excludes_file: str | None,
    ) -> None:
        """Use `Repository.worktree`."""
        self._engine = engine
        self._repository = repository
        self._place = place
        self._excludes_file = excludes_file
        self._root = place.root
        self._directory = place.state
        main = None if place.is_main else place.main_root
        self._core = engine.worktree(place.name, self._root, self._directory, excludes_file, main)

    @property
    def root(self) -> str:
        """The worktree's directory."""
        return self._root

    @property
    def name(self) -> str:
        """What the repository calls it: `main` is the one that the repository is in."""
        return self._place.name

    @property
    def branch(self) -> str:
        """The branch that the worktree follows."""
        return self._head()[0]

    @property
    def reference(self) -> str:
        """The ref of what the disk held when it was last changed."""
        return WORKTREES + self.name

    def turn(self) -> Turn:
        """One operation at a time; the first thing is to finish what one that died has begun."""
        return Turn(self._directory, self._settle, self._have_monitored)

    def _settle(self) -> None:
        if os.path.exists(self._path("next")):
            self.follow(*self._head(), self.merging)
            self._forget_next()

    def head(self) -> tuple[str, str | None]:
        """The branch, and what it must be at for a commit to move it."""
        branch, noted = self._head()
        return branch, self._base(branch, noted)

    def _head(self) -> tuple[str, str | None]:
        """The branch, and the id of the snapshot that the disk came from."""
        return self._standing()[:2]

    def _standing(self) -> tuple[str, str | None, str | None]:
        """As `_head`, and the id of the snapshot that a person is merging."""
        noted = read_standing(self._place)
        coming = read(self._place, "next")
        if coming is None:
            return noted
        # An operation was about to put the worktree elsewhere. If it is in the log, it did.
        branch, base, before, merging = coming
        there = (branch, base or None)
        for operation in self._repository.operations():
            if operation.id == before:
                break
            head = operation.head
            if head is not None and head.worktree == self.name and head.new == there:
                return (*there, merging or None)
        return noted

    def _path(self, name: str) -> str:
        return os.path.join(self._directory, name)

    def _forget_next(self) -> None:
        forget(self._place, "next")

    def _base(self, branch: str, base: str | None) -> str | None:
        """What the branch must be at for a commit to move it.

        That is the snapshot that the disk came from. But a process that dies between a commit and
        the note of it leaves an old one noted: then the index tells that the disk is at the newer,
        or, if the process had not come to write the index either, the log.
        """
        head = self._engine.branch(branch)
        if head is None or head == base:
            return base
        if self._core.tree() == self._engine.snapshot(head).tree_id or self._made(
            branch, base, head
        ):
            return head
        return base

    def _made(self, branch: str, base: str | None, head: str) -> bool:
        """Whether a commit of this worktree was the last to move the branch, from `base` to `head`:
        then the process died before it could note that.

        Not so where the directory has gone, and what was noted with it.
        """
        if not os.path.exists(os.path.join(self._place.repository, "format")):
            return False
        for operation in self._repository.operations():
            for change in operation.changes:
                if change.name == BRANCHES + branch:
                    is_commit = operation.verb is None and operation.head is None
                    here = operation.worktree == self.name
                    return is_commit and here and (change.old, change.new) == (base, head)
        return False

    def follow(self, branch: str, base: str | None, merging: str | None = None) -> None:
        """Notes the branch, the snapshot that the disk comes from, and the one that a person is
        merging into it by hand; nothing else."""
        write(self._place, "head", branch, base, merging)

    def begin(self, branch: str, snapshot: str) -> list[PathWarning]:
        """Follows a branch from its snapshot on, and writes its files, in a directory that has
        nothing to lose: the repository was just made."""
        with self.turn():
            *_, warnings = self.populate(snapshot, self._place)
            self.follow(branch, snapshot)
        return _warnings(warnings)

    @property
    def merging(self) -> str | None:
        """The id of the snapshot that a person is merging by hand; the next commit concludes it."""
        branch, noted, merging = self._standing()
        # A commit that died before it was noted here has concluded it.
        return merging if merging and self._base(branch, noted) == noted else None

    def require_branches_of_others(self, gone: list[str]) -> None:
        """Raises `Refused` if another worktree follows one of the refs, which are to go."""
        from helios.repository.worktrees import require_unfollowed

        for name in gone:
            branch = name.removeprefix(BRANCHES)
            require_unfollowed(self._place.repository, branch, self.name)

    def record(
        self,
        changes: list[tuple[str, str | None, str | None]],
        command: str,
        notes: Iterable[str] = (),
        head: tuple[str, str | None] | None = None,
        merging: str | None = AS_BEFORE,
    ) -> str:
        """Changes refs, and puts the worktree elsewhere (`head`, and what a person is `merging`),
        in one operation; gives its id.

        Refs and the note of where the worktree is cannot be changed in one step. So what the note
        will be is written down first, and counts once the operation is in the log.
        """
        now, merged = self._head(), self.merging
        head = head or now
        merging = merged if merging == AS_BEFORE else merging
        if (head, merging) == (now, merged):
            return self._engine.operate(changes, command, notes=[*notes], worktree=self.name)
        if head[0] != now[0]:
            from helios.repository.worktrees import require_unfollowed

            require_unfollowed(self._place.repository, head[0], self.name)
        last = next(iter(self._repository.operations()), None)
        write(self._place, "next", *head, None if last is None else last.id, merging)
        lines = [*notes, Head(self.name, now, head).line(), *self._merging_note(merged, merging)]
        try:
            done = self._engine.operate(changes, command, notes=lines, worktree=self.name)
        except errors.Conflict:
            self._forget_next()
            raise
        self.follow(*head, merging)
        self._forget_next()
        return done

    def _merging_note(self, old: str | None, new: str | None) -> list[str]:
        return [] if old == new else [Merging(self.name, old, new).line()]

    def status(self) -> Status:
        """How the disk differs from the snapshot that it came from."""
        branch, noted = self._head()
        base = self._base(branch, noted)
        diff, warnings = self._core.status(base)
        self._have_monitored()
        return Status(branch, base, self._engine.branch(branch), diff, _warnings(warnings))

    def diff(self, revision: str | Snapshot) -> Diff:
        """How the disk differs from any snapshot."""
        diff, _ = self._core.status(self._repository.snapshot(revision).id)
        self._have_monitored()
        return diff

    def _have_monitored(self) -> None:
        """Has somebody know what changes from now on, if looking at all took long."""
        if self._core.unwatched() >= MONITORED_MIN:
            from helios.repository.monitor import start_if_due

            start_if_due(self._place, self._excludes_file)

    def commit(
        self,
        message: str = "",
        *,
        author: str | None = None,
        metadata: Mapping[str, bytes | str] | None = None,
        allow_empty: bool = False,
    ) -> Committed:
        """Commits what is on disk to the branch.

        If that equals the branch's snapshot, nothing is written and the snapshot is given back,
        unless `allow_empty`. What cannot be read is passed over with a warning. Raises
        `BranchMoved` if another process moved the branch meanwhile; the snapshot is kept. After
        `merge` with markers it concludes the merge: the snapshot has both parents.
        """
        with self.turn():
            return self._commit(message, author, metadata, allow_empty, "commit", concludes=True)

    def _commit(
        self,
        message: str,
        author: str | None,
        metadata: Mapping[str, bytes | str] | None,
        allow_empty: bool,
        command: str,
        concludes: bool = False,
    ) -> Committed:
        """Ends what a person is merging by hand: as both, if it `concludes` that."""
        branch, noted, merging = self._standing()
        base = self._base(branch, noted)
        merging = merging if base == noted else None
        snapshot, warnings = self._core.commit(
            branch,
            base,
            message,
            author=author,
            metadata=None if metadata is None else dict(metadata),
            allow_empty=allow_empty,
            command=command,
            notes=self._merging_note(merging, None),
            merged=merging if concludes else None,
        )
        if snapshot.id != noted:
            self.follow(branch, snapshot.id)
        return Committed(snapshot, _warnings(warnings))

    def _secure(self, command: str) -> tuple[Snapshot, Snapshot | None, list[PathWarning]]:
        """Commits what is on disk and not committed yet: the snapshot of the disk, the same if it
        is new, and warnings.

        If the branch has moved meanwhile, the snapshot is kept without one.
        """
        try:
            done = self._commit(f"before {command}", None, None, False, command)
        except errors.BranchMoved as error:
            if error.snapshot is None:
                raise
            kept = self._engine.snapshot(error.snapshot)
            return kept, kept, []
        held = done.snapshot
        return held, (held if held.stats is not None else None), done.warnings

    def hold(self, command: str) -> tuple[str, Snapshot | None, list[PathWarning]]:
        """Makes what is on disk a snapshot that no branch need name: its id; the snapshot, if it is
        new; and warnings."""
        base = self.head()[1]
        origin = base
        restored = self._engine.reference(self.reference)
        tree = self._core.tree()
        if restored is not None and tree is not None and restored != base:
            known = base is not None and self._engine.snapshot(base).tree_id == tree
            if not known and self._engine.snapshot(restored).tree_id == tree:
                origin = restored
        snapshot, new, warnings = self._on_no_branch(origin, command)
        return snapshot.id, new, warnings

    def keep(self, base: str, command: str) -> tuple[Snapshot | None, list[PathWarning]]:
        """Makes what is on disk a child of `base` that no branch names: the snapshot, None if it is
        the base's tree; and warnings."""
        _, new, warnings = self._on_no_branch(base, command)
        return new, warnings

    def _on_no_branch(
        self, base: str | None, command: str
    ) -> tuple[Snapshot, Snapshot | None, list[PathWarning]]:
        """What is on disk as a child of `base`, or `base` if it is the same; again if it is new."""
        snapshot, warnings = self._core.commit(
            None,
            base,
            f"before {command}",
            author=None,
            metadata=None,
            allow_empty=False,
            command=command,
        )
        return snapshot, (None if snapshot.stats is None else snapshot), _warnings(warnings)

    def commit_for(self, command: str) -> Committed:
        """Commits what is on disk before a command loses it. The caller has the turn."""
        return self._commit(f"before {command}", None, None, False, command)

    def populate(
        self, snapshot: str, main: Place
    ) -> tuple[int, int, int, int, list[tuple[str, str]]]:
        """Fills the directory, which is new or empty, with a snapshot and ignored files: files,
        bytes, files of shared content, ignored files, warnings."""
        return self._core.populate(snapshot, main.root, main.state)

    def leftovers(self) -> list[str]:
        """Ignored files that would be lost with the directory: not those that came along and are
        unchanged, and not caches."""
        return self._core.leftovers()

    def ignores(self, path: str) -> bool:
        """Whether a directory below the root, there or not, is ignored."""
        return self._core.ignores(os.fsencode(os.path.relpath(path, os.path.realpath(self._root))))

    def watch(
        self,
        branch: str | None = None,
        *,
        settle_s: float = SETTLE_S,
        wait_s_max: float = WAIT_S_MAX,
    ) -> Watch:
        """Snapshots the worktree whenever it changes, without touching its branch or its index.

        Iterate over what it gives. The snapshots go to `branch`, by default `watch/` and the branch
        that the worktree follows then. One is made when nothing has changed for `settle_s` seconds,
        or something has for `wait_s_max`. Raises `Refused` if another process watches already.
        """
        from helios.repository.watch import Watch

        return Watch(
            self._engine,
            self._repository,
            self._place,
            self._excludes_file,
            branch=branch,
            settle_s=settle_s,
            wait_s_max=wait_s_max,
        )

    def restore(
        self,
        revision: str | Snapshot,
        *,
        paths: Iterable[Path] | None = None,
        dry_run: bool = False,
        merge: bool = False,
        since: str | Snapshot | None = None,
    ) -> Restored:
        """Brings the disk, or the given paths of it, to a snapshot.

        What is on disk and not committed is committed first, as `safety`. `Repository.undo` takes
        a restore back. The branch stays where it is; the next commit records the result.
        Ignored files are never touched. With `dry_run` nothing is written, and the lists say what
        would be.

        With `merge` what has changed on disk since the last snapshot, or since the snapshot
        `since`, is kept: it is merged into the snapshot that is restored. If they conflict,
        nothing is done, and `conflicts` tells where.
        """
        if since is not None and not merge:
            raise errors.Usage("`since` says from where on changes are kept by `merge`")
        if dry_run and merge:
            raise errors.Usage("`dry_run` does not look at what is on disk, which `merge` keeps")
        target = self._repository.snapshot(revision)
        chosen = None if paths is None else [self._inside(path, target) for path in paths]
        if dry_run:
            written, deleted, warnings, _ = self._core.restore(target.id, chosen, dry_run=True)
            return Restored(target, None, written, deleted, _warnings(warnings))
        with self.turn():
            if merge:
                from helios.repository.merging import restore_merged

                base = None if since is None else self._repository.snapshot(since).id
                return restore_merged(self._engine, self, target, base, chosen)
            command = f"restore {target.id[:12]}"
            held, safety, warned = self._secure(command)
            merging = None if chosen is None else AS_BEFORE
            done = self.carry_out(held, target, safety, command, paths=chosen, merging=merging)
        return Restored(target, safety, done[0], done[1], warned + done[2])

    def merge(
        self,
        revision: str | Snapshot,
        message: str = "",
        *,
        author: str | None = None,
        markers: bool = False,
        dry_run: bool = False,
    ) -> Merged:
        """Merges a snapshot into the branch, and brings the disk there, in one operation.

        What is on disk and not committed is committed first. If the sides conflict nothing is
        done, and the result says where; with `markers` the disk gets what could be merged, texts
        with both versions in marked sections, and the next `commit` concludes the merge. With
        `dry_run` nothing is written; what is not committed is not looked at then.
        """
        from helios.repository.merging import merge

        theirs = self._repository.snapshot(revision)
        with self.turn():
            return merge(
                self._engine, self, theirs, str(revision), message, author, markers, dry_run
            )

    def carry_out(
        self,
        held: Snapshot,
        target: Snapshot,
        safety: Snapshot | None,
        command: str,
        *,
        paths: list[bytes] | None = None,
        head: tuple[str, str | None] | None = None,
        moves: Iterable[tuple[str, str | None, str | None]] = (),
        merging: str | None = AS_BEFORE,
    ) -> tuple[list[str], list[str], list[PathWarning]]:
        """Brings the disk from the snapshot that it holds to another, and records that as one
        operation, with the `moves` of refs, the worktree's new `head` and what is `merging`: paths
        written, paths deleted, warnings.

        If a ref has moved meanwhile the disk goes back, and `BranchMoved` is raised.
        """
        try:
            written, deleted, warnings, tree = self._bring(target.id, paths, safety)
        except errors.HeliosError:
            # What was done until then can be undone, too.
            self._record_disk(held, target, self._core.tree(), command)
            raise
        try:
            self._record_disk(held, target, tree, command, head, moves, merging)
        except errors.Conflict:
            self._bring(held.id, None, safety)
            raise
        return written, deleted, _warnings(warnings)

    def _record_disk(
        self,
        held: Snapshot,
        target: Snapshot,
        tree: str | None,
        command: str,
        head: tuple[str, str | None] | None = None,
        moves: Iterable[tuple[str, str | None, str | None]] = (),
        merging: str | None = AS_BEFORE,
    ) -> None:
        """Records that the disk held one snapshot, was to be brought to another, and has `tree`
        now, which may be something in between."""
        changes = list(moves)
        if tree is not None and tree != held.tree_id:
            after = target.id
            if tree != target.tree_id:
                after = self._engine.store_snapshot(tree, [held.id], f"after {command}")
            changes.append((self.reference, held.id, after))
        is_elsewhere = head is not None and head != self._head()
        if changes or is_elsewhere or merging not in (AS_BEFORE, self.merging):
            self.record(changes, command, head=head, merging=merging)

    def bring(
        self, target: str, safety: Snapshot | None
    ) -> tuple[list[str], list[str], list[PathWarning]]:
        """Brings the disk, which must just have been made a snapshot, to another one: paths
        written, paths deleted, warnings."""
        written, deleted, warnings, _ = self._bring(target, None, safety)
        return written, deleted, _warnings(warnings)

    def _bring(
        self, target: str, paths: list[bytes] | None, safety: Snapshot | None
    ) -> tuple[list[str], list[str], list[tuple[str, str]], str | None]:
        """Brings the disk to a snapshot; if that fails half way, the error names the safety one."""
        try:
            return self._core.restore(target, paths, dry_run=False)
        except errors.HeliosError as error:
            if safety is not None:
                # No branch need hold it.
                error.args = (f"{error}; what was on disk before is snapshot {safety.id}",)
            raise

    def _inside(self, path: Path, target: Snapshot) -> bytes:
        """A path as the tree names it: relative to the root. It must be there or in the target."""
        given = os.fsdecode(path)
        absolute = os.path.normpath(os.path.join(self._root, given))
        relative = os.path.relpath(absolute, self._root)
        if relative == os.curdir:
            return b""
        if relative.startswith(os.pardir + os.sep) or relative == os.pardir:
            raise errors.InvalidPath(f"{given!r} is outside of the worktree {self._root}")
        encoded = os.fsencode(relative.replace(os.sep, "/"))
        on_disk = os.path.lexists(absolute)
        if not on_disk and not self._engine.vst_of_snapshot(target.id).exists(encoded):
            raise errors.PathNotFound(
                f"{given!r} is neither in snapshot {target.id[:12]} nor on disk"
            )
        return encoded

    def switch(self, branch: str, *, create: bool = False) -> Switched:
        """Follows another branch, and brings the disk to its snapshot.

        What is on disk and not committed is committed to the old branch first. With `create` the
        branch is made at the snapshot that the disk came from. To switch to the branch that is
        followed already takes over what others have committed to it.
        """
        with self.turn():
            return self._switch(branch, create)

    def _switch(self, branch: str, create: bool) -> Switched:
        exists = self._engine.branch(branch) is not None
        if create:
            require_free(branch, self._engine)
        if not exists and not create and branch != self.branch:
            raise errors.UnknownRevision(
                f"there is no branch {branch!r}; `switch -c {branch}` makes it"
            )
        from helios.repository.worktrees import require_unfollowed

        require_unfollowed(self._place.repository, branch, self.name)
        command = f"switch -c {branch}" if create else f"switch {branch}"
        held, safety, warned = self._secure(command)
        if create:
            head = (branch, held.id)
            self.record([(BRANCHES + branch, None, held.id)], command, head=head, merging=None)
            return Switched(branch, held, safety, [], [], warned)
        target = self._engine.branch(branch)
        if target is None:
            return Switched(branch, None, safety, [], [], warned)
        snapshot = self._engine.snapshot(target)
        head = (branch, target)
        done = self.carry_out(held, snapshot, safety, command, head=head, merging=None)
        return Switched(branch, snapshot, safety, done[0], done[1], warned + done[2])


def _warnings(found: list[tuple[str, str]]) -> list[PathWarning]:
    return [PathWarning(pair) for pair in found]
