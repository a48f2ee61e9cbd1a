"""Gc: drops history that the policy does not keep, and deletes what nothing reaches any more.

It runs beside writers in any process (`docs/design/008-gc-beside-writers.md`): what will be deleted
is published first, and every writer looks at what it builds upon before its next commit. It holds
the lock of the L2 store throughout, so maintenance waits for it, and the journal grows meanwhile.
Killed anywhere it leaves a good repository, and the next gc does what is left.
"""

from __future__ import annotations

import os
import time
from contextlib import suppress

from helios import errors
from helios.repository import maintenance
from helios.repository.result import Result

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from helios._core import Collection, Engine
    from helios.repository.config import Config, Retention
    from helios.store import Store

    Rules = tuple[int, int | None, int, int] | None

DROPPED = b"dropped/"
HEADS = b"heads/"
ID_LEN = 32
DELETED_AT_ONCE = 10_000
QUOTA_ROUNDS_MAX = 5
# A store is compacted if it takes this much more than what it holds, keys and indexes included.
SLACK = 1.125
RECORD_OVERHEAD_BYTES = 44


class Collected(Result):
    """What a gc did, or with `dry_run` would do.

    `snapshots` and `objects` are those that were deleted, `kept_snapshots` and `kept_objects` those
    that are left. `bytes_before` and `bytes_after` are what the repository takes on disk; after a
    dry run, `bytes_after` is an estimate. `fits` says whether a quota is kept.
    """

    __slots__ = (
        "bytes_after",
        "bytes_before",
        "dry_run",
        "elapsed_s",
        "fits",
        "kept_objects",
        "kept_snapshots",
        "objects",
        "snapshots",
    )

    def __init__(self, *, dry_run: bool, bytes_before: int) -> None:
        self.dry_run = dry_run
        self.bytes_before = bytes_before
        self.bytes_after = bytes_before
        self.snapshots = 0
        self.objects = 0
        self.kept_snapshots = 0
        self.kept_objects = 0
        self.elapsed_s = 0.0
        self.fits = True


def collect(
    engine: Engine,
    store: Store,
    directory: str | None,
    *,
    dry_run: bool,
    quota: int | None,
    wait_s: float,
) -> Collected:
    """What `Repository.gc` does; `directory` is that of the repository, None in memory."""
    from helios.repository import config as configuration

    worktrees = Worktrees(engine, directory)
    if directory is None:
        config = configuration.Config(configuration.Retention(grace_s=0, undo_s=0))
        gc = Gc(engine, store, None, config, worktrees)
        return gc.run(dry_run=dry_run, quota=quota)
    config = configuration.load(directory)
    if dry_run:
        store.refresh()
        gc = Gc(engine, store, directory, config, worktrees)
        return gc.run(dry_run=True, quota=quota)
    from helios.store.rocksdb import RocksStore

    l2 = os.path.join(directory, "l2")
    with RocksStore.open(l2, writable=True, wait_s=wait_s) as writable:
        gc = Gc(engine, writable, directory, config, worktrees)
        done = gc.run(dry_run=False, quota=quota)
    store.refresh()
    return done


class Gc:
    """One gc of one repository. The store is open for writing, unless it is a dry run."""

    def __init__(
        self,
        engine: Engine,
        store: Store,
        directory: str | None,
        config: Config,
        worktrees: Worktrees,
    ) -> None:
        self._engine = engine
        self._store = store
        self._directory = directory
        self._config = config
        self._worktrees = worktrees
        self._now_us = time.time_ns() // 1000

    def run(self, *, dry_run: bool, quota: int | None) -> Collected:
        """Drops what the policy drops; with a quota, also the oldest of the rest until it fits."""
        start = time.perf_counter()
        done = Collected(dry_run=dry_run, bytes_before=self._size())
        try:
            if dry_run:
                self._rehearse(done, quota)
            else:
                self._collect_until_it_fits(done, quota)
        finally:
            self._engine.begin_phase("idle", 0)
        done.elapsed_s = time.perf_counter() - start
        done.fits = quota is None or done.bytes_after <= quota
        return done

    def _collect_until_it_fits(self, done: Collected, quota: int | None) -> None:
        budget = quota
        for _ in range(QUOTA_ROUNDS_MAX):
            dropped = self._collect(done, budget)
            done.bytes_after = self._size()
            if quota is None or budget is None or done.bytes_after <= quota or not dropped:
                return
            # What objects take on disk is known only when they are written.
            budget = int(budget * 0.95 * quota / done.bytes_after)

    def _collect(self, done: Collected, quota: int | None) -> bool:
        """One round; whether a snapshot was dropped."""
        maintenance.move(self._engine, self._store)
        scratch = None if self._directory is None else os.path.join(self._directory, "gc")
        gc = self._engine.collect(self._config.gc_memory_bytes, scratch)
        old_operations = self._look(gc, moved=True)
        gc.mark(quota)
        self._sort(gc, counts_only=False)
        self._store.flush()
        # First, so that what the operations of the log name is there even if gc is killed.
        self._store.delete_operations(old_operations)
        self._store.flush()
        if gc.publish(self._worktrees.indexes):
            self._delete(gc)
        if self._has_slack():
            self._engine.begin_phase("compacting", 0)
            self._store.compact()
        # What was committed meanwhile, some of it for the second time.
        maintenance.move(self._engine, self._store)
        found = gc.found()
        done.snapshots += found["dead_snapshots"]
        done.objects += found["dead_objects"]
        done.kept_snapshots = found["snapshots"] - found["dead_snapshots"]
        done.kept_objects = found["objects"] - found["dead_objects"]
        return found["dead_snapshots"] > 0

    def _rehearse(self, done: Collected, quota: int | None) -> None:
        from tempfile import TemporaryDirectory

        with TemporaryDirectory(prefix="helios-gc-") as scratch:
            gc = self._engine.collect(self._config.gc_memory_bytes, scratch)
            self._look(gc, moved=False)
            gc.mark(quota)
            self._sort(gc, counts_only=True)
            gc.sort_journal()
            found = gc.found()
            done.snapshots = found["dead_snapshots"]
            done.objects = found["dead_objects"]
            done.kept_snapshots = found["snapshots"] - found["dead_snapshots"]
            done.kept_objects = found["objects"] - found["dead_objects"]
            freed = found["dead_bytes"] + RECORD_OVERHEAD_BYTES * found["dead_objects"]
            done.bytes_after = max(0, done.bytes_before - freed)

    def _look(self, gc: Collection, *, moved: bool) -> list[tuple[int, int]]:
        """Finds and keeps the roots; the positions of operations that nobody can undo any more."""
        retention = self._config.retention
        young_since_us = self._now_us - 1_000_000 * retention.grace_s
        counts = self._store.counts()
        self._engine.begin_phase("reading", counts.objects)
        for records, large in self._records():
            gc.look(records, large, young_since_us)
            self._engine.step(len(records) + len(large))
        if not moved:
            gc.look_at_journal(young_since_us)
        rules = _rules(retention, self._now_us)
        for text, found in self._engine.references("").items():
            name, value = os.fsencode(text), bytes.fromhex(found)
            if name.startswith(DROPPED):
                continue
            if not name.startswith(HEADS):
                gc.keep([value], None if rules is None else NOTHING_MORE, False)
            elif _is_one_of(name.removeprefix(HEADS), retention.branches):
                gc.keep([value], None, True)
            else:
                gc.keep([value], rules, False)
        gc.keep_if_there(self._worktrees.heads(), rules)
        old = self._keep_for_undo(gc, rules)
        gc.keep_young(rules)
        for tree in self._worktrees.trees():
            gc.keep_tree(tree)
        return old

    def _keep_for_undo(self, gc: Collection, rules: Rules) -> list[tuple[int, int]]:
        """Keeps what undo may need; the positions of the operations before that, oldest last.

        The log is cut once, at its oldest end, wherever clocks have been: `verify` tells a hole in
        it for a loss.
        """
        since_us = self._now_us - 1_000_000 * self._config.retention.undo_s
        oldest_kept = None
        is_young = True
        for position, operation in self._store.operations():
            made_us, _ = self._engine.operation_values(operation)
            if made_us <= self._now_us:
                # One of the future, made when the clock was wrong, is as old as what came next.
                is_young = made_us >= since_us
            if is_young:
                oldest_kept = position
        old = []
        for position, operation in self._store.operations():
            if oldest_kept is not None and position >= oldest_kept:
                _, values = self._engine.operation_values(operation)
                gc.keep_if_there(values, rules)
            else:
                old.append(position)
        return old

    def _sort(self, gc: Collection, *, counts_only: bool) -> None:
        self._engine.begin_phase("sorting", self._store.counts().objects)
        for records, large in self._records():
            anew = gc.sort(records, large, counts_only)
            if anew:
                self._store.replace_records(anew)
            self._engine.step(len(records) + len(large))

    def _records(
        self,
    ) -> Iterator[tuple[list[tuple[bytes, bytes]], Sequence[tuple[bytes, int, int]]]]:
        """All records of L2, page by page; of large ones, which refer to nothing, what tells their
        sizes. What cannot be read is not to be dropped."""
        for page in self._store.pages(with_large=False):
            if page.gap is not None:
                reason = page.gap[-1]
                raise errors.CorruptObject(f"{reason}; see `verify`, gc has deleted nothing")
            large = [each for each in page.large if len(each[0]) == ID_LEN]
            yield [entry for entry in page.records if len(entry[0]) == ID_LEN], large

    def _delete(self, gc: Collection) -> None:
        # Before anything is deleted it must be known where history ends.
        ends = {DROPPED + end.hex().encode(): following for end, following in gc.ends()}
        marks: dict[bytes, bytes | None] = dict(ends)
        for name, _ in self._store.references(DROPPED):
            if name not in ends:
                marks[name] = None
        self._store.put_references(marks)
        self._store.flush()
        self._engine.begin_phase("deleting", gc.found()["dead_objects"])
        at = 0
        while page := gc.doomed(at, DELETED_AT_ONCE):
            doomed, at = page
            self._store.delete_records(doomed)
            self._engine.step(len(doomed))
        self._store.flush()
        gc.finish()

    def _has_slack(self) -> bool:
        counts = self._store.counts()
        needed = counts.record_bytes + RECORD_OVERHEAD_BYTES * counts.objects
        return counts.disk_bytes > SLACK * needed

    def _size(self) -> int:
        """Bytes that the repository takes on disk."""
        if self._directory is None:
            return self._store.counts().record_bytes + self._engine.journal_size()[0]
        return sum(_sizes(self._directory))


class Worktrees:
    """What worktrees know of snapshots and trees; none in memory."""

    def __init__(self, engine: Engine, directory: str | None) -> None:
        self._engine = engine
        self._places: list[str] = []
        if directory is not None:
            self._places.append(os.path.join(directory, "worktree"))
            more = os.path.join(directory, "worktrees")
            if os.path.isdir(more):
                self._places += [entry.path for entry in os.scandir(more) if entry.is_dir()]
            self._places += [os.path.join(place, "watch") for place in self._places]

    @property
    def indexes(self) -> list[str]:
        return [os.path.join(place, "index") for place in self._places]

    def trees(self) -> list[bytes]:
        """The trees that indexes describe."""
        return self._engine.indexed_trees(self.indexes)

    def heads(self) -> list[bytes]:
        """The snapshots that the files on disk came from, and those that are merged by hand."""
        found = []
        for place in self._places:
            try:
                with open(os.path.join(place, "head"), "rb") as file:
                    lines = file.read().splitlines()
            except OSError:
                continue
            for line in lines[1:3]:
                if len(line) == 64:
                    with suppress(ValueError):
                        found.append(bytes.fromhex(line.decode()))
        return found


NOTHING_MORE: Rules = (0, None, 0, 0)


def _rules(retention: Retention, now_us: int) -> Rules:
    if retention.is_unlimited:
        return None
    since_us = None if retention.within_s is None else now_us - 1_000_000 * retention.within_s
    return retention.last or 0, since_us, retention.hourly or 0, retention.daily or 0


def _is_one_of(name: bytes, patterns: tuple[str, ...]) -> bool:
    from fnmatch import fnmatchcase

    shown = name.decode(errors="surrogateescape")
    return any(fnmatchcase(shown, pattern) for pattern in patterns)


def _sizes(directory: str) -> Iterator[int]:
    """Of all files but what RocksDB logs about itself, which it replaces by and by."""
    for place, _, names in os.walk(directory):
        for name in names:
            if name.startswith(("LOG", "OPTIONS-")):
                continue
            try:
                yield os.stat(os.path.join(place, name), follow_symlinks=False).st_size
            except FileNotFoundError:
                # Writers come and go.
                continue
            except OSError as error:
                raise errors.StorageError(f"{place}: {error}", errno=error.errno) from error
