"""A store in memory: for ephemeral repositories, and the model that other stores are tested by."""

from __future__ import annotations

from _thread import RLock

from helios.errors import StorageError
from helios.store.alone import Alone
from helios.store.base import FORMS, Page, StoreCounts, checked_prefix, form_of, supersedes

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence


class MemoryStore(Alone):
    """Implements `Store` with dictionaries; what it holds ends when it is closed."""

    __slots__ = ("_closed", "_lock", "_operations", "_records", "_references")

    def __init__(self) -> None:
        self._lock = RLock()
        self._closed = False
        self._records: dict[bytes, bytes] = {}
        self._references: dict[bytes, bytes] = {}
        self._operations: dict[tuple[int, int], bytes] = {}

    def records(self, ids: Sequence[bytes]) -> list[bytes | None]:
        with self._opened():
            return [self._records.get(object_id) for object_id in ids]

    def put_records(self, records: Iterable[tuple[bytes, bytes]]) -> int:
        with self._opened():
            before = len(self._records)
            for object_id, record in records:
                form = form_of(object_id, record)
                known = self._records.get(object_id)
                if known is None or supersedes(form, known[1]):
                    self._records[object_id] = record
            return len(self._records) - before

    def replace_records(self, records: Iterable[tuple[bytes, bytes]]) -> int:
        with self._opened():
            replaced = dict(records)
            for object_id, record in replaced.items():
                form_of(object_id, record)
            self._records.update(replaced)
            return len(replaced)

    def pages(self, *, with_large: bool = True) -> Iterator[Page]:  # noqa: ARG002
        with self._opened():
            return iter([Page(sorted(self._records.items()))])

    def check(self) -> None:
        """Memory is always open, until it is closed."""
        with self._opened():
            pass

    def reference(self, name: bytes) -> bytes | None:
        with self._opened():
            return self._references.get(name)

    def references(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        with self._opened():
            found = [item for item in self._references.items() if item[0].startswith(prefix)]
        return iter(sorted(found))

    def put_references(self, changes: Mapping[bytes, bytes | None]) -> None:
        with self._opened():
            for name, value in changes.items():
                if value is None:
                    self._references.pop(name, None)
                else:
                    self._references[name] = value

    def put_operations(self, operations: Iterable[tuple[tuple[int, int], bytes]]) -> None:
        with self._opened():
            self._operations.update(operations)

    def operations(self, limit: int | None = None) -> Iterator[tuple[tuple[int, int], bytes]]:
        with self._opened():
            newest_first = sorted(self._operations.items(), reverse=True)
        return iter(newest_first[:limit])

    def ids_with_prefix(self, hex_prefix: str, kind: int) -> list[bytes]:
        prefix = checked_prefix(hex_prefix)
        with self._opened():
            return sorted(
                object_id
                for object_id, record in self._records.items()
                if record[0] == kind and object_id.hex().startswith(prefix)
            )

    def delete_records(self, doomed: Iterable[tuple[bytes, int, int]]) -> None:
        with self._opened():
            for object_id, _, _ in doomed:
                self._records.pop(object_id, None)

    def delete_operations(self, positions: Iterable[tuple[int, int]]) -> None:
        with self._opened():
            for position in positions:
                self._operations.pop(position, None)

    def compact(self) -> None:
        """Nothing to do: what is deleted is gone."""

    def counts(self) -> StoreCounts:
        """As the interface says, but by a scan; `disk_bytes` is 0."""
        with self._opened():
            forms = [0] * len(FORMS)
            for record in self._records.values():
                forms[record[1]] += 1
            raw, zstd, splice, chunks = forms
            return StoreCounts(raw, zstd, splice, chunks, sum(map(len, self._records.values())))

    def refresh(self) -> None:
        """Nothing to do: there is no other process to see the changes of."""

    def flush(self) -> None:
        """Nothing to do: memory is as durable as this store gets."""

    def close(self) -> None:
        with self._lock:
            self._closed = True
            self._records.clear()
            self._references.clear()
            self._operations.clear()

    def _opened(self) -> RLock:
        """The lock that every access holds."""
        if self._closed:
            raise StorageError("the store in memory is closed")
        return self._lock
