"""An open RocksDB database: its families, what is written and flushed together, and compaction."""

from __future__ import annotations

import time

from helios._core import Packs
from helios.errors import Corruption, StorageError
from helios.store.large import is_large, is_location, is_stub, stub_of
from helios.store.options import CHUNKS, FAMILIES

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator
    from typing import Any

    from rocksdict import ColumnFamily, Rdict, WriteBatch

    from helios.store.place import Place

BLOB_GC = {
    "blob_garbage_collection_age_cutoff": "1.0",
    "blob_garbage_collection_force_threshold": "1.0",
}
"""All blob files are looked at, not only the oldest."""

MOVED_BYTES_MIN = 64 << 20
"""What is moved before the locations of it are written, and that may be moved in any case."""

COMPACTION_START_SECONDS = 0.02
"""How long RocksDB may take to start a compaction that it has reason for."""


class Database:
    """An open database and its families.

    Each of its parts keeps the database open, and locked, until it is closed or dropped. A family
    as an `Rdict` is for reading and flushing; `handles` say what family a write goes to, in the
    order of `FAMILIES`. A database that was never written since has no family of large records.
    """

    __slots__ = (
        "_chunks",
        "_chunks_handle",
        "_place",
        "_root",
        "families",
        "handles",
        "objects",
        "packs",
        "references",
    )

    def __init__(self, root: Rdict, place: Place, packs: Packs, *, has_chunks: bool = True) -> None:
        self._root = root
        self.packs = packs
        self._chunks: Rdict | None = root.get_column_family(CHUNKS) if has_chunks else None
        self._chunks_handle: ColumnFamily | None = None
        if has_chunks:
            self._chunks_handle = root.get_column_family_handle(CHUNKS)
        # Files are opened by its name as long as the database is open.
        self._place = place
        self.families: tuple[Rdict, ...] = tuple(map(root.get_column_family, FAMILIES))
        self.handles: tuple[ColumnFamily, ...] = tuple(map(root.get_column_family_handle, FAMILIES))
        self.objects, self.references, _ = self.families

    @property
    def all_families(self) -> tuple[Rdict, ...]:
        """All of them, each before what names something in it."""
        return self.families if self._chunks is None else (self._chunks, *self.families)

    def put(self, batch: WriteBatch, object_id: bytes, record: bytes) -> int:
        """How many bytes went to a pack: they are not in the batch."""
        if self._chunks_handle is None or not is_large(record):
            batch.put(object_id, record, self.handles[0])
            return 0
        batch.put(object_id, self.packs.append(object_id, record), self._chunks_handle)
        batch.put(object_id, stub_of(record), self.handles[0])
        return len(record)

    def located(self, ids: list[Any]) -> list[bytes | None]:
        """Where large records lie, or, in version 2, the records."""
        if self._chunks is None:
            return [None] * len(ids)
        # For a single key rocksdict would keep the GIL.
        found: list[bytes | None] = self._chunks.get(ids) or []
        return found

    def large(self, ids: list[Any]) -> list[bytes | None]:
        """Large records; also while other threads run Python."""
        return [
            self.packs.read(value) if value is not None and is_location(value) else value
            for value in self.located(ids)
        ]

    def is_damaged(self, object_id: bytes) -> bool:
        """Whether the large record of a blob is not where it should be, or not the blob's."""
        [value] = self.located([object_id])
        if value is not None and is_location(value):
            return not self.packs.holds(object_id, value)
        # RocksDB has checked what it holds itself.
        return value is None

    def delete_large(self, ids: Iterable[bytes]) -> None:
        if self._chunks is not None:
            batch = batch_of_writes()
            for object_id in ids:
                batch.delete(object_id, self._chunks_handle)
            self.write(batch)
            self._chunks.flush()

    def without_stubs(self) -> list[bytes]:
        """Large records that nothing stands for: a writer died before it could delete them."""
        stubs = ((key, self.objects.get(key)) for key, _ in self.each_large())
        return [key for key, stub in stubs if stub is None or not is_stub(stub)]

    def each_large(self) -> Iterator[tuple[bytes, bytes]]:
        """The entries of `chunks`, in the order of ids. Raises at one that is damaged."""
        if self._chunks is not None:
            cursor: Any = self._chunks.iter()
            cursor.seek(b"")
            while cursor.valid():
                yield cursor.key(), cursor.value()
                cursor.next()
            cursor.status()

    def repack(self) -> None:
        """Moves what counts out of packs in which not all does, and out of tables; removes packs.

        What is moved at a time takes its room twice: an eighth of all, or `MOVED_BYTES_MIN`.
        """
        used: dict[int, int] = {}
        in_tables = False
        for _, value in self.each_large():
            if is_location(value):
                pack, room = Packs.room(value)
                used[pack] = used.get(pack, 0) + room
            else:
                in_tables = True
        left = []
        for pack, size in self.packs.sizes():
            if pack not in used:
                self.packs.remove(pack)
            elif used[pack] != size:
                left.append(pack)
        if left or in_tables:
            # Not behind something that is to go.
            self.packs.begin()
        if in_tables:
            self._move(set())
        bound = max(MOVED_BYTES_MIN, sum(used.values()) // 8)
        while left:
            moved, size = set[int](), 0
            while left and (not moved or size + used[left[-1]] <= bound):
                size += used[left[-1]]
                moved.add(left.pop())
            for pack in self._move(moved):
                self.packs.remove(pack)

    def _move(self, packs: set[int]) -> set[int]:
        """Appends anew what lies in packs, or in tables, and says for good where it lies now.

        The packs in which nothing counts any more. What cannot be read stays where it is.
        """
        empty = set(packs)
        batch, size = batch_of_writes(), 0
        for object_id, value in self.each_large():
            record = value
            if is_location(value):
                pack, _ = Packs.room(value)
                if pack not in packs:
                    continue
                try:
                    record = self.packs.read(value)
                except (Corruption, StorageError):
                    empty.discard(pack)
                    continue
            batch.put(object_id, self.packs.append(object_id, record), self._chunks_handle)
            size += len(record)
            if size >= MOVED_BYTES_MIN:
                self.write(batch)
                batch, size = batch_of_writes(), 0
        self.write(batch)
        if self._chunks is not None:
            self._chunks.flush()
        return empty

    def write(self, batch: WriteBatch) -> None:
        from rocksdict import WriteOptions

        # RocksDB may flush what names a record at any time.
        self.packs.sync()
        options = WriteOptions()
        # A property, which the stubs of rocksdict 0.3.29 declare as a method.
        options.disable_wal = True  # type: ignore[method-assign, assignment]
        self._root.write(batch, options)

    def flush(self) -> None:
        """Makes objects durable first, then what names them. The first failure ends it."""
        for family in self.all_families:
            family.flush()

    def compact(self) -> None:
        """Rewrites all tables and blob files without what was deleted.

        Blob files keep what is deleted in them until a compaction moves the rest: that is asked for
        here only, because it would make each compaction write all contents again.
        """
        objects = self.families[0]
        objects.set_options(BLOB_GC | {"enable_blob_garbage_collection": "true"})
        try:
            for family in self.all_families:
                family.compact_range(None, None)
        finally:
            objects.set_options({"enable_blob_garbage_collection": "false"})

    def size_on_disk(self) -> int:
        """The sum of tables, blob files and packs."""
        return sum(size for _, size in self.packs.sizes()) + sum(
            family.property_int_value(f"rocksdb.total-{files}-size") or 0
            for family in self.all_families
            for files in ("sst-files", "blob-file")
        )

    def await_compactions(self) -> None:
        """Returns when no compaction runs, and none that there is reason for has begun for a while.

        RocksDB only tells that there is reason for one (many runs), not whether it will act on it.
        """
        idle_since = time.monotonic()
        while not self._root.property_int_value("rocksdb.background-errors"):
            now = time.monotonic()
            if self._root.property_int_value("rocksdb.num-running-compactions"):
                idle_since = now
            elif now - idle_since > COMPACTION_START_SECONDS or not any(
                family.property_int_value("rocksdb.compaction-pending")
                for family in self.all_families
            ):
                return
            time.sleep(0.001)

    def close(self) -> None:
        # Without handles nothing can be put any more. They must go before the last of the rest.
        self.handles, self._chunks_handle = (), None
        for part in (*self.all_families, self._root):
            part.close()

    def __del__(self) -> None:
        # rocksdict flushes a family when it is dropped: in this order, then, here too. If objects
        # fail, so do the others: after a failure RocksDB flushes all of them together, or none.
        try:  # noqa: SIM105 (contextlib is slow to import)
            self.close()
        except Exception:  # noqa: BLE001, S110
            # It is closed already, or nobody is left to be told.
            pass


def batch_of_writes() -> WriteBatch:
    """An empty batch; its keys and values are bytes."""
    from rocksdict import WriteBatch

    return WriteBatch(raw_mode=True)
