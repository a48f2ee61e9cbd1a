"""The store on disk: the suite, and what only a store on disk has."""

from __future__ import annotations

import configparser
import os
import re
import signal
import threading
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import pytest
from conftest import CONTENTS
from on_disk import copy_database, fill, held, run_python
from rocksdict import AccessType, Options, Rdict

from helios.errors import CorruptObject, HeliosError, ReadOnlyRepository, StorageError, StoreBusy
from helios.store import RocksStore, Store
from store_suite import StoreSuite, make_id, make_record


class TestRocksStore(StoreSuite):
    @pytest.fixture(autouse=True)
    def in_directory(self, tmp_path: Path) -> None:
        self.path = tmp_path / "l2"

    def make(self) -> Store:
        return RocksStore.open(self.path, writable=True)


def test_import_and_lazy_open_do_not_load_rocksdb(path: Path) -> None:
    script = """
import sys
from helios.store import RocksStore
store = RocksStore.open(sys.argv[1], writable=False)
store.refresh(), store.records([bytes(32)]), store.close()
print(sorted({"rocksdict", "dataclasses", "json"} & set(sys.modules)))
"""
    output, _ = run_python(script, path).communicate()
    assert output.strip() == "[]"


def test_an_import_of_rocksdb_that_was_interrupted_is_begun_again(path: Path) -> None:
    script = """
import sys
import rocksdict
from helios.store import RocksStore
# What Python keeps of an import that an exception ended behind its first line.
del sys.modules["rocksdict"]
store = RocksStore.open(sys.argv[1], writable=sys.argv[2] == "w")
print(store.records([bytes(32)]), store.counts().objects)
"""
    with RocksStore.open(path, writable=True) as store:
        fill(store, 0)
    for mode in ("r", "w"):
        output, _ = run_python(script, path, mode).communicate()
        assert output.strip() == "[None] 1"


@pytest.mark.parametrize("kind", [StorageError, ReadOnlyRepository, CorruptObject])
def test_an_error_of_helios_comes_out_as_it_is(
    path: Path, monkeypatch: pytest.MonkeyPatch, kind: type[HeliosError]
) -> None:
    error = kind("a pack cannot be read")

    def fail(_database: object, _ids: object) -> NoReturn:
        raise error

    with RocksStore.open(path, writable=True) as store:
        fill(store, 0)
        monkeypatch.setattr("helios.store.rocksdb._get_records", fail)
        with pytest.raises(kind) as caught:
            store.records([make_id(0)])
    assert caught.value is error


def test_everything_is_there_after_reopening(path: Path) -> None:
    for generation in range(3):
        with RocksStore.open(path, writable=True) as store:
            assert store.counts().objects == generation
            fill(store, generation)
            store.put_references({b"main": make_id(generation)})
            store.put_operations([((1, generation), b"%d" % generation)])
    with RocksStore.open(path, writable=False) as store:
        assert held(store, 0, 1, 2, 3) == [True, True, True, False]
        assert store.reference(b"main") == make_id(2)
        assert [operation for _, operation in store.operations()] == [b"2", b"1", b"0"]
        counts = store.counts()
        assert counts.objects == counts.raw == 3
        assert counts.disk_bytes >= counts.record_bytes > 0


def test_missing_database_reads_as_empty_and_is_not_made(path: Path) -> None:
    with RocksStore.open(path, writable=False) as reader:
        assert held(reader, 1, 2) == [False, False]
        assert reader.reference(b"main") is None
        assert list(reader.references(b"")) == []
        assert list(reader.operations()) == []
        assert reader.ids_with_prefix("ab", 3) == []
        assert reader.counts().objects == reader.counts().disk_bytes == 0
    assert not path.exists()


def test_reader_refuses_to_write(path: Path) -> None:
    with RocksStore.open(path, writable=False) as reader:
        with pytest.raises(ReadOnlyRepository):
            fill(reader, 1)
        with pytest.raises(ReadOnlyRepository):
            reader.put_references({b"main": make_id(1)})
        with pytest.raises(ReadOnlyRepository):
            reader.put_operations([((1, 1), b"commit")])
        reader.flush()


def test_reader_beside_a_writer_sees_what_was_flushed_after_refresh(path: Path) -> None:
    reader = RocksStore.open(path, writable=False)
    assert held(reader, 1) == [False]
    with RocksStore.open(path, writable=True) as writer:
        fill(writer, 1)
        writer.flush()
        assert held(reader, 1) == [False]
        reader.refresh()
        assert held(reader, 1) == [True]
        fill(writer, 2)
        reader.refresh()
        assert held(reader, 1, 2) == [True, False]
        writer.flush()
        reader.refresh()
        assert held(reader, 1, 2) == [True, True]
    assert held(reader, 1, 2) == [True, True]
    reader.close()


def test_refresh_without_changes_keeps_the_database_open(path: Path) -> None:
    with RocksStore.open(path, writable=True) as writer:
        fill(writer, 1)
    with RocksStore.open(path, writable=False) as reader:
        assert held(reader, 1) == [True]
        database = reader._database
        reader.refresh()
        assert reader._database is database


def test_reader_outlives_the_compactions_of_writers(path: Path) -> None:
    with RocksStore.open(path, writable=True) as writer:
        fill(writer, "first")
    with RocksStore.open(path, writable=False) as reader:
        assert held(reader, "first") == [True]
        tables = set(path.glob("*.sst"))
        for n in range(40):
            with RocksStore.open(path, writable=True) as writer:
                fill(writer, n)
        assert not tables & set(path.glob("*.sst"))
        assert held(reader, "first", 39) == [True, False]
        reader.refresh()
        assert all(held(reader, "first", *range(40)))


def test_short_writers_leave_few_tables(path: Path) -> None:
    for n in range(60):
        with RocksStore.open(path, writable=True) as writer:
            fill(writer, n)
            writer.put_references({b"main": make_id(n)})
            writer.put_operations([((1, n), b"commit")])
    assert len(list(path.glob("*.sst"))) <= 17 + 5 + 5


def test_settings_hold_for_every_family_after_reopening(path: Path) -> None:
    for _ in range(2):
        with RocksStore.open(path, writable=True) as store:
            fill(store, 1)
            store.put_references({b"main": make_id(1)})
            store.put_operations([((1, 16), b"commit")])
    written = configparser.RawConfigParser(strict=False)
    written.read(max(path.glob("OPTIONS-*")))
    assert written["DBOptions"]["atomic_flush"] == "true"
    assert set(Rdict.list_cf(str(path))) == {
        "default",
        "objects",
        "refs",
        "operations",
        "chunks",
    }
    for family, blobs, runs, compression in (
        ("objects", "true", "16", "kZSTD"),
        ("refs", "false", "4", "kZSTD"),
        ("operations", "false", "4", "kZSTD"),
        ("chunks", "false", "4", "kZSTD"),
    ):
        options = written[f'CFOptions "{family}"']
        assert options["compression"] == compression
        assert options["compaction_style"] == "kCompactionStyleUniversal"
        assert options["level0_file_num_compaction_trigger"] == runs
        assert options["enable_blob_files"] == blobs
        assert options["write_buffer_size"] == str(32 << 20)
        table = written[f'TableOptions/BlockBasedTable "{family}"']
        assert table["filter_policy"].startswith("bloomfilter")
    reader = Rdict(str(path), access_type=AccessType.read_only())
    assert list(reader.keys()) == []
    assert list(reader.get_column_family("objects").keys()) == sorted([b"counters", make_id(1)])
    assert list(reader.get_column_family("refs").keys()) == [b"main"]
    reader.close()


def test_large_records_leave_nothing_in_a_cache(path: Path) -> None:
    large = [(make_id(at), make_record(bytes([at]) * (100 << 10))) for at in range(8)]
    ids = [object_id for object_id, _ in large]
    with RocksStore.open(path, writable=True) as store:
        store.put_records(large)
    with RocksStore.open(path, writable=False) as store:
        assert store.large(ids) == store.records(ids) == [record for _, record in large]
        assert store._database is not None
        for family in store._database.all_families:
            assert (family.property_int_value("rocksdb.block-cache-usage") or 0) < 100 << 10


def test_what_is_moved_out_of_packs_never_goes_into_one_that_is_emptied(path: Path) -> None:
    """Also when a pack gets full meanwhile, and those that are emptied would have room."""
    small, large = make_record(b"1" * (1 << 20)), make_record(b"2" * (40 << 20))
    with RocksStore.open(path, writable=True) as store:
        for at in range(4):
            store._writable().packs.begin()
            store.put_records([(make_id(at), large), (make_id(-at - 1), small)])
        packs = {each.name for each in path.glob("*.pack")}
        assert len(packs) == 4
        store.delete_records([(make_id(-at - 1), 0, len(small)) for at in range(4)])
        store.compact()
        assert not packs & {each.name for each in path.glob("*.pack")}
        assert store.records([make_id(at) for at in range(4)]) == [large] * 4


def test_threads_read_through_refreshes_and_a_close(path: Path) -> None:
    with RocksStore.open(path, writable=True) as writer:
        fill(writer, *range(100))
        writer.flush()
        reader = RocksStore.open(path, writable=False)
        endings: list[str] = []

        def read() -> None:
            try:
                while all(held(reader, *range(100)) + held(reader, 5)):
                    pass
                endings.append("a record was missing")
            except HeliosError as error:
                endings.append(str(error))

        threads = [threading.Thread(target=read) for _ in range(3)]
        for thread in threads:
            thread.start()
        for n in range(100, 120):
            fill(writer, n)
            writer.flush()
            reader.refresh()
        reader.close()
        for thread in threads:
            thread.join()
    assert endings == [f"{path}: the store is closed"] * 3


def test_second_writer_is_told_who_holds_the_lock(path: Path) -> None:
    with RocksStore.open(path, writable=True) as writer:
        with pytest.raises(StoreBusy, match=f"process {os.getpid()} "):
            RocksStore.open(path, writable=True)
        fill(writer, 1)
    RocksStore.open(path, writable=True).close()


def test_second_writer_is_kept_out_where_there_is_no_flock(
    path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("helios.store.lock.fcntl", None)
    with RocksStore.open(path, writable=True), pytest.raises(StoreBusy):
        RocksStore.open(path, writable=True)


def test_writer_of_another_process_is_named_and_its_death_frees_the_lock(path: Path) -> None:
    script = """
import sys
from helios.store import RocksStore
store = RocksStore.open(sys.argv[1], writable=True)
print("open", flush=True)
sys.stdin.read()
"""
    process = run_python(script, path)
    assert process.stdout is not None
    assert process.stdout.readline() == "open\n"
    with pytest.raises(StoreBusy, match=f"process {process.pid} "):
        RocksStore.open(path, writable=True)
    with RocksStore.open(path, writable=False) as reader:
        assert held(reader, 1) == [False]
    process.kill()
    process.communicate()
    RocksStore.open(path, writable=True).close()


def test_unfinished_iterators_do_not_keep_the_database_locked(path: Path) -> None:
    store = RocksStore.open(path, writable=True)
    store.put_operations(((1, n), b"") for n in range(3000))
    iterator = store.operations()
    next(iterator)
    store.close()
    RocksStore.open(path, writable=True).close()
    with pytest.raises(StorageError, match="closed"):
        list(iterator)


def test_killed_writer_leaves_the_flushed_state(path: Path) -> None:
    script = """
import sys
from helios.store import RocksStore
from store_suite import make_id, make_record
store = RocksStore.open(sys.argv[1], writable=True)
def records(names):
    for name in names:
        yield make_id(name), make_record(b"x" * 3000)
store.put_records(records(range(100)))
store.put_references({b"main": make_id(99)})
store.flush()
store.put_references({b"main": make_id(100)})
def endless():
    name = 100
    while True:
        yield make_id(name), make_record(b"x" * 3000)
        name += 1
        if name == 4000:
            print("putting", flush=True)
store.put_records(endless())
"""
    process = run_python(script, path)
    assert process.stdout is not None
    assert process.stdout.readline() == "putting\n"
    process.send_signal(signal.SIGKILL)
    process.communicate()
    for writable in (False, True):
        with RocksStore.open(path, writable=writable) as store:
            assert all(held(store, *range(100)))
            assert store.reference(b"main") in (make_id(99), make_id(100))
            count = store.counts().objects
            assert count == len(store.ids_with_prefix("", 1)) >= 100
            assert (store.reference(b"main") == make_id(100)) == (count > 100)


KILLED_BETWEEN_FLUSHES = """
import os, signal, sys
from helios.store import RocksStore
from store_suite import make_id, make_record

class Dying:
    def flush(self):
        os.kill(os.getpid(), signal.SIGKILL)

def maintain(store, name):
    store.put_records([(make_id(name), make_record(b"x" * 70_000))])
    store.put_references({b"main": make_id(name)})
    store.put_operations([((1, name), b"%d" % name)])

store = RocksStore.open(sys.argv[1], writable=True)
maintain(store, 1)
store.flush()
maintain(store, 2)
kept = store._database.all_families  # A family that is dropped is flushed.
families, dying = list(store._database.families), int(sys.argv[2])
if dying < 0:
    store._database._chunks = Dying()
else:
    families[dying] = Dying()
    store._database.families = families
store.flush()
"""


@pytest.mark.parametrize("dying", [-1, 0, 1, 2])
def test_death_between_the_flushes_of_families_keeps_no_ref_without_its_object(
    path: Path, dying: int
) -> None:
    process = run_python(KILLED_BETWEEN_FLUSHES, path, dying)
    process.communicate()
    assert process.returncode == -signal.SIGKILL
    for writable in (False, True):
        with RocksStore.open(path, writable=writable) as store:
            assert held(store, 1, 2) == [True, dying > 0]
            assert store.counts().objects == (2 if dying > 0 else 1)
            assert store.reference(b"main") == make_id(2 if dying > 1 else 1)
            assert [operation for _, operation in store.operations()] == [b"1"]
    with RocksStore.open(path, writable=True) as store:
        # What maintenance does: the journal still has all of it.
        fill(store, 2)
        store.flush()
        store.put_references({b"main": make_id(2)})
        store.put_operations([((1, 2), b"2")])
    with RocksStore.open(path, writable=False) as store:
        assert held(store, 1, 2) == [True, True]
        assert store.counts().objects == 2
        assert store.reference(b"main") == make_id(2)
        assert [operation for _, operation in store.operations()] == [b"2", b"1"]


@pytest.mark.parametrize("cause", ["refs", "operations", "dropped"])
def test_families_that_are_flushed_unasked_are_flushed_together(path: Path, cause: str) -> None:
    script = """
import os, sys, time
from helios.store import RocksStore, options
from store_suite import make_id, make_record
options.MEMTABLE_BYTES = 1 << 16
store = RocksStore.open(sys.argv[1], writable=True)
store.put_records([(make_id(1), make_record(b"one"))])
store.put_references({b"main": make_id(1)})
if sys.argv[2] == "dropped":
    sys.exit()
for n in range(100):
    if sys.argv[2] == "refs":
        store.put_references({b"%d" % n: bytes(10_000)})
    else:
        store.put_operations([((1, n), bytes(10_000))])
    time.sleep(0.002)
os._exit(0)
"""
    run_python(script, path, cause).communicate()
    with RocksStore.open(path, writable=False) as store:
        assert store.reference(b"main") == make_id(1)
        assert held(store, 1) == [True]
        assert store.counts().objects == 1
        others = len(list(store.references(b""))) + len(list(store.operations()))
        assert (others > 1) == (cause != "dropped")


def test_failed_flush_of_objects_keeps_no_ref_without_them(path: Path) -> None:
    script = """
import resource, sys
from helios.errors import StorageError
from helios.store import RocksStore
from store_suite import make_id, make_record
store = RocksStore.open(sys.argv[1], writable=True)
store.put_records((make_id(n), make_record(b"x" * 3000)) for n in range(1000))
store.put_references({b"main": make_id(1)})
store.put_operations([((1, 1), b"commit")])
resource.setrlimit(resource.RLIMIT_FSIZE, (1 << 20, 1 << 20))
for end in (store.flush, store.close):
    try:
        end()
    except StorageError:
        print("failed")
"""
    output, _ = run_python(script, path).communicate()
    assert output.split() == ["failed", "failed"]
    with RocksStore.open(path, writable=False) as store:
        assert held(store, 1) == [False]
        assert store.reference(b"main") is None
        assert list(store.operations()) == []


def test_dropped_store_flushes_objects_first(path: Path) -> None:
    store = RocksStore.open(path, writable=True)
    fill(store, 1)
    store.put_operations([((1, 1), b"commit")])
    store.put_references({b"main": make_id(1)})
    del store
    log = (path / "LOG").read_text()
    families = re.findall(r"\[(\w+)\] \[JOB \d+\] Level-0 flush table #\d+: started", log)
    assert families == ["objects", "refs", "operations"]


def test_database_whose_maker_died_reads_as_empty_until_it_is_made(path: Path) -> None:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    Rdict(str(path), options).close()
    reader = RocksStore.open(path, writable=False)
    assert held(reader, 1) == [False]
    with RocksStore.open(path, writable=True) as writer:
        fill(writer, 1)
    reader.refresh()
    assert held(reader, 1) == [True]
    reader.close()


def test_database_without_families_but_with_tables_is_refused(path: Path) -> None:
    options = Options(raw_mode=True)
    options.create_if_missing(True)
    database = Rdict(str(path), options)
    database[b"key"] = b"value"
    database.close()
    with (
        RocksStore.open(path, writable=False) as reader,
        pytest.raises(StorageError, match="Column family"),
    ):
        reader.reference(b"main")


def test_failed_put_does_not_keep_the_database_locked(path: Path) -> None:
    def records() -> Iterator[tuple[bytes, bytes]]:
        yield make_id(1), make_record(b"one")
        raise ZeroDivisionError

    store = RocksStore.open(path, writable=True)
    with pytest.raises(ZeroDivisionError) as raised:
        store.put_records(records())
    store.close()
    RocksStore.open(path, writable=True).close()
    assert raised.traceback


def test_directory_that_may_not_be_written_is_read_only(tmp_path: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere")
    tmp_path.chmod(0o500)
    try:
        with pytest.raises(ReadOnlyRepository):
            RocksStore.open(tmp_path / "l2", writable=True)
    finally:
        tmp_path.chmod(0o700)


def test_path_that_cannot_be_a_database_is_a_storage_error(tmp_path: Path) -> None:
    with pytest.raises(StorageError, match="absent"):
        RocksStore.open(tmp_path / "absent" / "l2", writable=True)
    (tmp_path / "file").write_bytes(b"not a directory")
    with pytest.raises(StorageError, match="file"):
        RocksStore.open(tmp_path / "file", writable=True)
    with pytest.raises(StorageError, match="file"):
        RocksStore.open(tmp_path / "file", writable=False).records([make_id(1)])


DAMAGE = [
    (pattern, damage)
    for pattern in ("CURRENT", "MANIFEST-*", "*.sst", "*.blob", "rocksdict*", "../l2.manifest")
    for damage in ("flip", "truncate", "empty", "delete")
]


@pytest.mark.parametrize(("pattern", "damage"), DAMAGE)
@pytest.mark.parametrize("writable", [False, True])
def test_damage_is_reported_or_does_no_harm(
    intact: Path, path: Path, pattern: str, damage: str, writable: bool
) -> None:
    copy_database(intact, path)
    files = list(path.parent.glob(f"l2/{pattern}"))
    assert files
    for file in files:
        content = bytearray(file.read_bytes())
        if damage == "delete":
            file.unlink()
            continue
        if damage == "flip":
            for at in range(0, len(content), 97):
                content[at] ^= 0x55
        kept = {"flip": len(content), "truncate": len(content) // 2, "empty": 0}[damage]
        file.write_bytes(content[:kept])
    try:
        with RocksStore.open(path, writable=writable) as store:
            expected = [make_record(n) for n in CONTENTS]
            ids = [make_id(n) for n in range(len(CONTENTS))]
            assert [store.records([object_id])[0] for object_id in ids] == expected
            assert store.records(ids) == expected
            assert store.reference(b"main") == make_id(1)
            assert list(store.operations()) == [((1, 16), b"commit")]
    except HeliosError as error:
        assert str(path) in str(error)
        assert error.__cause__ is None


def state_of(directory: Path) -> list[tuple[str, int, int]]:
    return sorted(
        (entry.name, entry.stat().st_mtime_ns, entry.stat().st_ino)
        for entry in (*os.scandir(directory), *os.scandir(directory.parent))
    )


def test_reading_writes_nothing_and_leaves_nothing(intact: Path) -> None:
    before = state_of(intact), set(Path("/tmp").glob("helios-*"))
    with RocksStore.open(intact, writable=False) as store:
        assert held(store, 1, 2, 150) == [True, True, True]
        assert store.counts().disk_bytes > 0
    assert (state_of(intact), set(Path("/tmp").glob("helios-*"))) == before


def test_without_the_usual_directory_for_views_another_is_found(
    intact: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("helios.store.place.VIEWS", str(tmp_path / "absent"))
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with RocksStore.open(intact, writable=False) as store:
        assert held(store, 1) == [True]
    assert not list(tmp_path.iterdir())
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "absent"))
    with RocksStore.open(intact, writable=False) as store, pytest.raises(StorageError):
        held(store, 1)


def test_a_path_that_is_not_utf_8_is_written_and_read(tmp_path: Path) -> None:
    path = Path(os.fsdecode(os.fsencode(tmp_path) + b"/\xff\n"), "l2")
    path.parent.mkdir()
    for number in range(3):
        with RocksStore.open(path, writable=True) as store:
            fill(store, number)
            store.put_references({b"main": make_id(number)})
            with pytest.raises(StoreBusy):
                RocksStore.open(path, writable=True)
    descriptors = len(os.listdir("/proc/self/fd"))
    with RocksStore.open(path, writable=False) as store:
        assert held(store, 0, 1, 2) == [True, True, True]
        assert store.reference(b"main") == make_id(2)
    del store
    assert len(os.listdir("/proc/self/fd")) == descriptors


def test_a_record_that_is_damaged_on_disk_is_superseded(path: Path) -> None:
    record = make_record(b"long enough for a blob file" * 100)
    with RocksStore.open(path, writable=True) as store:
        fill(store, *range(50))
        store.put_records([(make_id("damaged"), record)])
        counts = store.counts()
    [file] = [each for each in path.iterdir() if each.is_file() and record in each.read_bytes()]
    assert file.suffix == ".blob"
    content = bytearray(file.read_bytes())
    content[content.index(record) + 1000] ^= 1
    file.write_bytes(content)
    with RocksStore.open(path, writable=True) as store:
        with pytest.raises(CorruptObject):
            held(store, "damaged")
        assert store.put_records([(make_id("damaged"), record)]) == 0
        assert held(store, "damaged") == [True]
        assert store.counts().objects == counts.objects
        assert store.counts().record_bytes == counts.record_bytes
    with RocksStore.open(path, writable=False) as store:
        assert store.records([make_id("damaged")]) == [record]
