"""Repair: damaged and missing objects are restored from where their content can be found.

Sources, in this order: another record of the same object, in journal or L2; what lies anywhere in
the journal's files, in `journal/lost` and in an L2 that was moved aside; files of the worktree, and
for tree nodes what its index knows of them; another repository. What is stored is replaced only by
what was verified against the id. Nothing is deleted: an L2 that cannot be read through is moved
aside, and what can be read of it is copied into a new one. Rounds go on as long as they restore
something, because it may refer to more.

Whatever writes L2 holds the lock of its writer. Commits go on in the journal meanwhile.
"""

from __future__ import annotations

import os
from contextlib import nullcontext, suppress

from helios import errors
from helios._core import Engine, Verification
from helios.repository import maintenance
from helios.repository.operation import BRANCHES, REPAIR, WORKTREES
from helios.repository.operation_log import SHOWN_DIGITS, astray
from helios.repository.standing import read_head
from helios.repository.turn import Turn
from helios.repository.verify import SYNCED, Opened, Pass, open_engine
from helios.store.base import form_of
from helios.store.lock import WriterLock
from helios.store.rocksdb import ID_LEN, RocksStore

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from typing import Self

    from helios.repository.place import Place
    from helios.repository.verify import Damage, Verified
    from helios.store import Store

COMMAND = "verify --repair"
REBUILT = "l2.rebuilt"
ASIDE = "l2.damaged"
NOTE = ".manifest"
BATCH_BYTES_MAX = 16 << 20


def repair(
    directory: str,
    places: list[Place],
    source: str | None,
    show: Callable[[Engine | None], None],
) -> tuple[int, list[str]]:
    """Repairs what can be repaired of the repository `directory`, also from the one of `source`.

    How many objects were restored, and what became of refs. Raises `NotARepository` if `source` is
    none, or the same.
    """
    if source is not None and (
        not os.path.exists(os.path.join(source, "format")) or os.path.samefile(source, directory)
    ):
        raise errors.NotARepository(f"{source} is not another Helios repository")
    restored: set[bytes] = set()
    with _Looked(directory, places, show) as looked:
        if looked.opened.store is None and not _mend_current(directory):
            _rebuild(directory, None)
            _restore_references(directory, places, source)
    found = None
    # RocksDB refuses to write where it cannot read.
    with suppress(errors.Corruption):
        found = _rounds(directory, places, source, show, restored)
    if (
        found is None
        or any(damage.kind == "l2" for damage in found.damage)
        or not _reads_through(directory)
    ):
        # To replace records does not help: RocksDB cannot read through its own tables.
        with Opened(directory) as opened:
            opened.engine.raise_format()
            _rebuild(directory, opened.store)
        found = _rounds(directory, places, source, show, restored)
    if any(damage.place == "journal" for damage in found.damage):
        # A damaged segment is put into `journal/lost`, and what is intact of it into L2.
        with Opened(directory) as opened:
            l2 = os.path.join(directory, "l2")
            maintenance.run(opened.engine, lambda: RocksStore.open(l2, writable=True))
    if any(damage.place == SYNCED for damage in found.damage):
        # An empty one says nothing, and the next commit writes it anew.
        os.truncate(os.path.join(directory, SYNCED), 0)
    return len(restored), list(_mend_references(directory, places))


def _reads_through(directory: str) -> bool:
    with RocksStore.open(os.path.join(directory, "l2"), writable=False) as store:
        return store.reads_through()


def _rounds(
    directory: str,
    places: list[Place],
    source: str | None,
    show: Callable[[Engine | None], None],
    restored: set[bytes],
) -> Verified:
    """Restores until nothing more can be, and adds the ids; what was found last."""
    met: set[bytes] = set()
    while True:
        with _Looked(directory, places, show) as looked:
            new = _restore(directory, places, source, looked) - met
        if not new:
            return looked.found
        met |= new
        restored |= new


class _Looked:
    """A context manager: a repository that is open, and what a verification has found."""

    def __init__(
        self, directory: str, places: list[Place], show: Callable[[Engine | None], None]
    ) -> None:
        self.opened = Opened(directory)
        self._places = places
        self._show = show
        self.verification: Verification
        self.found: Verified

    def __enter__(self) -> Self:
        opened = self.opened.__enter__()
        try:
            self._show(opened.engine)
            one = Pass(opened.engine, opened.store, self._places, opened.failure)
            self.found = one.run()
            self.verification = one.verification
        except BaseException:
            self.__exit__()
            raise
        return self

    def __exit__(self, *raised: object) -> None:
        self._show(None)
        self.opened.__exit__()


def _mend_current(directory: str) -> bool:
    """Names the newest manifest in RocksDB's file CURRENT; whether L2 can be opened then.

    What the file held is kept beside it.
    """
    l2 = os.path.join(directory, "l2")
    current = os.path.join(l2, "CURRENT")
    lock = WriterLock(l2 + ".lock")
    try:
        prefix = "MANIFEST-"
        numbers = [name.removeprefix(prefix) for name in os.listdir(l2) if name.startswith(prefix)]
        newest = max((number for number in numbers if number.isdigit()), key=int, default=None)
        if newest is None:
            return False
        kept = _unused(current + ".damaged")
        if os.path.lexists(current):
            os.rename(current, kept)
        with open(current, "x", encoding="ascii") as file:
            file.write(f"{prefix}{newest}\n")
            file.flush()
            os.fsync(file.fileno())
        try:
            with RocksStore.open(l2, writable=False) as store:
                store.check()
        except errors.HeliosError:
            os.remove(current)
            if os.path.lexists(kept):
                os.rename(kept, current)
            return False
        return True
    except OSError as error:
        raise errors.StorageError(f"{l2}: {error.strerror}", errno=error.errno) from error
    finally:
        lock.release()


def _rebuild(directory: str, damaged: Store | None) -> None:
    """Puts a new L2, with what can be read of the damaged one, in its place.

    The damaged one keeps its files, under another name.
    """
    from shutil import rmtree

    l2, rebuilt = os.path.join(directory, "l2"), os.path.join(directory, REBUILT)
    lock = WriterLock(l2 + ".lock")
    try:
        # What a repair has left that did not come to its end.
        rmtree(rebuilt, ignore_errors=True)
        with suppress(FileNotFoundError):
            os.remove(rebuilt + NOTE)
        with RocksStore.open(rebuilt, writable=True) as store:
            if damaged is not None:
                _copy(damaged, store)
            store.flush()
        os.remove(rebuilt + ".lock")
        aside = _unused(os.path.join(directory, ASIDE))
        # Without the note of its manifest a database is read as it is: it goes first, and comes
        # last.
        for old, new in (
            (l2 + NOTE, aside + NOTE),
            (l2, aside),
            (rebuilt, l2),
            (rebuilt + NOTE, l2 + NOTE),
        ):
            if os.path.lexists(old):
                os.rename(old, new)
    except OSError as error:
        if isinstance(error, errors.HeliosError):
            raise
        raise errors.StorageError(f"{l2}: {error.strerror}", errno=error.errno) from error
    finally:
        lock.release()


def _unused(path: str) -> str:
    number = 1
    while os.path.lexists(f"{path}-{number}"):
        number += 1
    return f"{path}-{number}"


def _copy(damaged: Store, store: Store) -> None:
    """Copies what can be read. Refs that cannot be are taken from the operation log."""
    for page in damaged.pages():
        store.put_records(each for each in page.records if _is_record(*each))
    store.flush()
    operations: list[tuple[tuple[int, int], bytes]] = []
    with suppress(errors.HeliosError):
        operations.extend(damaged.operations())
    references: dict[bytes, bytes | None] = {}
    try:
        references.update(damaged.references(b""))
    except errors.HeliosError:
        for _, operation in operations:
            with suppress(errors.HeliosError):
                for name, new in Engine.operation_changes(operation).items():
                    # The newest comes first.
                    references.setdefault(name, new)
    store.put_references(references)
    store.put_operations(operations)


def _is_record(key: bytes, record: bytes) -> bool:
    try:
        form_of(key, record)
    except errors.CorruptObject:
        return False
    return len(key) == ID_LEN


def _restore_references(directory: str, places: list[Place], source: str | None) -> None:
    """After the loss of all of L2: the branches that the worktree and the source still tell of."""
    engine = open_engine(directory, None)
    wanted: dict[str, str] = {}
    for place in places:
        with suppress(errors.HeliosError):
            branch, base = read_head(place)
            if base is not None:
                wanted[branch] = base
    if source is not None:
        with Opened(source) as other:
            wanted = {**other.engine.references(BRANCHES), **wanted}
    for name, snapshot in wanted.items():
        if engine.branch(name) is None:
            with suppress(errors.InvalidInput, errors.Conflict):
                changes: list[tuple[str, str | None, str | None]] = [
                    (BRANCHES + name, None, snapshot)
                ]
                engine.operate(changes, COMMAND, notes=[REPAIR], worktree=None)


def _mend_references(directory: str, places: list[Place]) -> Iterator[str]:
    """Makes refs and the operation log agree, by an operation that all writers see; tells each."""
    states = {WORKTREES + place.name: place.state for place in places}
    with Opened(directory) as opened:
        for name, now, value in list(astray(opened.engine, opened.store)):
            # The disk of a worktree has been changed since by whoever has its turn, or not at all.
            with Turn(states[name]) if name in states else nullcontext():
                old = value if name.startswith(WORKTREES) else now
                with suppress(errors.Conflict):
                    opened.engine.operate(
                        [(name, old, value)], COMMAND, notes=[REPAIR], worktree=None
                    )
                    did = "stays" if now == value else "was put"
                    yield f"{name} {did} at {value[:SHOWN_DIGITS]}, and the operation log says so"


def _restore(
    directory: str, places: list[Place], source: str | None, looked: _Looked
) -> set[bytes]:
    """Restores what can be found of what is damaged or missing; the ids of all that was put."""
    wanted = {
        damage.id: damage
        for damage in looked.found.damage
        if damage.id is not None and damage.kind in ("corrupt", "missing")
    }
    if not wanted:
        return set()
    verification = looked.verification
    looked.opened.engine.raise_format()
    with RocksStore.open(os.path.join(directory, "l2"), writable=True) as store:
        sink = _Sink(store)

        def missing() -> list[str]:
            return [each for each in wanted if bytes.fromhex(each) not in sink.put]

        for each, damage in wanted.items():
            if damage.readable:
                with suppress(errors.Corruption):
                    verification.copy(each, sink)
        for path in _places(directory):
            with suppress(errors.StorageError):
                verification.search(path, missing(), sink)
        left = {each: wanted[each] for each in missing()}
        for each, path in _files(places, left):
            with suppress(errors.StorageError):
                verification.copy_file(path, each, sink)
        for place in places:
            with suppress(errors.HeliosError):
                verification.copy_nodes(os.path.join(place.state, "index"), missing(), sink)
        for aside in _aside(directory):
            with suppress(errors.HeliosError), RocksStore.open(aside, writable=False) as damaged:
                verification.copy_from(open_engine(directory, damaged), missing(), sink)
        if source is not None:
            with Opened(source) as other:
                verification.copy_from(other.engine, missing(), sink)
        sink.flush()
    return sink.put


class _Sink:
    """Takes verified records and puts them into the store in place of what is there."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._pending: list[tuple[bytes, bytes]] = []
        self._bytes = 0
        self.put: set[bytes] = set()

    def __call__(self, id: bytes, record: bytes) -> None:
        if id not in self.put:
            self.put.add(id)
            self._pending.append((id, record))
            self._bytes += len(record)
            if self._bytes > BATCH_BYTES_MAX:
                self.flush()

    def flush(self) -> None:
        self._store.replace_records(self._pending)
        self._store.flush()
        self._pending.clear()
        self._bytes = 0


def _aside(directory: str) -> list[str]:
    """L2 stores that were moved aside."""
    names = [name for name in os.listdir(directory) if name.startswith(ASIDE)]
    found = [os.path.join(directory, name) for name in sorted(names)]
    return [path for path in found if os.path.isdir(path)]


def _places(directory: str) -> Iterator[str]:
    """Files that may hold records which nobody can read at their places."""
    journal = os.path.join(directory, "journal")
    for folder in (journal, os.path.join(journal, "lost"), *_aside(directory)):
        with suppress(FileNotFoundError):
            for name in sorted(os.listdir(folder)):
                if name.endswith((".journal", ".torn", ".blob", ".sst", ".pack")):
                    yield os.path.join(folder, name)


def _files(places: list[Place], wanted: dict[str, Damage]) -> Iterator[tuple[str, str]]:
    """Files that may have the wanted contents: those that the indexes name, and those at the paths
    where snapshots have them."""
    found: dict[tuple[str, str], None] = {}
    for place in places:
        with suppress(errors.HeliosError):
            index = os.path.join(place.state, "index")
            for each, path in Verification.paths_in_index(index, list(wanted)):
                found[each, os.path.join(place.root, os.fsdecode(path))] = None
        for each, damage in wanted.items():
            for effect in damage.effects:
                if effect.path is not None:
                    found[each, os.path.join(place.root, effect.path)] = None
    yield from found
