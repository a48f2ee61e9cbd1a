"""An L2 store and, behind it, what is derived from a git repository beside it.

What came from git is stored by git (`docs/design/013-git.md`). An object that the store does not
have is looked for there, if there is such a repository; nothing of it is imported, opened or
started before. Whatever is written goes to the store.
"""

from __future__ import annotations

import os
from _thread import allocate_lock

from helios.store.closing import Closing

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence

    from helios._core import Packs
    from helios.store.base import Page, Store, StoreCounts
    from helios.store.git.derived import Derived

GIT = "git"


class DerivedStore(Closing):
    """Implements `Store` over another one; `directory` is that of the repository."""

    __slots__ = ("_derived", "_directory", "_lock", "_store")

    def __init__(self, store: Store, directory: str) -> None:
        self._store = store
        self._directory = os.path.join(directory, GIT)
        self._derived: Derived | None = None
        self._lock = allocate_lock()

    @property
    def derived(self) -> Derived | None:
        """What is derived; None as long as there is no git repository."""
        if self._derived is None:
            if not os.path.isdir(os.path.join(self._directory, "helios", "map")):
                return None
            from helios.store.git.derived import Derived

            with self._lock:
                # Of two, one would never be closed, nor the git that it runs.
                if self._derived is None:
                    self._derived = Derived(self._directory)
        return self._derived

    def records(self, ids: Sequence[bytes]) -> list[bytes | None]:
        found = self._store.records(ids)
        if None not in found or (derived := self.derived) is None:
            return found
        missing = [each for each, record in zip(ids, found, strict=True) if record is None]
        more = iter(derived.records(missing))
        return [next(more) if record is None else record for record in found]

    def stored(self, ids: Sequence[bytes]) -> list[bytes | None]:
        return self._store.records(ids)

    def derives(self) -> bool:
        return self.derived is not None

    def underivable(self) -> Iterator[tuple[str, str, str]]:
        derived = self.derived
        return iter(()) if derived is None else derived.underivable()

    def closed(self, ids: Sequence[bytes]) -> list[bool]:
        derived = self.derived
        return self._store.closed(ids) if derived is None else derived.closed(ids)

    def ids_with_prefix(self, hex_prefix: str, kind: int) -> list[bytes]:
        found = self._store.ids_with_prefix(hex_prefix, kind)
        if (derived := self.derived) is None:
            return found
        return sorted({*found, *derived.ids_with_prefix(hex_prefix.lower(), kind)})

    def close(self) -> None:
        if self._derived is not None:
            self._derived.close()
        self._store.close()

    # The rest is the store's.

    def put_records(self, records: Iterable[tuple[bytes, bytes]]) -> int:
        return self._store.put_records(records)

    def replace_records(self, records: Iterable[tuple[bytes, bytes]]) -> int:
        return self._store.replace_records(records)

    def located(self, ids: Sequence[bytes]) -> tuple[Packs | None, list[bytes | None]]:
        return self._store.located(ids)

    def pages(self, *, with_large: bool = True) -> Iterator[Page]:
        return self._store.pages(with_large=with_large)

    def check(self) -> None:
        self._store.check()

    def reference(self, name: bytes) -> bytes | None:
        return self._store.reference(name)

    def references(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        return self._store.references(prefix)

    def put_references(self, changes: Mapping[bytes, bytes | None]) -> None:
        self._store.put_references(changes)

    def put_operations(self, operations: Iterable[tuple[tuple[int, int], bytes]]) -> None:
        self._store.put_operations(operations)

    def operations(self, limit: int | None = None) -> Iterator[tuple[tuple[int, int], bytes]]:
        return self._store.operations(limit)

    def delete_records(self, doomed: Iterable[tuple[bytes, int, int]]) -> None:
        self._store.delete_records(doomed)

    def delete_operations(self, positions: Iterable[tuple[int, int]]) -> None:
        self._store.delete_operations(positions)

    def compact(self) -> None:
        self._store.compact()

    def counts(self) -> StoreCounts:
        return self._store.counts()

    def refresh(self) -> None:
        self._store.refresh()

    def flush(self) -> None:
        self._store.flush()
