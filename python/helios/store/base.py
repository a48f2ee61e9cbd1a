"""What a store is: records by id, refs by name, operations by time.

A record is the stored form of one object (`crates/helios-core/src/store/record.rs`). The store
looks at its first two bytes only, kind and stored form, and does not verify it: the core does, on
every read. Objects are immutable and content-addressed, so writing one twice changes nothing, and
maintenance that died can be run again from the start.
"""

from __future__ import annotations

from helios.errors import CorruptObject, InvalidId

TYPE_CHECKING = False
if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from types import TracebackType
    from typing import Protocol, Self

    from helios._core import Packs
else:
    # Importing `typing` costs 3 ms at start-up.
    Protocol = object

FORMS = ("raw", "zstd", "splice", "chunks")
"""Names of the stored forms; a record's second byte is the index."""

ID_HEX_LEN = 64


class StoreCounts:
    """What a store holds.

    `raw`, `zstd`, `splice` and `chunks` are the numbers of objects by stored form, `record_bytes`
    is the sum of the lengths of their records, `disk_bytes` what the store takes on disk.
    """

    __slots__ = ("chunks", "disk_bytes", "raw", "record_bytes", "splice", "zstd")

    def __init__(
        self,
        raw: int = 0,
        zstd: int = 0,
        splice: int = 0,
        chunks: int = 0,
        record_bytes: int = 0,
        disk_bytes: int = 0,
    ) -> None:
        self.raw = raw
        self.zstd = zstd
        self.splice = splice
        self.chunks = chunks
        self.record_bytes = record_bytes
        self.disk_bytes = disk_bytes

    @property
    def objects(self) -> int:
        """The number of all objects."""
        return self.raw + self.zstd + self.splice + self.chunks

    def __repr__(self) -> str:
        fields = ", ".join(f"{name}={getattr(self, name)}" for name in self.__slots__)
        return f"StoreCounts({fields})"


class Page:
    """Records by key, in the order of keys, and the gap behind them, if there is one.

    A gap is what cannot be read: between which keys (None: the last one), and why. `large` are
    large records that were not read: id, stored form and length of each.
    """

    __slots__ = ("gap", "large", "records")

    def __init__(
        self,
        records: list[tuple[bytes, bytes]],
        gap: tuple[bytes, bytes | None, str] | None = None,
        large: Sequence[tuple[bytes, int, int]] = (),
    ) -> None:
        self.records = records
        self.gap = gap
        self.large = large


class Store(Protocol):
    """Records, refs and operations. Safe to use from several threads.

    Every method raises `StorageError` if the medium fails or the store is closed, and
    `CorruptObject` if what is stored is damaged; writing to a store that was opened for reading
    raises `ReadOnlyRepository`.
    """

    def records(self, ids: Sequence[bytes]) -> list[bytes | None]:
        """The stored record of each id (32 bytes), in order; None where the store has none."""

    def stored(self, ids: Sequence[bytes]) -> list[bytes | None]:
        """As `records`, without what is derived from something else."""

    def derives(self) -> bool:
        """Whether there may be objects that are derived."""

    def underivable(self) -> Iterator[tuple[str, str, str]]:
        """Of objects that should be derived and cannot: `missing` or `corrupt`, why, and the id in
        hexadecimal. Derives every one."""

    def closed(self, ids: Sequence[bytes]) -> list[bool]:
        """Whether each object is derived, with all that it leads to: gc need not look below it,
        because somebody else keeps it for ever."""

    def put_records(self, records: Iterable[tuple[bytes, bytes]]) -> int:
        """Adds (id, record) pairs; returns how many were new.

        An id that is there already, or comes twice, keeps its first record, unless that cannot be
        read, or a later one `supersedes` it. If it fails midway, some of the records are there:
        repeat the call.
        """

    def replace_records(self, records: Iterable[tuple[bytes, bytes]]) -> int:
        """Puts (id, record) pairs in place of what is there; returns how many."""

    def located(self, ids: Sequence[bytes]) -> tuple[Packs | None, list[bytes | None]]:
        """Large records: as `stored`; or, if packs are given too, where in them each lies, or the
        record, which is longer than a location."""

    def pages(self, *, with_large: bool = True) -> Iterator[Page]:
        """All records, a page in memory at a time, past what cannot be read.

        Without `with_large` those that the store keeps apart because they are large are only named.
        """

    def check(self) -> None:
        """Raises as every method does if the store cannot be opened at all."""

    def reference(self, name: bytes) -> bytes | None:
        """The value of a ref; None if there is no such ref."""

    def references(self, prefix: bytes) -> Iterator[tuple[bytes, bytes]]:
        """(name, value) of the refs whose name begins with `prefix`, in the order of names."""

    def put_references(self, changes: Mapping[bytes, bytes | None]) -> None:
        """Sets refs, and deletes those whose new value is None: all of them, or none."""

    def put_operations(self, operations: Iterable[tuple[tuple[int, int], bytes]]) -> None:
        """Adds encoded operations, each under its position in the journal (segment, offset).

        Positions are unique and ascend with time; an operation under a known position replaces
        that one.
        """

    def operations(self, limit: int | None = None) -> Iterator[tuple[tuple[int, int], bytes]]:
        """(position, operation) pairs, newest first; at most `limit` of them."""

    def ids_with_prefix(self, hex_prefix: str, kind: int) -> list[bytes]:
        """Ids, ascending, of the objects of a kind whose hexadecimal form begins with the prefix.

        `kind` is 1 for blobs, 2 for tree nodes, 3 for snapshots. The prefix may have an odd
        number of digits, of either case. Raises `InvalidId` if it is not hexadecimal.
        """

    def delete_records(self, doomed: Iterable[tuple[bytes, int, int]]) -> None:
        """Deletes objects, given as id, stored form and length of the record that is there."""

    def delete_operations(self, positions: Iterable[tuple[int, int]]) -> None:
        """Deletes operations by their positions."""

    def compact(self) -> None:
        """Gives back the room of what was deleted. Meanwhile what is left takes twice its room."""

    def counts(self) -> StoreCounts:
        """What the store holds, from counters that are kept up to date: no scan."""

    def refresh(self) -> None:
        """Makes a store that was opened for reading show what others have flushed since."""

    def flush(self) -> None:
        """Returns when everything that was put is durable, or raises.

        A ref or an operation is durable only after every object that was put before it.
        """

    def close(self) -> None:
        """Flushes and releases the store; once closed, nothing is left to do."""

    def __enter__(self) -> Self: ...

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        traceback: TracebackType | None,
    ) -> None: ...


def form_of(object_id: bytes, record: bytes) -> int:
    """The stored form of a record, as an index of `FORMS`; `CorruptObject` if it has none."""
    form = record[1] if len(record) > 1 else len(FORMS)
    if form >= len(FORMS):
        raise CorruptObject(
            f"object {object_id.hex()} is corrupt: its record begins with {record[:3].hex()!r}, "
            "which is no stored form; it was not stored"
        )
    return form


def supersedes(form: int, known: int) -> bool:
    """Whether a record takes the place of another one of its object, by their stored forms.

    What a splice rests on may be damaged, and a commit then writes the object anew: whole. A whole
    record rests on nothing older, so it is never worse.
    """
    splice = FORMS.index("splice")
    return known == splice and form != splice


def checked_prefix(hex_prefix: str) -> str:
    """The prefix of an id in lower case; `InvalidId` if it cannot be one."""
    lowered = hex_prefix.lower()
    if len(lowered) > ID_HEX_LEN or lowered.strip("0123456789abcdef"):
        raise InvalidId(f"invalid id prefix {hex_prefix!r}: want at most 64 hexadecimal digits")
    return lowered
