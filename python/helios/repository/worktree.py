"""The worktree: a directory on disk that follows a branch."""

from __future__ import annotations

import os

from helios import errors
from helios.repository.result import Result
from helios.repository.turn import Turn

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping

    from helios._core import Diff, Engine, Merge, PathConflict, Snapshot
    from helios.repository.place import Place
    from helios.repository.repository import Path, Repository
    from helios.repository.watch import Watch

DEFAULT_BRANCH = "main"
SETTLE_S = 0.5
WAIT_S_MAX = 5.0


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

    `conflicts` are those of a restore that merges: if there are any, nothing was done.
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


class Merged(Result):
    """What a merge into the worktree did, or would do.

    `merge` holds the outcome and the conflicts; `snapshot` is where the branch is now, None if
    nothing was merged; `safety` is what was on disk before, if it was new.
    """

    __slots__ = ("branch", "deleted", "merge", "safety", "snapshot", "warnings", "written")

    def __init__(
        self,
        branch: str,
        merge: Merge,
        snapshot: Snapshot | None,
        safety: Snapshot | None,
        written: list[str],
        deleted: list[str],
        warnings: list[PathWarning],
    ) -> None:
        self.branch = branch
        self.merge = merge
        self.snapshot = snapshot
        self.safety = safety
        self.written = written
        self.deleted = deleted
        self.warnings = warnings


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
        self._core = engine.worktree(self._root, self._directory, excludes_file, main)

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

    def _head(self) -> tuple[str, str | None]:
        """The branch, and the id of the snapshot that the disk came from."""
        return read_head(self._place)

    def _base(self, branch: str, base: str | None) -> str | None:
        """What the branch must be at for a commit to move it.

        That is the snapshot that the disk came from. But a process that dies between a commit and
        the note of it leaves an old one noted; the index tells that the disk is at the newer.
        """
        head = self._engine.branch(branch)
        if head is None or head == base:
            return base
        return head if self._core.tree() == self._engine.snapshot(head).tree_id else base

    def follow(self, branch: str, base: str | None, merging: str | None = None) -> None:
        """Notes the branch, the snapshot that the disk comes from, and the one that a person is
        merging into it by hand; nothing else."""
        path = os.path.join(self._directory, "head")
        temporary = f"{path}.{os.getpid()}"
        try:
            os.makedirs(self._directory, exist_ok=True)
            with open(temporary, "w", encoding="utf-8") as file:
                file.write(f"{branch}\n{base or ''}\n")
                if merging is not None:
                    file.write(f"{merging}\n")
            os.replace(temporary, path)
        except OSError as error:
            raise errors.StorageError(f"{path}: {error.strerror}", errno=error.errno) from error

    def status(self) -> Status:
        """How the disk differs from the snapshot that it came from."""
        branch, noted = self._head()
        base = self._base(branch, noted)
        diff, warnings = self._core.status(base)
        return Status(branch, base, self._engine.branch(branch), diff, _warnings(warnings))

    def diff(self, revision: str | Snapshot) -> Diff:
        """How the disk differs from any snapshot."""
        return self._core.status(self._repository.snapshot(revision).id)[0]

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
        with Turn(self._directory):
            merging = read_noted(self._place)[2]
            return self._commit(message, author, metadata, allow_empty, "commit", merging)

    def _commit(
        self,
        message: str,
        author: str | None,
        metadata: Mapping[str, bytes | str] | None,
        allow_empty: bool,
        command: str,
        merging: str | None = None,
    ) -> Committed:
        branch, noted, noted_merging = read_noted(self._place)
        base = self._base(branch, noted)
        snapshot, warnings = self._core.commit(
            branch,
            base,
            message,
            author=author,
            metadata=None if metadata is None else dict(metadata),
            allow_empty=allow_empty,
            command=command,
            merged=merging,
        )
        if snapshot.id != noted or noted_merging is not None:
            self.follow(branch, snapshot.id)
        return Committed(snapshot, _warnings(warnings))

    def _secure(self, command: str) -> tuple[Snapshot | None, list[PathWarning]]:
        """Commits what is on disk and not committed yet; the snapshot, if there was anything.

        If the branch has moved meanwhile, the snapshot is kept without one.
        """
        try:
            done = self._commit(f"before {command}", None, None, False, command)
        except errors.BranchMoved as error:
            kept = error.snapshot
            return (None if kept is None else self._engine.snapshot(kept)), []
        return (done.snapshot if done.snapshot.stats is not None else None), done.warnings

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

        What is on disk and not committed is committed first, so that a restore can be undone by
        restoring `safety`. The branch stays where it is; the next commit records the result.
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
            written, deleted, warnings = self._core.restore(target.id, chosen, dry_run=True)
            return Restored(target, None, written, deleted, _warnings(warnings))
        with Turn(self._directory):
            if merge:
                base = None if since is None else self._repository.snapshot(since)
                return self._restore_merged(target, base, chosen)
            safety, warned = self._secure(f"restore {target.id[:12]}")
            written, deleted, warnings = self._bring(target.id, chosen, safety)
        return Restored(target, safety, written, deleted, warned + _warnings(warnings))

    def _restore_merged(
        self, target: Snapshot, since: Snapshot | None, paths: list[bytes] | None
    ) -> Restored:
        command = f"restore --merge {target.id[:12]}"
        branch, base = self._settled()
        disk, warned = self._keep(base, command)
        names = ("disk", target.id[:12])
        by = base if since is None else since.id
        merge = self._engine.merge_trees(by, base if disk is None else disk.id, target.id, names)
        if merge.conflicts:
            return Restored(target, None, [], [], warned, merge.conflicts)
        self._take(branch, base, disk, command)
        merged = merge.commit(command)
        written, deleted, warnings = self._bring(merged.id, paths, disk)
        return Restored(target, disk, written, deleted, warned + _warnings(warnings))

    def merge(
        self,
        revision: str | Snapshot,
        message: str = "",
        *,
        author: str | None = None,
        markers: bool = False,
        dry_run: bool = False,
    ) -> Merged:
        """Merges a snapshot into the branch, and brings the disk there.

        What is on disk and not committed is committed first. If the sides conflict nothing is
        done, and the result says where; with `markers` the disk gets what could be merged, texts
        with both versions in marked sections, and the next `commit` concludes the merge. With
        `dry_run` nothing is written; what is not committed is not looked at then.
        """
        theirs = self._repository.snapshot(revision)
        with Turn(self._directory):
            return self._merge(theirs, str(revision), message, author, markers, dry_run)

    def _merge(
        self,
        theirs: Snapshot,
        name: str,
        message: str,
        author: str | None,
        markers: bool,
        dry_run: bool,
    ) -> Merged:
        branch, base = self._settled()
        name = theirs.id[:12] if name == theirs.id else name
        command = f"merge {name}"
        disk, warned = (None, []) if dry_run else self._keep(base, command)
        ours = base if disk is None else disk.id
        merge = self._engine.merge(ours, theirs.id, branch, (branch, name))
        conflicted = merge.outcome == "conflicts"
        if dry_run and not conflicted:
            diff = merge.vst().diff(ours)
            written = [each.path for each in [*diff.added, *diff.changed]]
            written += [each.path for each in diff.renamed]
            deleted = [each.path for each in diff.deleted]
            deleted += [each.old_path for each in diff.renamed]
            return Merged(branch, merge, None, None, sorted(written), sorted(deleted), [])
        if dry_run or merge.outcome == "up-to-date" or (conflicted and not markers):
            return Merged(branch, merge, None, None, [], [], warned)
        self._take(branch, base, disk, command)
        if conflicted:
            # On no branch: it only says what the disk is to be.
            marked = merge.vst(markers=True).fork().commit(command)
            self.follow(branch, ours, theirs.id)
            written, deleted, warnings = self._bring(marked.id, None, disk)
            warned += _warnings(warnings)
            return Merged(branch, merge, None, disk, written, deleted, warned)
        snapshot = merge.commit(message or f"merge {name} into {branch}", author=author)
        written, deleted, warnings = self._bring(snapshot.id, None, disk)
        self.follow(branch, snapshot.id)
        return Merged(branch, merge, snapshot, disk, written, deleted, warned + _warnings(warnings))

    def _settled(self) -> tuple[str, str]:
        """The branch and its snapshot, which the disk must have come from."""
        branch, noted, merging = read_noted(self._place)
        if merging is not None:
            raise errors.Refused(
                f"the merge of {merging[:12]} is not finished: `commit` concludes it, "
                f"`restore {branch}` gives it up"
            )
        base, head = self._base(branch, noted), self._engine.branch(branch)
        if head is None:
            raise errors.UnknownRevision(
                f"branch {branch!r} has no snapshot yet; make one with `commit`"
            )
        if base is None or base != head:
            raise errors.BranchMoved(
                f"branch {branch!r} has moved since the disk was brought to it; "
                f"`switch {branch}` takes over what is there",
                branch=branch,
                expected=base,
                actual=head,
                snapshot=None,
            )
        return branch, base

    def _keep(self, base: str, command: str) -> tuple[Snapshot | None, list[PathWarning]]:
        """Commits what is on disk and not committed yet, on no branch as long as nothing is done
        with it; the snapshot, if there was anything."""
        snapshot, warnings = self._core.commit(
            None,
            base,
            f"before {command}",
            author=None,
            metadata=None,
            allow_empty=False,
            command=command,
        )
        return (None if snapshot.stats is None else snapshot), _warnings(warnings)

    def _take(self, branch: str, base: str, disk: Snapshot | None, command: str) -> None:
        """Moves the branch to what `_keep` gave."""
        if disk is not None:
            self._engine.move_branch(branch, base, disk.id, command)
            self.follow(branch, disk.id)

    def _bring(
        self, target: str, paths: list[bytes] | None, safety: Snapshot | None
    ) -> tuple[list[str], list[str], list[tuple[str, str]]]:
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
        with Turn(self._directory):
            return self._switch(branch, create)

    def _switch(self, branch: str, create: bool) -> Switched:
        exists = self._engine.branch(branch) is not None
        if exists and create:
            raise errors.BranchExists(f"branch {branch!r} exists already")
        if not exists and not create and branch != self.branch:
            raise errors.UnknownRevision(
                f"there is no branch {branch!r}; `switch -c {branch}` makes it"
            )
        from helios.repository.worktrees import require_unfollowed

        require_unfollowed(self._place.repository, branch, self.name)
        safety, warned = self._secure(f"switch {branch}")
        if create:
            base = self._head()[1] if safety is None else safety.id
            if base is not None:
                self._engine.move_branch(branch, None, base, f"switch -c {branch}")
            self.follow(branch, base)
            snapshot = None if base is None else self._engine.snapshot(base)
            return Switched(branch, snapshot, safety, [], [], warned)
        target = self._engine.branch(branch)
        if target is None:
            return Switched(branch, None, safety, [], [], warned)
        written, deleted, warnings = self._bring(target, None, safety)
        self.follow(branch, target)
        snapshot = self._engine.snapshot(target)
        return Switched(branch, snapshot, safety, written, deleted, warned + _warnings(warnings))


def read_head(place: Place) -> tuple[str, str | None]:
    """The branch that a worktree follows, and the id of the snapshot that its disk came from."""
    return read_noted(place)[:2]


def read_noted(place: Place) -> tuple[str, str | None, str | None]:
    """As `read_head`, and the id of the snapshot that a person is merging by hand."""
    path = os.path.join(place.state, "head")
    try:
        with open(path, encoding="utf-8") as file:
            branch, base, merging, *_ = [*file.read().rstrip("\n").split("\n"), "", ""]
    except FileNotFoundError:
        if place.is_main:
            return DEFAULT_BRANCH, None, None
        raise errors.Refused(f"the worktree {place.root} has been removed") from None
    except UnicodeDecodeError as error:
        raise errors.StorageError(
            f"{path} does not hold the name of a branch; write one there"
        ) from error
    except OSError as error:
        raise errors.StorageError(f"{path}: {error.strerror}", errno=error.errno) from error
    return branch or DEFAULT_BRANCH, base or None, merging or None


def _warnings(found: list[tuple[str, str]]) -> list[PathWarning]:
    return [PathWarning(pair) for pair in found]
