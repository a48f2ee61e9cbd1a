"""What every store does. A store's own test module subclasses `StoreSuite` and makes the store."""

from __future__ import annotations

import hashlib
import threading
from itertools import product

import pytest

from helios.errors import CorruptObject, InvalidId, StorageError
from helios.store import Store

BLOB, TREE, SNAPSHOT = 1, 2, 3
RAW, ZSTD, SPLICE, CHUNKS = 0, 1, 2, 3


def make_id(name: object) -> bytes:
    return hashlib.sha256(repr(name).encode()).digest()


def make_record(payload: bytes, kind: int = BLOB, form: int = RAW) -> bytes:
    return bytes([kind, form, 0, 0]) + payload


class StoreSuite:
    """Override `make`, which gives an empty store that can be written."""

    def make(self) -> Store:
        raise NotImplementedError

    @pytest.fixture
    def store(self) -> Store:
        return self.make()

    def test_new_store_is_empty(self, store: Store) -> None:
        assert store.records([make_id(1), make_id(2)]) == [None, None]
        assert store.reference(b"main") is None
        assert list(store.references(b"")) == []
        assert list(store.operations()) == []
        assert store.ids_with_prefix("", BLOB) == []
        counts = store.counts()
        assert (counts.objects, counts.record_bytes) == (0, 0)

    def test_records_come_back_in_the_order_asked_for(self, store: Store) -> None:
        one, two = make_record(b"one"), make_record(b"two")
        assert store.put_records([(make_id(1), one), (make_id(2), two)]) == 2
        assert store.records([]) == []
        assert store.records([make_id(2)]) == [two]
        assert store.records([make_id(3)]) == [None]
        assert store.records([make_id(2), make_id(3), make_id(1), make_id(2)]) == [
            two,
            None,
            one,
            two,
        ]

    @pytest.mark.parametrize("length", [0, 1, 511, 512, 65_531, 65_532, 5 << 20])
    def test_records_of_any_length_come_back(self, store: Store, length: int) -> None:
        record = make_record(bytes(range(256)) * (length // 256) + b"x" * (length % 256))
        store.put_records([(make_id(length), record)])
        store.flush()
        assert store.records([make_id(length)]) == [record]

    def test_known_records_are_not_stored_again(self, store: Store) -> None:
        first, other = make_record(b"first"), make_record(b"other form", form=ZSTD)
        assert store.put_records([(make_id(1), first), (make_id(1), other)]) == 1
        assert store.put_records([(make_id(1), other), (make_id(2), other)]) == 1
        store.flush()
        assert store.put_records([(make_id(1), other), (make_id(2), first)]) == 0
        assert store.records([make_id(1), make_id(2)]) == [first, other]
        counts = store.counts()
        assert (counts.raw, counts.zstd) == (1, 1)
        assert counts.record_bytes == len(first) + len(other)

    def test_a_whole_record_supersedes_a_splice_and_no_other(self, store: Store) -> None:
        splice, other = make_record(b"splice", form=SPLICE), make_record(b"other", form=SPLICE)
        whole = make_record(b"whole", form=CHUNKS)
        assert store.put_records([(make_id(1), splice), (make_id(2), splice)]) == 2
        store.flush()
        assert store.put_records([(make_id(1), other), (make_id(2), whole)]) == 0
        assert store.put_records([(make_id(3), splice), (make_id(3), whole)]) == 1
        assert store.put_records([(make_id(2), other), (make_id(3), other)]) == 0
        assert store.records([make_id(n) for n in (1, 2, 3)]) == [splice, whole, whole]
        counts = store.counts()
        assert (counts.splice, counts.chunks, counts.objects) == (1, 2, 3)
        assert counts.record_bytes == len(splice) + 2 * len(whole)

    def test_records_beyond_one_batch_are_stored_once(self, store: Store) -> None:
        records = [(make_id(n % 60), make_record(bytes(200_000))) for n in range(70)]
        assert store.put_records(iter(records)) == 60
        assert store.counts().objects == 60
        assert None not in store.records([make_id(n) for n in range(60)])

    def test_a_record_is_replaced_whatever_its_length(self, store: Store) -> None:
        records = [make_record(b"x" * length) for length in (70_000, 10, 80_000, 90_000, 20)]
        store.put_records([(make_id(1), records[0])])
        for record in records[1:]:
            assert store.replace_records([(make_id(1), record)]) == 1
            assert store.records([make_id(1)]) == [record]
            store.flush()
            assert store.records([make_id(1)]) == [record]
            assert store.counts().record_bytes == len(record)
        assert store.ids_with_prefix("", BLOB) == [make_id(1)]

    def test_what_is_deleted_and_put_again_is_there(self, store: Store) -> None:
        record = make_record(b"x" * 70_000)
        for _ in range(3):
            assert store.put_records([(make_id(1), record)]) == 1
            store.delete_records([(make_id(1), RAW, len(record))])
            assert store.records([make_id(1)]) == [None]
            assert store.put_records([(make_id(1), record)]) == 1
            store.flush()
            assert store.records([make_id(1)]) == [record]
            store.delete_records([(make_id(1), RAW, len(record))])
            store.flush()
            assert store.records([make_id(1)]) == [None]
            assert store.counts().objects == 0

    def test_pages_hold_all_records_in_the_order_of_ids(self, store: Store) -> None:
        records = {
            make_id(n): make_record(bytes([n % 251]) * (n % 2 * 100_000 + n)) for n in range(300)
        }
        store.put_records(records.items())
        pages = list(store.pages())
        found = [entry for page in pages for entry in page.records if len(entry[0]) == 32]
        assert found == sorted(records.items())
        assert all(sum(len(r) for _, r in page.records) < 9 << 20 for page in pages) or (
            len(pages) == 1
        )
        named = {
            key: length for page in store.pages(with_large=False) for key, _, length in page.large
        }
        assert all(len(records[key]) == length for key, length in named.items())
        assert store.stored(list(named)) == [records[key] for key in named]

    def test_counts_are_by_stored_form(self, store: Store) -> None:
        forms = {RAW: 4, ZSTD: 3, SPLICE: 2, CHUNKS: 1}
        records = [
            (make_id((form, n)), make_record(b"x" * n, kind, form))
            for form, times in forms.items()
            for n, kind in product(range(times), (BLOB,))
        ]
        assert store.put_records(records) == 10
        counts = store.counts()
        assert (counts.raw, counts.zstd, counts.splice, counts.chunks) == (4, 3, 2, 1)
        assert counts.objects == 10
        assert counts.record_bytes == sum(len(record) for _, record in records)

    @pytest.mark.parametrize("record", [b"", b"\x01", b"\x01\x04\x00\x00"])
    def test_record_without_a_stored_form_is_refused(self, store: Store, record: bytes) -> None:
        with pytest.raises(CorruptObject, match=make_id(1).hex()):
            store.put_records([(make_id(1), record)])
        assert store.records([make_id(1)]) == [None]
        assert store.counts().objects == 0

    def test_failing_iterable_raises_its_own_error(self, store: Store) -> None:
        def records() -> object:
            yield make_id(1), make_record(b"one")
            raise ZeroDivisionError

        with pytest.raises(ZeroDivisionError):
            store.put_records(records())  # type: ignore[arg-type]
        store.put_records([(make_id(1), make_record(b"one"))])
        assert store.counts().objects == 1

    def test_references_are_set_replaced_and_deleted(self, store: Store) -> None:
        store.put_references({b"main": make_id(1), b"next": make_id(2)})
        store.put_references({b"main": make_id(3), b"next": None, b"never": None})
        assert store.reference(b"main") == make_id(3)
        assert store.reference(b"next") is None
        assert list(store.references(b"")) == [(b"main", make_id(3))]

    def test_references_by_prefix_are_in_name_order(self, store: Store) -> None:
        names = [b"b/\xff\xff", b"a", b"b/", b"b/2", b"c", b"b/10", b"b", b"b/\xff", b"B/", b""]
        store.put_references({name: make_id(name) for name in names})
        matching = sorted(name for name in names if name.startswith(b"b/"))
        assert list(store.references(b"b/")) == [(name, make_id(name)) for name in matching]
        assert [name for name, _ in store.references(b"")] == sorted(names)
        assert list(store.references(b"z")) == []

    def test_many_references_and_operations_are_all_listed(self, store: Store) -> None:
        names = [b"%05d" % n for n in range(2500)]
        store.put_references(dict.fromkeys(names, make_id(1)))
        store.put_operations(((n // 100, n % 100), b"%d" % n) for n in range(2500))
        assert [name for name, _ in store.references(b"0")] == names
        assert [int(operation) for _, operation in store.operations()] == [*range(2499, -1, -1)]

    def test_full_page_of_operations_may_end_at_the_first_position(self, store: Store) -> None:
        store.put_operations(((0, n), b"%d" % n) for n in range(1024))
        assert [int(operation) for _, operation in store.operations()] == [*range(1023, -1, -1)]

    def test_operations_are_newest_first_across_segments(self, store: Store) -> None:
        positions = [(2, 5), (1, 300), (10, 0), (1, 1 << 40), (2**63, 2**64 - 1), (2, 16)]
        store.put_operations((position, repr(position).encode()) for position in positions)
        newest_first = [
            (position, repr(position).encode()) for position in sorted(positions, reverse=True)
        ]
        assert list(store.operations()) == newest_first
        assert list(store.operations(limit=2)) == newest_first[:2]
        assert list(store.operations(limit=0)) == []
        assert list(store.operations(limit=100)) == newest_first

    def test_operation_is_replayed_without_a_trace(self, store: Store) -> None:
        store.put_operations([((1, 16), b"commit")])
        store.put_operations([((1, 16), b"commit"), ((1, 90), b"undo")])
        assert list(store.operations()) == [((1, 90), b"undo"), ((1, 16), b"commit")]

    def test_kinds_of_keys_do_not_mix(self, store: Store) -> None:
        store.put_records([(b"\xff" * 32, make_record(b"blob")), (b"\0" * 32, make_record(b""))])
        store.put_references({b"": make_id(1), b"\xff" * 40: make_id(2)})
        store.put_operations([((0, 0), b"first"), ((2**64 - 1, 2**64 - 1), b"last")])
        assert [name for name, _ in store.references(b"")] == [b"", b"\xff" * 40]
        assert [operation for _, operation in store.operations()] == [b"last", b"first"]
        assert store.ids_with_prefix("", BLOB) == [b"\0" * 32, b"\xff" * 32]
        for kind in (0, BLOB, TREE, SNAPSHOT):
            assert store.ids_with_prefix(b"counters".hex(), kind) == []

    def test_ids_with_prefix_respects_kind_and_odd_digits(self, store: Store) -> None:
        ids = {
            digits: bytes.fromhex(digits.ljust(64, "0")) for digits in ("abc1", "abc2", "abd", "ab")
        }
        kinds = {"abc1": SNAPSHOT, "abc2": TREE, "abd": SNAPSHOT, "ab": SNAPSHOT}
        store.put_records((ids[name], make_record(b"", kind)) for name, kind in kinds.items())
        assert store.ids_with_prefix("ab", SNAPSHOT) == [ids["ab"], ids["abc1"], ids["abd"]]
        assert store.ids_with_prefix("abc", SNAPSHOT) == [ids["abc1"]]
        assert store.ids_with_prefix("ABC", TREE) == [ids["abc2"]]
        assert store.ids_with_prefix("a", TREE) == [ids["abc2"]]
        assert store.ids_with_prefix("abc2", SNAPSHOT) == []
        assert store.ids_with_prefix(ids["abd"].hex(), SNAPSHOT) == [ids["abd"]]

    @pytest.mark.parametrize("prefix", ["xyz", "ab c", "-1", "0x", "é", "a" * 65])
    def test_prefix_that_is_not_hexadecimal_is_refused(self, store: Store, prefix: str) -> None:
        with pytest.raises(InvalidId):
            store.ids_with_prefix(prefix, SNAPSHOT)

    def test_empty_puts_change_nothing(self, store: Store) -> None:
        assert store.put_records([]) == 0
        store.put_references({})
        store.put_operations([])
        store.flush()
        store.refresh()
        assert store.counts().objects == 0

    def test_closed_store_says_so(self, store: Store) -> None:
        store.put_records([(make_id(1), make_record(b"one"))])
        store.close()
        store.close()
        with pytest.raises(StorageError, match="closed"):
            store.records([make_id(1)])
        with pytest.raises(StorageError, match="closed"):
            store.put_records([(make_id(1), make_record(b"one"))])
        with pytest.raises(StorageError, match="closed"):
            store.put_references({b"main": None})
        with pytest.raises(StorageError, match="closed"):
            store.counts()

    def test_context_manager_closes(self, store: Store) -> None:
        with store as opened:
            assert opened is store
        with pytest.raises(StorageError, match="closed"):
            store.reference(b"main")

    def test_threads_put_the_same_records_once(self, store: Store) -> None:
        records = [(make_id(n), make_record(b"%d" % n)) for n in range(500)]
        new: list[int] = []

        def put_and_read() -> None:
            new.append(store.put_records(records))
            for object_id, record in records:
                if store.records([object_id]) != [record]:
                    new.append(-1)

        threads = [threading.Thread(target=put_and_read) for _ in range(4)]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        assert sorted(new) == [0, 0, 0, 500]
        assert store.counts().objects == 500
