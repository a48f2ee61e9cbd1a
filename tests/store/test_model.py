"""Random histories: every store answers as plain dictionaries do."""

from __future__ import annotations

import shutil
import tempfile
from pathlib import Path

import pytest
from hypothesis import settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, invariant, rule

from helios.store import MemoryStore, RocksStore, Store
from store_suite import SPLICE, make_id, make_record

NUMBERS = st.integers(0, 15)
RECORDS = st.builds(make_record, st.binary(max_size=700), st.integers(1, 3), st.integers(0, 3))
NAMES = st.binary(max_size=3)
POSITIONS = st.tuples(st.integers(0, 2**64 - 1) | NUMBERS, st.integers(0, 2**64 - 1) | NUMBERS)


class StoresMachine(RuleBasedStateMachine):
    """Drives a store in memory and one on disk, with a reader beside it, and a model of both."""

    def __init__(self) -> None:
        super().__init__()
        self.directory = Path(tempfile.mkdtemp(prefix="helios-store-"))
        self.path = self.directory / "l2"
        # So that records of either kind come and go.
        self.patch = pytest.MonkeyPatch()
        self.patch.setattr("helios.store.large.LARGE_BYTES_MIN", 200)
        self.memory = MemoryStore()
        self.rocks = RocksStore.open(self.path, writable=True)
        self.reader = RocksStore.open(self.path, writable=False)
        self.objects: dict[bytes, bytes] = {}
        self.refs: dict[bytes, bytes] = {}
        self.log: dict[tuple[int, int], bytes] = {}

    def stores(self) -> tuple[Store, Store]:
        return self.memory, self.rocks

    @rule(pairs=st.lists(st.tuples(NUMBERS.map(make_id), RECORDS), max_size=20))
    def put_records(self, pairs: list[tuple[bytes, bytes]]) -> None:
        before = len(self.objects)
        for object_id, record in pairs:
            known = self.objects.setdefault(object_id, record)
            if known[1] == SPLICE and record[1] != SPLICE:
                self.objects[object_id] = record
        for store in self.stores():
            assert store.put_records(pairs) == len(self.objects) - before

    @rule(pairs=st.dictionaries(NUMBERS.map(make_id), RECORDS, max_size=5))
    def replace_records(self, pairs: dict[bytes, bytes]) -> None:
        for store in self.stores():
            assert store.replace_records(pairs.items()) == len(pairs)
        self.objects |= pairs

    @rule(numbers=st.sets(NUMBERS, max_size=5))
    def delete_records(self, numbers: set[int]) -> None:
        ids = [each for each in map(make_id, numbers) if each in self.objects]
        doomed = [(each, self.objects[each][1], len(self.objects[each])) for each in ids]
        for store in self.stores():
            store.delete_records(doomed)
        for each in ids:
            del self.objects[each]

    @rule()
    def compact(self) -> None:
        self.rocks.compact()

    @rule(changes=st.dictionaries(NAMES, st.none() | NUMBERS.map(make_id), max_size=5))
    def put_references(self, changes: dict[bytes, bytes | None]) -> None:
        for store in self.stores():
            store.put_references(changes)
        merged = self.refs | changes
        self.refs = {name: value for name, value in merged.items() if value is not None}

    @rule(operations=st.dictionaries(POSITIONS, st.binary(max_size=10), max_size=5))
    def put_operations(self, operations: dict[tuple[int, int], bytes]) -> None:
        for store in self.stores():
            store.put_operations(operations.items())
        self.log |= operations

    @rule()
    def flush_and_look_from_beside(self) -> None:
        self.rocks.flush()
        self.reader.refresh()
        self.check(self.reader)

    @rule()
    def reopen(self) -> None:
        self.rocks.close()
        self.rocks = RocksStore.open(self.path, writable=True)

    @rule(prefix=NAMES)
    def references_by_prefix(self, prefix: bytes) -> None:
        matching = sorted(item for item in self.refs.items() if item[0].startswith(prefix))
        for store in self.stores():
            assert list(store.references(prefix)) == matching

    @rule(limit=st.integers(0, 5))
    def newest_operations(self, limit: int) -> None:
        newest_first = sorted(self.log.items(), reverse=True)
        for store in self.stores():
            assert list(store.operations(limit)) == newest_first[:limit]

    @rule(number=NUMBERS, digits=st.integers(0, 5), kind=st.integers(1, 3))
    def ids_by_prefix(self, number: int, digits: int, kind: int) -> None:
        prefix = make_id(number).hex()[:digits]
        matching = sorted(
            object_id
            for object_id, record in self.objects.items()
            if object_id.hex().startswith(prefix) and record[0] == kind
        )
        for store in self.stores():
            assert store.ids_with_prefix(prefix, kind) == matching

    @invariant()
    def stores_agree_with_the_model(self) -> None:
        for store in self.stores():
            self.check(store)

    def check(self, store: Store) -> None:
        ids = [make_id(number) for number in range(16)]
        assert store.records(ids) == [self.objects.get(object_id) for object_id in ids]
        assert list(store.references(b"")) == sorted(self.refs.items())
        assert list(store.operations()) == sorted(self.log.items(), reverse=True)
        counts = store.counts()
        forms = [record[1] for record in self.objects.values()]
        assert [counts.raw, counts.zstd, counts.splice, counts.chunks] == [
            forms.count(form) for form in range(4)
        ]
        assert counts.record_bytes == sum(map(len, self.objects.values()))
        found = [entry for page in store.pages() for entry in page.records if len(entry[0]) == 32]
        assert found == sorted(self.objects.items())

    def teardown(self) -> None:
        for store in (self.memory, self.reader, self.rocks):
            store.close()
        self.patch.undo()
        shutil.rmtree(self.directory)


StoresMachine.TestCase.settings = settings(max_examples=30, stateful_step_count=20, deadline=None)
TestStores = StoresMachine.TestCase
