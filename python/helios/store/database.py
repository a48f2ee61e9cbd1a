"""An open RocksDB database: its families, what is written and flushed together, and compaction."""

from __future__ import annotations

import time

from helios.store.large import is_large, is_stub, stub_of
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
        "references",
    )

    def __init__(self, root: Rdict, place: Place, *, has_chunks: bool = True) -> None:
        self._root = root
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

    def put(self, batch: WriteBatch, object_id: bytes, record: bytes) -> None:
        if self._chunks_handle is not None and is_large(record):
            batch.put(object_id, record, self._chunks_handle)
            record = stub_of(record)
        batch.put(object_id, record, self.handles[0])

    def large(self, ids: list[Any]) -> list[bytes | None]:
        """Large records; also while other threads run Python."""
        if self._chunks is None:
            return [None] * len(ids)
        # For a single key rocksdict would keep the GIL.
        found: list[bytes | None] = self._chunks.get(ids) or []
        return found

    def delete_large(self, ids: Iterable[bytes]) -> None:
        if self._chunks is not None:
            batch = batch_of_writes()
            for object_id in ids:
                batch.delete(object_id, self._chunks_handle)
            self.write(batch)
            self._chunks.flush()

    def without_stubs(self) -> list[bytes]:
        """Large records that nothing stands for: a writer died before it could delete them."""
        stubs = ((key, self.objects.get(key)) for key in self.keys_of_large())
        return [key for key, stub in stubs if stub is None or not is_stub(stub)]

    def keys_of_large(self) -> Iterator[bytes]:
        """The ids of all large records, which are read meanwhile. Raises at one that is damaged."""
        if self._chunks is not None:
            cursor: Any = self._chunks.iter()
            cursor.seek(b"")
            while cursor.valid():
                yield cursor.key()
                cursor.next()
            cursor.status()

    def write(self, batch: WriteBatch) -> None:
        from rocksdict import WriteOptions

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
        """The sum of tables and blob files."""
        return sum(
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
