"""All records of an L2 store, page by page, past what RocksDB cannot read.

A page is bounded in bytes, so that large objects do not add up. Where a block or a value is
damaged an iterator ends; the next key that can be read is then searched for, and what lies between
is told as a gap. Its keys cannot be told: an object in it is found by whatever refers to it.
"""

from __future__ import annotations

from operator import itemgetter

from helios.errors import Corruption, StorageError
from helios.store import binding
from helios.store.base import Page
from helios.store.large import form_of_stub, is_stub, length_of

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterator
    from typing import Any

    from helios.store.rocksdb import RocksStore

PAGE_BYTES = 8 << 20
PAGE_LEN = 4096
KEY_BITS = 256
KEY_BYTES = KEY_BITS // 8


def whole(store: RocksStore, pages: Iterator[Page]) -> Iterator[Page]:
    """Pages with the large records in their places; one that cannot be read is a gap."""
    for page in pages:
        entries: list[tuple[bytes, bytes | int]] = []
        size = 0
        both: list[tuple[bytes, bytes | int]] = [*page.records]
        both += ((key, length) for key, _, length in page.large)
        for key, entry in sorted(both, key=itemgetter(0)):
            entries.append((key, entry))
            size += entry if isinstance(entry, int) else len(entry)
            if size >= PAGE_BYTES:
                yield from _filled(store, entries)
                entries, size = [], 0
        yield from _filled(store, entries)
        if page.gap is not None:
            yield Page([], page.gap)


def _filled(store: RocksStore, entries: list[tuple[bytes, bytes | int]]) -> Iterator[Page]:
    """A page of records; those that are given by their length are read."""
    large = [key for key, entry in entries if isinstance(entry, int)]
    try:
        found = dict(zip(large, store.large(large), strict=True))
    except (Corruption, StorageError) as error:
        if len(entries) > 1:
            for each in entries:
                yield from _filled(store, [each])
            return
        yield Page([], (large[0], large[0] + b"\0", str(error)))
        return
    records = ((key, found[key] if isinstance(entry, int) else entry) for key, entry in entries)
    yield Page([(key, record) for key, record in records if record is not None])


def pages(store: RocksStore) -> Iterator[Page]:
    """The records of a store in the order of keys; of large ones what is known without reading.

    Raises `CorruptObject` or `StorageError` if the store cannot be opened at all.
    """
    start = b""
    nothing: tuple[list[tuple[bytes, bytes]], bool] = ([], True)
    while True:
        try:
            found, is_last = store.read(_page, nothing, start)
        except (Corruption, StorageError) as error:
            following = store.read(_next_readable, None, start)
            yield Page([], (start, following, str(error)))
            if following is None:
                return
            start = following
            continue
        large = [
            (key, form_of_stub(value), length_of(value)) for key, value in found if is_stub(value)
        ]
        records = [entry for entry in found if not is_stub(entry[1])] if large else found
        yield Page(records, large=large)
        if is_last:
            return
        if found:
            start = found[-1][0] + b"\0"


def _page(database: Any, start: bytes) -> tuple[list[tuple[bytes, bytes]], bool]:
    """The next records, and whether they are the last. Raises if not even one can be read."""
    cursor = database.objects.iter()
    cursor.seek(start)
    found: list[tuple[bytes, bytes]] = []
    size = 0
    while size < PAGE_BYTES and len(found) < PAGE_LEN:
        if not cursor.valid():
            if not found:
                cursor.status()
                return found, True
            # The next page tells whether this is the end or damage.
            break
        record = cursor.value()
        found.append((cursor.key(), record))
        size += len(record)
        cursor.next()
    return found, False


def _next_readable(database: Any, start: bytes) -> bytes | None:
    """The first key behind `start` that can be read, None if there is none.

    Ids are spread evenly, so the step that leads past the damage is found by doubling, and then
    narrowed. What can be read between two damaged places that are neighbours may be passed over.
    """
    low = int.from_bytes(start[:KEY_BYTES].ljust(KEY_BYTES, b"\0"), "big")
    limit = 1 << KEY_BITS

    def readable(place: int) -> tuple[bool, bytes | None]:
        cursor = database.objects.iter()
        cursor.seek(place.to_bytes(KEY_BYTES, "big"))
        if cursor.valid():
            return True, cursor.key()
        try:
            cursor.status()
        except Exception as error:
            if not binding.is_its_own(error):
                raise
            return False, None
        return True, None

    bad, good, key = low, limit, None
    step = 1
    while low + step < limit:
        is_readable, found = readable(low + step)
        if is_readable:
            good, key = low + step, found
            break
        bad = low + step
        step *= 2
    else:
        is_readable, key = readable(limit - 1)
        if not is_readable:
            return None
        good = limit - 1
    while good - bad > 1:
        middle = (good + bad) // 2
        is_readable, found = readable(middle)
        if is_readable:
            good, key = middle, found
        else:
            bad = middle
    return key
