"""The repository: where snapshots, branches and the worktree come together."""

from __future__ import annotations

import os
from _weakref import ref

from helios import errors
from helios._core import Engine, Snapshot
from helios.repository import place as places
from helios.repository import revision as revisions
from helios.repository.account import user_at_host
from helios.repository.operation import BRANCHES, TAGS, require_free
from helios.repository.place import DIRECTORY, Place
from helios.store.closing import Closing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator
    from typing import Self, Unpack

    from helios._core import VST, Diff, Entry, Merge
    from helios.repository.gc import Collected
    from helios.repository.maintenance import Caller, Maintained
    from helios.repository.materialized import Materialized
    from helios.repository.operation import Changes, Operation
    from helios.repository.options import Durability, Options, Path
    from helios.repository.undo import History, Undone
    from helios.repository.verify import Verified
    from helios.repository.worktree import Restored, Worktree
    from helios.repository.worktrees import (
        AddedWorktree,
        ListedWorktree,
        RemovedWorktree,
        Worktrees,
    )
    from helios.store import Store
    from helios.store.git.derived import Derived


DEFAULT_BRANCH = "main"
CACHE_BYTES = 64 << 20
WRITER_WAIT_S = 30.0


class Repository(Closing):
    """A Helios repository. Threads may share it, and any number of processes may have it open.

    Snapshots are given as `Snapshot`, full id, branch, tag, unambiguous prefix of an id of at least
    4 digits, `@` (the worktree's branch), or any of these with `~N` for the N-th first parent.
    """

    def __init__(
        self,
        engine: Engine,
        store: Store | None,
        place: Place | None,
        excludes_file: str | None = None,
    ) -> None:
        """Wires the parts; use `init`, `open`, `discover` or `memory`."""
        self._engine = engine
        self._store = store
        # Of a worktree; a bare repository has a directory, and none of these.
        self._place = None if place is None or place.is_bare else place
        self._directory = None if place is None else place.repository
        self._excludes_file = excludes_file
        self._worktree: Worktree | None = None
        # The engine of a verification that runs, which has one of its own.
        self._verifying: Engine | None = None
        # The engine must not keep the repository alive, which holds the engine.
        alive = ref(self)

        def resolve(revision: str) -> str:
            repository = alive()
            if repository is None:
                raise errors.Usage("the repository is closed: give a full id or a Snapshot")
            return repository.resolve(revision)

        engine.set_resolver(resolve)

    @classmethod
    def init(
        cls,
        path: Path = ".",
        *,
        force: bool = False,
        bare: bool = False,
        **options: Unpack[Options],
    ) -> Self:
        """Makes a repository in the directory `path`, which is made too if it is not there.

        If there is one already it is opened. With `bare` the directory becomes the repository
        itself, without a worktree. Options are those of `open`. Raises `Refused` for the home
        directory and `/`, unless `force`; `TargetNotEmpty` if a bare one would have company.
        """
        from helios.repository.making import make, make_bare, refuse_roots

        root = _absolute(path)
        if not force:
            refuse_roots(root)
        if places.find(root) is None:
            make_bare(root) if bare else make(root, os.path.join(root, DIRECTORY))
        return cls.open(root, **options)

    @classmethod
    def open(cls, path: Path = ".", **options: Unpack[Options]) -> Self:
        """Opens the repository of the worktree `path`, be it the main one or a linked one.

        `durability` says what a finished commit survives: `process` (the default) the death of the
        process, `disk` also a power cut. `cache_bytes` bounds the L1 cache; 64 MiB by default.
        `author` is put into snapshots. `actor` (by default the account and the machine) and
        `command` (by default the call) go into the operation log. `excludes_file` is git's
        `core.excludesFile`. Raises `NotARepository`, `FormatTooNew`, `CorruptJournal`,
        `StorageError`.
        """
        root = _absolute(path)
        return cls._at(places.find(root) or Place(root, os.path.join(root, DIRECTORY)), **options)

    @classmethod
    def at(cls, directory: Path, **options: Unpack[Options]) -> Self:
        """As `open`, by the repository's own directory (`.helios`)."""
        return cls._at(places.main_place(_absolute(directory)), **options)

    @classmethod
    def _at(
        cls,
        place: Place,
        *,
        durability: Durability = "process",
        cache_bytes: int = CACHE_BYTES,
        author: str = "",
        actor: str = "",
        command: str = "",
        excludes_file: Path | None = None,
    ) -> Self:
        from helios.store.derived import DerivedStore
        from helios.store.rocksdb import RocksStore

        directory = place.repository
        if not places.is_repository(directory):
            raise errors.NotARepository(
                f"{place.root or directory} is not a Helios repository; `helios-cli init` makes one"
            )
        l2 = RocksStore.open(os.path.join(directory, "l2"), writable=False)
        store = DerivedStore(l2, directory)
        engine = Engine.open(
            directory,
            durability=durability,
            cache_bytes=cache_bytes,
            store=store,
            author=author,
            actor=actor or user_at_host(),
            command=command,
            maintenance=_maintenance_command(directory),
        )
        excludes = None if excludes_file is None else os.fsdecode(excludes_file)
        return cls(engine, store, place, excludes)

    @classmethod
    def discover(cls, start: Path = ".", **options: Unpack[Options]) -> Self:
        """As `open`, for `start` or the nearest directory above it that is in a repository."""
        at = first = _absolute(start)
        while (place := places.find(at)) is None:
            above = os.path.dirname(at)
            if above == at:
                raise errors.NotARepository(
                    f"neither {first} nor a directory above it is a Helios repository; "
                    "`helios-cli init` makes one"
                )
            at = above
        return cls._at(place, **options)

    @classmethod
    def memory(cls, *, cache_bytes: int = CACHE_BYTES, author: str = "") -> Self:
        """A repository without a disk, which ends with the process."""
        from helios.store.memory import MemoryStore

        store = MemoryStore()
        engine = Engine.memory(
            cache_bytes=cache_bytes, store=store, author=author, actor=user_at_host()
        )
        return cls(engine, store, None)

    @property
    def root(self) -> str | None:
        """The worktree's root: the directory that was opened, or the nearest above it."""
        return None if self._place is None else self._place.root

    @property
    def directory(self) -> str | None:
        """The repository's own directory, the `.helios` of the main worktree; None in memory."""
        return self._directory

    @property
    def derived(self) -> Derived | None:
        """What is derived from git's objects; None where no git repository is beside it."""
        from helios.store.derived import DerivedStore

        return self._store.derived if isinstance(self._store, DerivedStore) else None

    @property
    def writable(self) -> bool:
        """Whether the repository can be committed to."""
        return self._engine.writable

    @property
    def worktree(self) -> Worktree:
        """The directory that follows a branch. Raises `Refused` if there is none."""
        from helios.repository.worktree import Worktree

        if self._place is None:
            raise errors.Refused("this repository has no worktree; use `vst`")
        if self._worktree is None:
            self._worktree = Worktree(self._engine, self, self._place, self._excludes_file)
        return self._worktree

    def worktrees(self) -> list[ListedWorktree]:
        """All worktrees of the repository, the main one first."""
        from helios.repository.worktrees import every

        return [] if self._directory is None else every(self._directory)

    def add_worktree(
        self, directory: Path, branch: str, start: str | Snapshot | None = None
    ) -> AddedWorktree:
        """Makes `directory`, which is new or empty, a worktree that follows `branch`.

        The branch is made at `start` (by default `@`) if it is not there; `start` is not for one
        that is. Content is shared with the main worktree where the file system can. Ignored files
        that the main worktree's `.worktreeinclude` names come along. Raises `TargetNotEmpty`,
        `BranchExists`, `UnknownRevision`, `StorageError`, and `Refused` if another worktree follows
        the branch or would see the new one's files.
        """
        return self._worktrees().add(_absolute(directory), branch, start)

    def remove_worktree(self, directory: Path, *, force: bool = False) -> RemovedWorktree:
        """Deletes a worktree's directory. What is not committed is committed first; the branch
        stays. If the directory is gone already, the worktree is forgotten.

        Raises `Refused`, unless `force`, if ignored files would be lost that neither came along
        unchanged nor are caches, or files that cannot be read; `BranchMoved` if somebody else has
        moved the branch.
        """
        return self._worktrees().remove(_absolute(directory), force=force)

    def prune_worktrees(self) -> list[ListedWorktree]:
        """Forgets the worktrees whose directories are missing; gives them."""
        return self._worktrees().prune()

    def _worktrees(self) -> Worktrees:
        from helios.repository.worktrees import Worktrees

        if self._directory is None:
            raise errors.Refused("a repository in memory has no worktrees; use `vst`")
        main = places.main_place(self._directory)
        if main.is_bare:
            raise errors.Refused("a bare repository has no worktrees; use `materialize`")
        return Worktrees(self._engine, self, main, self._excludes_file)

    def resolve(self, revision: str | Snapshot) -> str:
        """The full id of a snapshot. Raises `UnknownRevision` or `AmbiguousRevision`."""
        if isinstance(revision, Snapshot):
            return revision.id
        if not isinstance(revision, str):
            raise TypeError(f"a revision is a str or a Snapshot, not {type(revision).__name__}")
        return revisions.resolve(revision, self._engine, self._store, self.head)

    @property
    def head(self) -> str:
        """The branch that `@` means: the worktree's; without one that of git's HEAD, or `main`."""
        if self._place is not None:
            return self.worktree.branch
        return (self.derived and self.derived.head()) or DEFAULT_BRANCH

    def snapshot(self, revision: str | Snapshot = "@") -> Snapshot:
        """A snapshot by name. Raises as `resolve`."""
        return self._engine.snapshot(self.resolve(revision))

    def snapshots(self, ids: Iterable[str]) -> list[Snapshot]:
        """Snapshots by their full ids, in order; faster than one by one."""
        return self._engine.snapshots(list(ids))

    def vst(self, what: str | Snapshot = DEFAULT_BRANCH) -> VST:
        """A virtual state tree over a branch, which its commits move, or over a snapshot.

        The default branch may be unborn: its VST is empty, and its first commit makes it.
        """
        if what == "@":
            what = self.head
        if isinstance(what, str) and (what == DEFAULT_BRANCH or self._is_branch(what)):
            return self._engine.vst_of_branch(what)
        return self._engine.vst_of_snapshot(self.resolve(what))

    def branches(self, limit: int | None = None) -> dict[str, str]:
        """All branches and the ids of their snapshots, by name; or the first `limit`."""
        return self._engine.references(BRANCHES, limit)

    def branch(self, name: str) -> str | None:
        """The id of a branch's snapshot; None if there is no such branch."""
        return self._engine.branch(name)

    def tags(self, limit: int | None = None) -> dict[str, str]:
        """All tags and the ids of their snapshots, by name; or the first `limit`."""
        return self._engine.references(TAGS, limit)

    def create_branch(self, name: str, start: str | Snapshot = "@") -> str:
        """Makes a branch at a snapshot, and gives the snapshot's id.

        Raises `InvalidName`, `BranchExists` (also if there is such a tag), and as `resolve`.
        """
        found = self.resolve(start)
        require_free(name, self._engine)
        # A worktree that follows it does not have the files.
        here = name != self.head
        self.operate([(BRANCHES + name, None, found)], f"branch {name}", in_worktree=here)
        return found

    def rename_branch(self, old: str, new: str) -> str:
        """Renames a branch, and gives the id of its snapshot. A worktree on it follows.

        Raises `UnknownRevision`, `InvalidName`, `BranchExists`.
        """
        if self._place is None:
            return self._rename_branch(old, new)
        with self.worktree.turn():
            return self._rename_branch(old, new)

    def _rename_branch(self, old: str, new: str) -> str:
        found = self._engine.branch(old)
        if found is None:
            raise errors.UnknownRevision(f"there is no branch {old!r}; `branch` lists them")
        require_free(new, self._engine)
        changes = [(BRANCHES + old, found, None), (BRANCHES + new, None, found)]
        command = f"branch -m {old} {new}"
        if self._place is None:
            self.operate(changes, command)
        else:
            branch, base = self.worktree.head()
            self.worktree.require_branches_of_others([BRANCHES + old])
            self.worktree.record(changes, command, head=(new, base) if branch == old else None)
        return found

    def create_tag(self, name: str, revision: str | Snapshot = "@", *, force: bool = False) -> str:
        """Puts a tag on a snapshot, and gives the snapshot's id. With `force` it may be moved.

        Raises `InvalidName`, `BranchExists` (if there is such a branch, or tag), and as `resolve`.
        """
        found = self.resolve(revision)
        old = self._engine.tag(name)
        if old is None or not force:
            require_free(name, self._engine)
        if old != found:
            self.operate([(TAGS + name, old, found)], f"tag {name}")
        return found

    def delete_tag(self, name: str) -> str:
        """Deletes a tag, and gives the id of its snapshot, which is kept."""
        found = self._engine.tag(name)
        if found is None:
            raise errors.UnknownRevision(f"there is no tag {name!r}; `tag` lists them")
        self.operate([(TAGS + name, found, None)], f"tag -d {name}")
        return found

    def operate(self, changes: Changes, command: str, *, in_worktree: bool = True) -> str:
        """Moves refs (`heads/main`, `tags/v1`), all or none, by compare-and-swap: each from its
        old snapshot to its new one, where None is "is not there". Gives the operation's id.

        Not `in_worktree` is what comes from elsewhere: a worktree that follows such a branch has
        not seen the change. Raises `BranchMoved` if one of them is elsewhere.
        """
        name = self.worktree.name if in_worktree and self._place is not None else None
        return self._engine.operate(changes, command, notes=[], worktree=name)

    def operations(self, limit: int | None = None) -> Iterator[Operation]:
        """The operation log, newest first: every change of refs, by whom and by which command."""
        from itertools import islice

        from helios.repository.operation import operations

        return islice(operations(self._engine, self._store), limit)

    def undo(self, operation: str | None = None) -> Undone:
        """Reverts an operation by a new one; undoing again steps further back.

        Without a name, that is the last one which was done in this worktree, or to its branch, and
        still stands. With one (an id, a prefix of at least 4 digits, or `@`) it is that, whoever
        did it. If it changed files of the worktree they are brought back; what is on disk and not
        committed is made a snapshot first. Raises `NothingToUndo`, `UnknownOperation`,
        `AmbiguousOperation`, `BranchMoved` if what it did was changed since, and `Refused` if it
        changed another worktree.
        """
        return self._history().undo(operation)

    def redo(self) -> Undone:
        """Reverts the last undo, if nothing was done here since. Raises as `undo`."""
        return self._history().redo()

    def restore_operation(self, operation: str) -> Undone:
        """Brings all refs to what they were right after an operation, and this worktree's files
        as far as operations have changed them since. Raises as `undo`."""
        return self._history().restore(operation)

    def _history(self) -> History:
        from helios.repository.undo import History

        worktree = None if self._place is None else self.worktree
        return History(self._engine, self._store, worktree)

    def delete_branch(self, name: str) -> str:
        """Deletes a branch, and gives the id of its snapshot, which is kept."""
        found = self._engine.branch(name)
        if found is None:
            raise errors.UnknownRevision(f"there is no branch {name!r}; `branch` lists them")
        for worktree in self.worktrees():
            if worktree.branch == name:
                gone = ("", "`switch` to another first")
                if worktree.missing:
                    gone = (", which is missing,", "`worktree prune` forgets it")
                raise errors.Refused(
                    f"the worktree {worktree.root}{gone[0]} is on branch {name!r}; {gone[1]}"
                )
        self.operate([(BRANCHES + name, found, None)], f"branch -d {name}")
        return found

    def log(
        self,
        revision: str | Snapshot = "@",
        limit: int | None = None,
        *,
        topological: bool = False,
    ) -> Iterator[Snapshot]:
        """A snapshot and all its ancestors that gc has kept, each once, newest first.

        A clock that was set back may show a parent before its child; not so if `topological`, for
        which all of history is read first.
        """
        from itertools import islice

        from helios.repository.ancestors import by_time, topologically

        def ancestors() -> Iterator[Snapshot]:
            walk = topologically if topological else by_time
            yield from walk(self.snapshot(revision), self._engine)

        return islice(ancestors(), limit)

    def diff(self, old: str | Snapshot, new: str | Snapshot) -> Diff:
        """What differs between two snapshots: added, changed, deleted, renamed."""
        return self._engine.diff(self.resolve(old), self.resolve(new))

    def changes(self, revision: str | Snapshot) -> Diff:
        """What a snapshot changed: how it differs from its first parent, or from nothing."""
        snapshot = self.snapshot(revision)
        return self._engine.diff(next(iter(snapshot.parents), None), snapshot.id)

    def merge(self, ours: str | Snapshot, theirs: str | Snapshot) -> Merge:
        """Merges `theirs` into `ours`, three-way by their common ancestors.

        Computes only: `Merge.commit` makes the snapshot, and moves `ours` if that is a branch.
        Conflicts are data in the result. Raises as `resolve`.
        """
        from helios.repository.merging import label

        if ours == "@":
            ours = self.head
        ids = self.resolve(ours), self.resolve(theirs)
        branch = ours if isinstance(ours, str) and self._is_branch(ours) else None
        return self._engine.merge(*ids, branch, (label(ours), label(theirs)))

    def merge_trees(
        self, base: str | Snapshot | None, ours: str | Snapshot, theirs: str | Snapshot
    ) -> Merge:
        """Merges by a base of the caller's choice, or by nothing, whatever the history.

        A commit of the result has `ours` as its only parent, and moves no branch.
        """
        from helios.repository.merging import label

        found = None if base is None else self.resolve(base)
        ids = self.resolve(ours), self.resolve(theirs)
        return self._engine.merge_trees(found, *ids, (label(ours), label(theirs)))

    def _is_branch(self, name: str) -> bool:
        try:
            return self._engine.branch(name) is not None
        except ValueError:
            # Not even a possible name of a branch.
            return False

    def read(self, revision: str | Snapshot, path: Path) -> bytes:
        """The content of a file in a snapshot."""
        return self._engine.vst_of_snapshot(self.resolve(revision)).read(path)

    def entries(
        self, revision: str | Snapshot, path: Path = "", *, recursive: bool = False
    ) -> list[Entry]:
        """What a directory of a snapshot holds: kinds, sizes; with `recursive` all below it, too.

        Raises `PathNotFound`, `PathNotADirectory`, and as `resolve`.
        """
        tree = self._engine.vst_of_snapshot(self.resolve(revision))
        return tree.entries(_tree_path(path), recursive=recursive)

    def entry(self, revision: str | Snapshot, path: Path) -> Entry:
        """What a snapshot has at a path. Raises `PathNotFound`, and as `resolve`."""
        return self._engine.vst_of_snapshot(self.resolve(revision)).entry(_tree_path(path))

    def copy(self, revision: str | Snapshot, path: Path, write: Callable[[bytes], object]) -> None:
        """Gives the content of a file in a snapshot to `write`, in pieces of at most some MiB.

        Raises as `read`; and `CorruptObject`, perhaps only after all was given.
        """
        entry = self.entry(revision, path)
        if entry.id is None or entry.kind in ("directory", "submodule"):
            raise errors.PathIsADirectory(f"{os.fsdecode(path)!r} is a {entry.kind}")
        self._engine.write_blob(entry.id, write)

    def restore(
        self,
        revision: str | Snapshot,
        *,
        paths: Iterable[Path] | None = None,
        dry_run: bool = False,
        merge: bool = False,
        since: str | Snapshot | None = None,
    ) -> Restored:
        """Brings the worktree to a snapshot; see `Worktree.restore`."""
        return self.worktree.restore(
            revision, paths=paths, dry_run=dry_run, merge=merge, since=since
        )

    def materialize(
        self,
        revision: str | Snapshot,
        out: Path,
        *,
        include: Iterable[str] | None = None,
        exclude: Iterable[str] | None = None,
        paths: Iterable[Path] | None = None,
    ) -> Materialized:
        """Writes a snapshot's files to the directory `out`, which is new or empty.

        `include` and `exclude` are gitignore patterns, `paths` are files or directories of the
        snapshot; without them everything is written. Nothing is ever written outside `out`. An
        entry that the file system does not take (its name is too long there, say) is passed over
        with a warning; if it is full, fails or is read-only, nothing is left and an error raised.
        Raises `TargetNotEmpty`, `PathNotFound`, `StorageError`.
        """
        from helios.repository.materialized import materialize

        return materialize(
            self._engine,
            self.resolve(revision),
            _absolute(out),
            list(include or ()),
            list(exclude or ()),
            None if paths is None else [_tree_path(path) for path in paths],
        )

    def maintenance(
        self, *, wait_s: float = WRITER_WAIT_S, locked: Caller | None = None
    ) -> Maintained:
        """Moves the journal into the L2 store.

        Raises `StoreBusy` if another process still writes it after `wait_s` seconds. `locked` may
        do the short work under the journal's lock elsewhere, for instance in a thread of higher
        priority: it calls what it is given and returns the result.
        """
        from helios.repository.maintenance import directly, run

        store = self._store
        if store is None:
            raise errors.Refused("this repository has no L2 store")
        if self._directory is None:
            return run(self._engine, lambda: store, close=False)
        from helios.store.rocksdb import RocksStore

        directory = os.path.join(self._directory, "l2")
        result = run(
            self._engine,
            lambda: RocksStore.open(directory, writable=True, wait_s=wait_s),
            locked=directly if locked is None else locked,
        )
        store.refresh()
        return result

    def verify(self, *, repair: bool = False, source: Path | None = None) -> Verified:
        """Verifies all that is stored; see `Verified`. Nothing is written.

        With `repair` damaged and missing objects are first restored from where their content can be
        found: other records, `journal/lost`, the worktree, and the repository of `source`, a
        directory. What is stored is replaced only by what matches its id, and nothing is deleted:
        an L2 store that cannot be read any more is moved aside. What is then still damaged is told.
        Raises `StoreBusy` if another process writes L2.
        """
        from helios.repository.repair import repair as restore
        from helios.repository.verify import Opened, Pass

        if source is not None and not repair:
            raise errors.Usage("a source is for repairs")
        if self._directory is None:
            if repair:
                raise errors.Refused("a repository in memory cannot be repaired")
            return Pass(self._engine, self._store, []).run()
        found = [places.main_place(self._directory), *places.linked(self._directory)]
        at = None if source is None else os.path.join(_absolute(source), DIRECTORY)
        restored: int = 0
        notes: list[str] = []
        if repair:
            restored, notes = restore(self._directory, found, at, self._show_progress_of)
            self._engine.refresh()
            if self._store is not None:
                self._store.refresh()
        try:
            with Opened(self._directory) as opened:
                self._show_progress_of(opened.engine)
                one = Pass(opened.engine, opened.store, found, opened.failure)
                return one.run(restored, notes)
        finally:
            self._show_progress_of(None)

    def _show_progress_of(self, engine: Engine | None) -> None:
        self._verifying = engine

    def gc(
        self, *, dry_run: bool = False, quota: int | None = None, wait_s: float = WRITER_WAIT_S
    ) -> Collected:
        """Deletes what nothing reaches, and drops what `.helios/config` does not keep.

        With a quota, in bytes, the oldest snapshots are dropped too until the repository fits, but
        none that is protected; `fits` of the result says whether it does. A dry run changes
        nothing. Raises `StoreBusy` if maintenance or another gc still runs after `wait_s` seconds,
        `InvalidConfig`, and `Corruption` if something that is to be kept cannot be read: then
        nothing is deleted.
        """
        from helios.repository.gc import collect

        if self._store is None:
            raise errors.Refused("this repository has no L2 store")
        return collect(
            self._engine, self._store, self._directory, dry_run=dry_run, quota=quota, wait_s=wait_s
        )

    def stats(self) -> dict[str, dict[str, int | float | None]]:
        """Figures of the repository, over all processes; see `docs/ARCHITECTURE.md`."""
        from helios.repository.stats import collect

        return collect(self._engine, self._store)

    def prometheus(self) -> str:
        """The same in Prometheus' text format."""
        from helios.repository.stats import prometheus

        return prometheus(self._engine, self._store)

    def progress(self) -> tuple[str, int, int] | None:
        """What a heavy call in another thread is at: phase, done, total (0 while unknown)."""
        engine = self._verifying or self._engine
        return engine.progress()

    @property
    def damage(self) -> list[tuple[int, int, int]]:
        """Stretches of the journal that cannot be read: segment, offset, length in bytes."""
        return self._engine.journal_damage()

    def close(self) -> None:
        """Lets go of the L2 store. Commits are never waiting for this."""
        if self._store is not None:
            self._store.close()

    def __repr__(self) -> str:
        return f"Repository({self._directory or 'memory'!r})"


def _absolute(path: Path) -> str:
    given = os.fsdecode(path)
    if "\0" in given:
        raise errors.InvalidPath(f"{given!r} holds a NUL byte, which no path can")
    return os.path.abspath(given)


def _maintenance_command(directory: str) -> list[str]:
    import sys

    # -P: nothing is imported from the working directory, which is often a worktree.
    return [sys.executable, "-P", "-m", "helios.repository.maintenance", directory]


def _tree_path(path: Path) -> bytes:
    """A path as the tree names it; a person may write `./src/`."""
    encoded = os.fsencode(path)
    while encoded.startswith(b"./"):
        encoded = encoded[2:].lstrip(b"/")
    return b"" if encoded == b"." else encoded.rstrip(b"/")
