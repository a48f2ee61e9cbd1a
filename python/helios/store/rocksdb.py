"""The L2 store on disk: RocksDB, through the `rocksdict` package.

Four column families hold everything; RocksDB's `default` family, which every database has, is
unused:

==============  =======================  ========================================================
family          key                      value
==============  =======================  ========================================================
``objects``     id, 32 bytes             record, or the stub of a large one (`large`)
``objects``     ``counters``             objects by stored form, record bytes (five u64, big-endian)
``refs``        name                     value of the ref
``operations``  segment, offset (u64     encoded operation; the position in the journal, so that
                big-endian)              the order of keys is the order of time
``chunks``      id, 32 bytes             where a large record lies: in which pack, beside the tables
==============  =======================  ========================================================

All tables have bloom filters. The counters are among the objects so that they are written, and
flushed, in one with the records that they count.

Durability. Nothing is written to RocksDB's own log: what has not been flushed is lost with the
process. rocksdict flushes one family at a time, so `flush` keeps an order: `chunks`, `objects`,
then `refs`, then `operations`. A location is deleted after all that, once its stub is gone for
good. What is appended to packs is on disk before RocksDB is told of it. Puts flush nothing by
themselves: a write buffer is far larger than the refs and operations of one maintenance. Should
RocksDB flush unasked all the same, because a buffer is full, it flushes all families in one step
(`atomic_flush`). So a ref or an operation is durable only after the objects that it names, provided
that they were put before it. Beyond that, families may differ in age after a crash.

Maintenance calls `put_records`, `flush`, `put_references`, `put_operations`, `flush`, and only then
discards the journal. If it dies in between, the next one repeats all of it from the journal, which
changes nothing that is there already.
"""

from __future__ import annotations

import os
from _thread import RLock
from itertools import islice

from helios._core import Packs
from helios.errors import (
    Corruption,
    CorruptObject,
    HeliosError,
    ReadOnlyRepository,
    StorageError,
    StoreBusy,
)
from helios.store import binding
from helios.store import manifest as manifests
from helios.store.alone import Alone
from helios.store.base import FORMS, StoreCounts, checked_prefix, form_of, supersedes
from helios.store.database import Database, batch_of_writes
from helios.store.large import form_of_stub, is_large, is_stub, length_of, may_be_large
from helios.store.lock import WriterLock
from helios.store.options import CHUNKS, FAMILIES, opening
from helios.store.place import Place, View

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
    from typing import Any, Self, TypeVar

    from rocksdict import Options, WriteBatch

    from helios.store.base import Page
    from helios.store.manifest import Manifest

    T = TypeVar("T")
    Known = tuple[int, int, bool]

ID_LEN = 32
COUNTERS = b"counters"

BATCH_BYTES_MAX = 4 << 20
PACKED_BYTES_MAX = 32 << 20
"""What is appended to packs before it has to be on disk."""

PAGE_LEN = 1024
"""How many entries a scan reads at once."""

OPEN_ATTEMPTS_MAX = 100

UNREADABLE = (-1, 0, False)
"""What is known of a record that RocksDB cannot read."""

VIEWED_BYTES_MAX = 1 << 62
"""What may lie in the directory of tables; RocksDB wants a bound, which only a writer heeds."""

NO_FAMILY = "Column family not found"
"""What RocksDB says when it shall open a family that the database lacks."""


class RocksStore(Alone):
    """Implements `Store`. One process may have it open for writing, any number for reading.

    A store that is open for reading shows the state of its first access until `refresh`; opening
    it costs nothing before that. Where there is no database yet, it is empty.
    """

    __slots__ = (
        "_closed",
        "_counters",
        "_database",
        "_lock",
        "_looked",
        "_options",
        "_path",
        "_stamp",
        "_unlinked",
        "_writer_lock",
    )

    def __init__(self, path: str, writer_lock: WriterLock | None) -> None:
        self._path = path
        self._writer_lock = writer_lock
        self._lock = RLock()
        self._options: tuple[Options, dict[str, Options]] | None = None
        self._database: Database | None = None
        self._counters = [0] * (len(FORMS) + 1)
        # Large records whose stubs are deleted, or overwritten, but not for good yet.
        self._unlinked: set[bytes] = set()
        self._looked = False
        self._stamp: tuple[str, int, int] | None = None
        self._closed = False

    @classmethod
    def open(cls, path: str | os.PathLike[str], *, writable: bool, wait_s: float = 0.0) -> Self:
        """Opens the database in the directory `path`, and makes it if it is to be written.

        Raises `StoreBusy` if another process, or another store of this one, is still writing after
        `wait_s` seconds, `ReadOnlyRepository` if the directory does not permit it, `CorruptObject`
        or `StorageError` if the database cannot be opened.
        """
        path = os.path.abspath(path)
        if not writable:
            return cls(path, None)
        store = cls(path, WriterLock(path + ".lock", wait_s))
        try:
            store._open_writer()
        except BaseException:
            store._release()
            raise
        return store

    def records(self, ids: Sequence[bytes]) -> list[bytes | None]:
        return self.read(_get_records, [None] * len(ids), list(ids))

    def put_records(self, records: Iterable[tuple[bytes, bytes]]) -> int:
        with self._lock:
            database = self._writable()
            total = 0
            batch, packed, counters = batch_of_writes(), 0, self._counters.copy()
            pending: dict[bytes, Known] = {}
            for object_id, record in records:
                form = form_of(object_id, record)
                known = pending.get(object_id) or self._known(database, object_id)
                total += known is None
                if known is not None and known != UNREADABLE:
                    known_form, known_length, has_stub = known
                    if not supersedes(form, known_form) and not (
                        has_stub and self._is_damaged(database, object_id)
                    ):
                        continue
                    counters[known_form] -= 1
                    counters[-1] -= known_length
                if known != UNREADABLE:
                    # What cannot be read is counted already.
                    counters[form] += 1
                    counters[-1] += len(record)
                pending[object_id] = form, len(record), False
                packed += self._put(batch, object_id, record, replaces=known is not None)
                if batch.size_in_bytes() >= BATCH_BYTES_MAX or packed >= PACKED_BYTES_MAX:
                    self._write_records(batch, counters)
                    batch, packed, counters = batch_of_writes(), 0, counters.copy()
                    pending = {}
            if pending:
                self._write_records(batch, counters)
            return total

    def replace_records(self, records: Iterable[tuple[bytes, bytes]]) -> int:
        """Puts (id, record) pairs in place of what is there; returns how many."""
        with self._lock:
            database = self._writable()
            batch, counters = batch_of_writes(), self._counters.copy()
            replaced = dict(records)
            for object_id, record in replaced.items():
                known = self._known(database, object_id)
                # What cannot be read is counted already.
                if known != UNREADABLE:
                    counters[form_of(object_id, record)] += 1
                    counters[-1] += len(record)
                    if known is not None:
                        counters[known[0]] -= 1
                        counters[-1] -= known[1]
                self._put(batch, object_id, record, replaces=known is not None)
            if replaced:
                self._write_records(batch, counters)
            return len(replaced)

    def _put(self, batch: WriteBatch, object_id: bytes, record: bytes, *, replaces: bool) -> int:
        if is_large(record):
            self._unlinked.discard(object_id)
        elif replaces:
            self._unlinked.add(object_id)
        return self._guard(self._writable().put, batch, object_id, record)

    def _known(self, database: Database, object_id: bytes) -> Known | None:
        """Form and length of the record that is there, and whether a stub stands for it; None if
        there is none."""
        try:
            # The bloom filters answer for a new object, without reading a block.
            known = self._guard(_get_value, database, object_id)
        except Corruption:
            return UNREADABLE
        if known is None:
            return None
        if is_stub(known):
            return form_of_stub(known), length_of(known), True
        is_record = len(known) > 1 and known[1] < len(FORMS)
        return (known[1], len(known), False) if is_record else UNREADABLE

    def _is_damaged(self, database: Database, object_id: bytes) -> bool:
        """Whether a large record is not as it was. RocksDB has checked all others."""
        try:
            return self._guard(database.is_damaged, object_id)
        except Corruption:
            return True

    def _write_records(self, batch: WriteBatch, counters: list[int]) -> None:
        encoded = b"".join(count.to_bytes(8, "big") for count in counters)
        batch.put(COUNTERS, encoded, self._writable().handles[0])
        self._write(batch)
        self._counters = counters

    def located(self, ids: Sequence[bytes]) -> tuple[Packs | None, list[bytes | None]]:
        absent: tuple[Packs | None, list[bytes | None]] = (None, [None] * len(ids))
        return self.read(_get_locations, absent, list(ids))

    def large(self, ids: Sequence[bytes]) -> list[bytes | None]:
        """Large records, by id."""
        return self.read(Database.large, [None] * len(ids), list(ids))

    def pages(self, *, with_large: bool = True) -> Iterator[Page]:
        from helios.store.pages import pages, whole

        return whole(self, pages(self)) if with_large else pages(self)

    def check(self) -> None:
        self.read(Database.size_on_disk, 0)

    def reads_through(self) -> bool:
        """Whether RocksDB can read all tables of `chunks`, also what counts no more there: it will
        read it when it merges them, and write nothing from then on if it cannot."""
        try:
            self.read(_read_large, None)
        except (Corruption, StorageError):
            return False
        return True

    def delete_records(self, doomed: Iterable[tuple[bytes, int, int]]) -> None:
        with self._lock:
            handle = self._writable().handles[0]
            batch, counters = batch_of_writes(), self._counters.copy()
            for object_id, form, length in doomed:
                counters[form] -= 1
                counters[-1] -= length
                batch.delete(object_id, handle)
                if may_be_large(form, length):
                    self._unlinked.add(object_id)
            self._write_records(batch, counters)

    def delete_operations(self, positions: Iterable[tuple[int, int]]) -> None:
        with self._lock:
            batch = batch_of_writes()
            for segment, offset in positions:
                key = segment.to_bytes(8, "big") + offset.to_bytes(8, "big")
                batch.delete(key, self._writable().handles[2])
            self._write(batch)

    def compact(self) -> None:
        with self._lock:
            database = self._writable()
            self._unlinked.update(self._guard(database.without_stubs))
            self._guard(self._flush, database)
            self._guard(database.repack)
            self._guard(database.compact)

    def reference(self, name: bytes) -> bytes | None:
        return self.read(_get_reference, None, name)

    def references(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        return self._scan("refs", prefix)

    def put_references(self, changes: Mapping[bytes, bytes | None]) -> None:
        with self._lock:
            family = self._writable().handles[1]
            batch = batch_of_writes()
            for name, value in changes.items():
                if value is None:
                    batch.delete(name, family)
                else:
                    batch.put(name, value, family)
            self._write(batch)

    def put_operations(self, operations: Iterable[tuple[tuple[int, int], bytes]]) -> None:
        with self._lock:
            database = self._writable()
            batch = batch_of_writes()
            for (segment, offset), operation in operations:
                key = segment.to_bytes(8, "big") + offset.to_bytes(8, "big")
                batch.put(key, operation, database.handles[2])
            self._write(batch)

    def operations(self, limit: int | None = None) -> Iterator[tuple[tuple[int, int], bytes]]:
        for key, operation in islice(self._scan("operations", newest_first=True), limit):
            segment, offset = key[:8], key[8:]
            yield (int.from_bytes(segment, "big"), int.from_bytes(offset, "big")), operation

    def ids_with_prefix(self, hex_prefix: str, kind: int) -> list[bytes]:
        prefix = checked_prefix(hex_prefix)
        whole_bytes = bytes.fromhex(prefix[: len(prefix) // 2 * 2])
        return [
            key
            for key, record in self._scan("objects", whole_bytes)
            if len(key) == ID_LEN and record[0] == kind and key.hex().startswith(prefix)
        ]

    def counts(self) -> StoreCounts:
        """As the interface says; `disk_bytes` is that of tables, blob files and packs."""
        return self.read(_counts, StoreCounts())

    def refresh(self) -> None:
        with self._lock:
            if self._writer_lock is None and self._looked and self._look() != self._stamp:
                # Not closed: another thread may be reading from it. It goes when they are done.
                self._database = None
                self._looked = False

    def flush(self) -> None:
        with self._lock:
            if self._writer_lock is not None:
                self._guard(self._flush, self._writable())
                self._guard(manifests.note, self._path)

    def _flush(self, database: Database) -> None:
        database.flush()
        if self._unlinked:
            database.delete_large(self._unlinked)
            self._unlinked.clear()

    def close(self) -> None:
        """Flushes, lets compactions finish and releases the store.

        A compaction that is cut short has been written for nothing and starts again with the next
        writer: without the wait, 50 short writers left 50 runs, after writing twice what they put.
        """
        with self._lock:
            if self._closed:
                return
            try:
                if self._database is not None:
                    self._guard(self._finish, self._database)
            finally:
                self._closed = True
                self._release()

    def _finish(self, database: Database) -> None:
        if self._writer_lock is not None:
            self._flush(database)
            database.await_compactions()
        database.close()
        if self._writer_lock is not None:
            manifests.note(self._path)

    def _release(self) -> None:
        self._database = None
        if self._writer_lock is not None:
            self._writer_lock.release()

    def _scan(
        self, family: str, prefix: bytes = b"", *, newest_first: bool = False
    ) -> Iterator[tuple[bytes, bytes]]:
        """Entries of a family whose key begins with `prefix`, in the order of keys.

        Read page by page, because an iterator of rocksdict keeps the database open, and locked,
        for as long as it lives. `newest_first` is for keys of operations, all of them.
        """
        start = b"\xff" * 16 if newest_first else prefix
        while True:
            page: list[tuple[bytes, bytes]] = self.read(
                _page, [], FAMILIES.index(family), prefix, start, newest_first
            )
            yield from page
            if len(page) < PAGE_LEN:
                return
            last = page[-1][0]
            if not newest_first:
                start = last + b"\0"
            elif any(last):
                start = (int.from_bytes(last, "big") - 1).to_bytes(len(last), "big")
            else:
                return

    def read(self, read: Callable[..., T], absent: T, *args: object) -> T:
        """What `read` returns for the database and `args`; `absent` if there is no database."""
        database = self._database
        if database is None:
            database = self._readable()
            if database is None:
                return absent
        try:
            return self._guard(read, database, *args)
        except (Corruption, StorageError):
            # A reader opens some files late, and the writer may have dropped them by then.
            latest = database is self._database and self._look() == self._stamp
            if latest or self._writer_lock is not None:
                raise
        self.refresh()
        database = self._readable()
        return absent if database is None else self._guard(read, database, *args)

    def _write(self, batch: WriteBatch) -> None:
        self._guard(self._writable().write, batch)

    def _writable(self) -> Database:
        if self._writer_lock is None:
            raise ReadOnlyRepository(
                f"the repository is read-only: {self._path} was opened for reading"
            )
        if self._database is None:
            raise self._is_closed()
        return self._database

    def _readable(self) -> Database | None:
        with self._lock:
            if self._closed:
                raise self._is_closed()
            if not self._looked:
                self._open_reader()
            return self._database

    def _open_writer(self) -> None:
        binding.prepare()
        from rocksdict import AccessType, Rdict

        self._manifest()
        self._guard(_make_directory, self._path)
        place = self._guard(Place, self._path)
        access = AccessType.read_write()
        root = self._guard(Rdict, place.name, *opening(), access)
        self._database = self._guard(Database, root, place, Packs(self._path))
        self._guard(manifests.note, self._path)
        self._looked = True
        self._counters = _decode_counters(self._guard(_get_value, self._database, COUNTERS))

    def _open_reader(self) -> None:
        for _ in range(OPEN_ATTEMPTS_MAX):
            # Before opening: what changes meanwhile must look like a change to `refresh`.
            stamp = self._look()
            database = None
            if stamp is not None:
                try:
                    database = self._open_view()
                except (Corruption, StorageError) as error:
                    if self._look() != stamp:
                        continue
                    # A database that has just been made, or whose maker died, has no families yet.
                    if NO_FAMILY not in str(error) or manifests.has_tables(self._path):
                        raise
            self._database, self._stamp, self._looked = database, stamp, True
            return
        raise StorageError(f"{self._path}: its writer changes it faster than it can be opened")

    def _open_view(self) -> Database | None:
        """The database as its MANIFEST has it now, opened without writing to its directory."""
        binding.prepare()
        from rocksdict import AccessType, DBPath, Rdict

        manifest = self._manifest()
        if manifest is None:
            return None
        place = self._guard(Place, self._path)
        if self._options is None:
            # Kept for reopening: the block cache in it stays warm.
            self._options = opening()
        self._options[0].set_db_paths([DBPath(place.name, VIEWED_BYTES_MAX)])
        view = self._guard(View, manifest)
        try:
            database, families = self._options
            try:
                root = Rdict(view.name, database, families, AccessType.read_only())
            except Exception as error:
                if NO_FAMILY not in str(error):
                    raise
                # Nothing has been moved to it since there are large records.
                families = {name: each for name, each in families.items() if name != CHUNKS}
                root = Rdict(view.name, database, families, AccessType.read_only())
            return Database(root, place, Packs(self._path), has_chunks=CHUNKS in families)
        except Exception as error:
            # As `_guard`, without the name of the view.
            if not binding.is_its_own(error):
                raise
            raise self._failure(Exception(str(error).replace(view.name, self._path))) from None
        finally:
            view.remove()

    def _manifest(self) -> Manifest | None:
        """The MANIFEST, checked: RocksDB is never given another."""
        try:
            return manifests.load(self._path)
        except FileNotFoundError as error:
            raise self._is_corrupt(f"{error.filename} is missing") from None
        except OSError as error:
            raise self._failure(error) from None

    def _look(self) -> tuple[str, int, int] | None:
        """Changes whenever the writer flushes or compacts; None if there is no database.

        Raises `CorruptObject` as `manifest.current`.
        """
        try:
            name = manifests.current(self._path)
            if name is None:
                return None
            try:
                stat = os.stat(os.path.join(self._path, name))
            except FileNotFoundError:
                return name, -1, -1
            return name, stat.st_size, stat.st_mtime_ns
        except OSError as error:
            raise self._failure(error) from None

    def _guard(self, call: Callable[..., T], *args: object) -> T:
        """Calls into rocksdict, and makes its errors those of Helios."""
        try:
            return call(*args)
        except Exception as error:
            if not binding.is_its_own(error):
                raise
            raise self._failure(error) from None

    def _failure(self, error: Exception) -> HeliosError:
        reason = str(error)
        if self._closed or reason.startswith("DB instance already closed"):
            return self._is_closed()
        if reason.startswith("Corruption"):
            return self._is_corrupt(reason)
        if os.path.join(self._path, "LOCK:") in reason:
            return StoreBusy(f"{self._path}: another process has it open for writing: {reason}")
        return StorageError(f"{self._path}: {reason}", errno=getattr(error, "errno", None))

    def _is_corrupt(self, reason: str) -> CorruptObject:
        return CorruptObject(
            f"{self._path} is corrupt: {reason}; restore it from a copy of the repository"
        )

    def _is_closed(self) -> StorageError:
        return StorageError(f"{self._path}: the store is closed")


def _get_value(database: Database, key: bytes) -> bytes | None:
    found: bytes | None = database.objects.get(key)
    return found


def _get_records(database: Database, ids: list[Any]) -> list[bytes | None]:
    # The core follows a chain of splices one by one, and for one key the multi-get costs twice as
    # much.
    found: list[bytes | None]
    found = [database.objects.get(ids[0])] if len(ids) == 1 else database.objects.get(ids) or []
    stubs = [at for at, value in enumerate(found) if value is not None and is_stub(value)]
    if stubs:
        for at, record in zip(stubs, database.large([ids[at] for at in stubs]), strict=True):
            found[at] = record
    return found


def _get_reference(database: Database, name: bytes) -> bytes | None:
    found: bytes | None = database.references.get(name)
    return found


def _get_locations(database: Database, ids: list[Any]) -> tuple[Packs | None, list[bytes | None]]:
    return database.packs, database.located(ids)


def _read_large(database: Database) -> None:
    for _ in database.each_large():
        pass


def _counts(database: Database) -> StoreCounts:
    raw, zstd, splice, chunks, record_bytes = _decode_counters(database.objects.get(COUNTERS))
    return StoreCounts(raw, zstd, splice, chunks, record_bytes, database.size_on_disk())


def _page(
    database: Database, family: int, prefix: bytes, start: bytes, backwards: bool
) -> list[tuple[bytes, bytes]]:
    """The next `PAGE_LEN` entries from `start` on, as far as their keys begin with `prefix`."""
    # Not `items()`: at a damaged block that ends as if there were nothing more.
    cursor: Any = database.families[family].iter()
    seek, step = (cursor.seek_for_prev, cursor.prev) if backwards else (cursor.seek, cursor.next)
    seek(start)
    page: list[tuple[bytes, bytes]] = []
    while len(page) < PAGE_LEN and cursor.valid() and (key := cursor.key()).startswith(prefix):
        page.append((key, cursor.value()))
        step()
    cursor.status()
    return page


def _make_directory(path: str) -> None:
    try:  # noqa: SIM105 (contextlib is slow to import)
        os.mkdir(path)
    except FileExistsError:
        pass


def _decode_counters(encoded: bytes | None) -> list[int]:
    if encoded is None:
        return [0] * (len(FORMS) + 1)
    return [int.from_bytes(encoded[at : at + 8], "big") for at in range(0, len(encoded), 8)]
