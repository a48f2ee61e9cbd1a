"""Large records of L2: no damage to chunks, or to the lists of them, passes `verify`."""

from __future__ import annotations

import fcntl
import json
import random
import shutil
import subprocess
import sys
import tarfile
from collections.abc import Callable, Iterator
from itertools import pairwise
from pathlib import Path

import pytest
from rocksdict import Options, Rdict, WriteBatch

from helios import Repository, errors
from helios.repository.verify import Verified
from helios.store.database import Database
from helios.store.large import is_large, stub_of
from helios.store.rocksdb import RocksStore
from repository import faults
from repository.test_verify import flip_last

FILE_BYTES = 20 << 20
ID_LEN = 32
Records = dict[bytes, bytes]


def length_len(record: bytes) -> int:
    """Bytes of the varint behind a record's first three."""
    return next(at for at, byte in enumerate(record[3:], 1) if byte < 0x80)


def chunks_of(record: bytes) -> list[bytes]:
    """The entries of a list of chunks: id and length."""
    at = 3 + length_len(record)
    found = []
    while at < len(record):
        end = at + ID_LEN
        while record[end] >= 0x80:
            end += 1
        found.append(record[at : end + 1])
        at = end + 1
    return found


def with_chunks(record: bytes, chunks: list[bytes]) -> bytes:
    return record[: 3 + length_len(record)] + b"".join(chunks)


SUFFIXES = {2: ".sst", 3: ".pack"}
"""What large records lie in, by the version of the format."""


@pytest.fixture
def version() -> int:
    return 3


@pytest.fixture
def repository(repo: Repository, version: int, monkeypatch: pytest.MonkeyPatch) -> Repository:
    """An empty one, whose large records will lie where the version has them."""
    if version == 2:
        monkeypatch.setattr(Database, "put", put_into_tables)
    return repo


def put_into_tables(database: Database, batch: WriteBatch, object_id: bytes, record: bytes) -> int:
    """What `Database.put` was before there were packs."""
    if is_large(record):
        batch.put(object_id, record, database._chunks_handle)
        record = stub_of(record)
    batch.put(object_id, record, database.handles[0])
    return 0


def holder(place: Path, version: int) -> Path:
    """The file that most large records lie in."""
    files = (place / ".helios" / "l2").glob("*" + SUFFIXES[version])
    return max(files, key=lambda path: path.stat().st_size)


@pytest.fixture
def large(repository: Repository, place: Path) -> Iterator[Repository]:
    """Two versions of a file of several segments, and one that is large but not chunked, in L2."""
    repo = repository
    chance = random.Random(5)
    content = bytearray(chance.randbytes(FILE_BYTES))
    with open(place / ".helios" / "maintenance.lock", "wb") as lock:
        # So that large commits start no maintenance, which would write L2 beside the tests.
        fcntl.flock(lock, fcntl.LOCK_EX)
        vst = repo.vst()
        vst["d/large"] = bytes(content)
        vst["middling"] = chance.randbytes(200_000)
        vst.commit("first")
        content[FILE_BYTES // 2] ^= 1
        vst["d/large"] = bytes(content)
        vst["small"] = b"1"
        vst.commit("second")
        repo.maintenance()
        yield repo


def in_l2(place: Path) -> RocksStore:
    return RocksStore.open(place / ".helios" / "l2", writable=True)


def records_of(store: RocksStore) -> Records:
    return dict(entry for page in store.pages() for entry in page.records if len(entry[0]) == 32)


def lists_of(records: Records) -> Records:
    return {key: record for key, record in records.items() if record[:2] == b"\1\3"}


def not_chunked(records: Records) -> bytes:
    """The id of the large record that is no chunk."""
    chunks = {c[:ID_LEN] for each in lists_of(records).values() for c in chunks_of(each)}
    [key] = [k for k, r in records.items() if len(r) > 64 << 10 and k not in chunks]
    return key


def affected(found: Verified) -> set[str | None]:
    return {effect.path for damage in found.damage for effect in damage.effects}


def swap_first_two(record: bytes) -> bytes:
    chunks = chunks_of(record)
    return with_chunks(record, [chunks[1], chunks[0], *chunks[2:]])


def swap_last_two(record: bytes) -> bytes:
    chunks = chunks_of(record)
    return with_chunks(record, [*chunks[:-2], chunks[-1], chunks[-2]])


def repeat_one_of_its_length(record: bytes) -> bytes:
    """Names another chunk in the place of one, and says of it that it is as long."""
    first, second, *rest = chunks_of(record)
    return with_chunks(record, [second[:ID_LEN] + first[ID_LEN:], second, *rest])


LISTS: dict[str, Callable[[bytes], bytes]] = {
    "reordered": swap_first_two,
    "reordered at the end": swap_last_two,
    "naming another": repeat_one_of_its_length,
    "naming none": lambda record: with_chunks(record, chunks_of(record)[:-1]),
    "with a flipped bit": flip_last,
    "with an impossible length": lambda record: (
        record[:3] + b"\xff" * 7 + b"\x7f" + chunks_of(record)[0][:ID_LEN] + b"\xff" * 7 + b"\x7f"
    ),
    "cut off": lambda record: record[:-20],
}


@pytest.mark.parametrize("change", LISTS)
def test_a_wrong_list_of_chunks_is_told_with_its_path(
    large: Repository, place: Path, change: str
) -> None:
    with in_l2(place) as store:
        key, record = min(lists_of(records_of(store)).items())
        assert len(chunks_of(record)) > 30
        store.replace_records([(key, LISTS[change](record))])
    found = large.verify()
    assert key.hex() in {damage.id for damage in found.damage}
    assert affected(found) == {"d/large"}
    # All chunks are right, and the other version is.
    assert [damage.id for damage in found.damage] == [key.hex()]


def test_two_chunks_that_are_swapped_are_told(large: Repository, place: Path) -> None:
    with in_l2(place) as store:
        records = records_of(store)
        shared = set.intersection(
            *({each[:ID_LEN] for each in chunks_of(r)} for r in lists_of(records).values())
        )
        one, two = sorted(shared)[:2]
        store.replace_records([(one, records[two]), (two, records[one])])
        lists = set(lists_of(records))
    found = large.verify()
    assert {damage.id for damage in found.damage} == {key.hex() for key in {one, two, *lists}}
    assert all(damage.place == "l2" and not damage.readable for damage in found.damage)
    assert affected(found) == {"d/large"}


def test_a_flipped_bit_of_any_chunk_is_told_with_what_holds_it(
    large: Repository, place: Path
) -> None:
    with in_l2(place) as store:
        records = records_of(store)
        (first, one), (second, two) = sorted(lists_of(records).items())
    ones = {each[:ID_LEN] for each in chunks_of(one)}
    twos = {each[:ID_LEN] for each in chunks_of(two)}
    chance = random.Random(1)
    for chunk in [*chance.sample(sorted(ones & twos), 3), *(ones ^ twos)]:
        holders = {key.hex() for key, ids in ((first, ones), (second, twos)) if chunk in ids}
        with in_l2(place) as store:
            store.replace_records([(chunk, flip_last(records[chunk]))])
        found = large.verify()
        assert {damage.id for damage in found.damage} == {chunk.hex(), *holders}
        assert {damage.cause for damage in found.damage} == {None, chunk.hex()}
        assert affected(found) == {"d/large"}
        with in_l2(place) as store:
            store.replace_records([(chunk, records[chunk])])
    assert large.verify().clean


def test_a_large_record_that_is_no_chunk_is_verified_too(large: Repository, place: Path) -> None:
    with in_l2(place) as store:
        records = records_of(store)
        key = not_chunked(records)
        store.replace_records([(key, flip_last(records[key]))])
    found = large.verify()
    assert [(damage.id, damage.kind) for damage in found.damage] == [(key.hex(), "corrupt")]
    assert affected(found) == {"middling"}


def test_a_chunk_that_is_missing_is_told(large: Repository, place: Path) -> None:
    with in_l2(place) as store:
        [(key, record), *_] = sorted(lists_of(records_of(store)).items())
        chunk = chunks_of(record)[5][:ID_LEN]
        store.delete_records([(chunk, 0, 1 << 20)])
    found = large.verify()
    told = {damage.id: damage for damage in found.damage}
    assert told[chunk.hex()].kind == "missing"
    assert told[key.hex()].cause == chunk.hex()
    assert affected(found) == {"d/large"}


@pytest.mark.parametrize("version", SUFFIXES)
def test_bytes_that_are_changed_on_disk_are_told_and_repaired(
    large: Repository, place: Path, tmp_path: Path, version: int
) -> None:
    shutil.copytree(place, tmp_path / "copy")
    expected = large.read("main", "d/large")
    large.close()
    file = holder(place, version)
    content = bytearray(file.read_bytes())
    for at in range(1000, len(content) - 100_000, len(content) // 5):
        content[at] ^= 1
    file.write_bytes(content)
    with Repository.open(place, cache_bytes=0) as repo:
        found = repo.verify()
        assert len(found.damage) > 3
        assert "d/large" in affected(found)
        with pytest.raises(errors.Corruption):
            repo.read("main", "d/large")
        assert repo.verify(repair=True, source=tmp_path / "copy").clean
        assert repo.read("main", "d/large") == expected
    # What RocksDB cannot merge does not stay where it would have to.
    assert bool(list((place / ".helios").glob("l2.damaged-*"))) == (version == 2)
    with in_l2(place) as store:
        store.compact()
    with Repository.open(place) as repo:
        assert repo.verify().clean


@pytest.mark.parametrize("version", SUFFIXES)
@pytest.mark.parametrize("failing", ["once", "for good"])
def test_a_file_that_the_disk_does_not_give_is_told(
    large: Repository, place: Path, strace: str, tmp_path: Path, version: int, failing: str
) -> None:
    """Reads fail in each thread, behind those that open a table. What can be read when it is looked
    at again is no damage."""
    large.close()
    file = holder(place, version)
    log = tmp_path / "log"
    verify = [sys.executable, "-m", "helios.cli", "-C", str(place), "verify", "--json"]
    traced = [strace, "-f", "-qq", "-o", str(log), "-P", str(file), "-e", "trace=pread64"]
    injection = f"inject=pread64:error=EIO:when={'5' if failing == 'once' else '5+'}"
    run = subprocess.run(
        [*traced, "-e", injection, *verify],
        check=False,
        capture_output=True,
        text=True,
        timeout=faults.TIMEOUT_S,
        env=faults.environment(),
    )
    assert "(INJECTED)" in log.read_text(encoding="utf-8")
    damage = json.loads(run.stdout)["damage"]
    if failing == "once":
        assert (run.returncode, damage) == (0, [])
        return
    assert run.returncode == 1, run.stderr
    assert {each["kind"] for each in damage} == {"corrupt"}
    assert any("Input/output error" in each["reason"] for each in damage)
    assert "d/large" in {effect["path"] for each in damage for effect in each["effects"]}
    intact = subprocess.run(verify, check=False, capture_output=True, env=faults.environment())
    assert intact.returncode == 0


def test_large_chunks_between_small_ones_are_verified(repo: Repository, place: Path) -> None:
    """Chunks of one file that lie in different families, each hashed in its place."""
    chance = random.Random(8)
    content = b""
    for _ in range(8):
        content += chance.randbytes(1 << 20)
        content += b"".join(chance.choices([b"one ", b"two ", b"three ", b"four\n"], k=1 << 18))
    with repo.vst() as vst:
        vst["mixed"] = content
    repo.maintenance()
    with in_l2(place) as store:
        records = records_of(store)
        [(key, record)] = lists_of(records).items()
        chunks = [each[:ID_LEN] for each in chunks_of(record)]
        sizes = [len(records[chunk]) >= 64 << 10 for chunk in chunks]
        assert sum(one != following for one, following in pairwise(sizes)) > 10
    assert repo.verify().clean
    for size in (True, False):
        chunk = chunks[sizes.index(size, 5)]
        with in_l2(place) as store:
            store.replace_records([(chunk, flip_last(records[chunk]))])
        assert {damage.id for damage in repo.verify().damage} == {chunk.hex(), key.hex()}
        with in_l2(place) as store:
            store.replace_records([(chunk, records[chunk])])


@pytest.mark.parametrize("version", SUFFIXES)
def test_a_file_that_nothing_else_is_known_of_gives_its_records_back(
    large: Repository, place: Path, version: int
) -> None:
    expected = large.read("main", "d/large")
    large.close()
    with in_l2(place) as store:
        records = records_of(store)
    keys = {key for key, record in records.items() if len(record) > 64 << 10}
    l2 = place / ".helios" / "l2"
    aside = place / ".helios" / "l2.damaged-1"
    aside.mkdir()
    for number, file in enumerate(l2.glob("*" + SUFFIXES[version])):
        shutil.copy(file, aside / f"{number}{SUFFIXES[version]}")
    with in_l2(place) as store:
        store.delete_records([(key, 0, len(records[key])) for key in keys])
    with Repository.open(place, cache_bytes=0) as repo:
        assert not repo.verify().clean
        assert repo.verify(repair=True).clean
        assert repo.read("main", "d/large") == expected


def test_records_of_an_l2_without_the_family_are_read_and_verified(
    repo: Repository, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As they were before there were large records: all of them lie among the objects."""
    content = random.Random(3).randbytes(3 << 20)
    with repo.vst() as vst:
        vst["old"] = content
    l2 = place / ".helios" / "l2"
    monkeypatch.setattr("helios.store.database.is_large", lambda _: False)
    repo.maintenance()
    monkeypatch.undo()
    database = Rdict(str(l2), Options(raw_mode=True))
    database.drop_column_family("chunks")
    database.close()
    (place / ".helios" / "l2.manifest").unlink()
    assert "chunks" not in Rdict.list_cf(str(l2))
    repo.close()
    with Repository.open(place, cache_bytes=0) as old:
        assert old.read("main", "old") == content
        assert old.verify().clean
        with old.vst() as vst:
            vst["new"] = content[::-1]
        old.maintenance()
        assert "chunks" in Rdict.list_cf(str(l2))
        assert old.verify().clean
        with RocksStore.open(l2, writable=False) as store:
            pages = list(store.pages(with_large=False))
            assert sum(length for page in pages for _, _, length in page.large) > 2 << 20
            named = {key for page in pages for key, *_ in page.large}
            among = [r for p in pages for k, r in p.records if k not in named and len(r) > 64 << 10]
            assert sum(map(len, among)) > 2 << 20
        config = place / ".helios" / "config"
        config.write_text('[retention]\nkeep-last = 1\ngrace = "0s"\nundo = "0s"\n')
        old.gc()
        assert (old.read("main", "old"), old.read("main", "new")) == (content, content[::-1])
        assert old.verify().clean


@pytest.mark.parametrize("version", [1, 2])
def test_maintenance_of_an_old_version_makes_it_todays(place: Path, version: int) -> None:
    place.mkdir()
    with tarfile.open(Path(__file__).parents[1] / "data" / f"version-{version}.tar.gz") as archive:
        archive.extractall(place, filter="data")
    with Repository.open(place) as repo:
        with repo.vst() as vst:
            vst["new"] = b"1"
        assert (place / ".helios" / "format").read_bytes() == b"helios %d\n" % version
        repo.maintenance()
        assert (place / ".helios" / "format").read_bytes() == b"helios 3\n"
        assert repo.verify().clean


def test_gc_moves_large_records_of_version_2_into_packs(place: Path) -> None:
    place.mkdir()
    with tarfile.open(Path(__file__).parents[1] / "data" / "version-2.tar.gz") as archive:
        archive.extractall(place, filter="data")
    l2 = place / ".helios" / "l2"
    with Repository.open(place, cache_bytes=0) as repo:
        assert repo.verify().clean
        contents = [repo.read(snapshot.id, "large") for snapshot in repo.log("main")]
        assert [len(content) for content in contents] == [66_000, 66_000]
        with repo.vst() as vst:
            vst["a"] = b"new"
        (place / ".helios" / "config").write_text(
            '[retention]\nkeep-last = 2\ngrace = "0s"\nundo = "0s"\n'
        )
        assert holder(place, 2).stat().st_size > 2 * 66_000
        assert not list(l2.glob("*.pack"))
        assert repo.gc().objects
        assert repo.read("main", "large") == repo.read("main~1", "large") == contents[0]
        assert repo.verify().clean
    assert holder(place, 2).stat().st_size < 66_000
    [pack] = l2.glob("*.pack")
    assert 66_000 < pack.stat().st_size < 67_000


def test_gc_gives_back_the_room_of_large_records(repo: Repository, place: Path) -> None:
    chance = random.Random(4)
    for _ in range(3):
        with repo.vst() as vst:
            vst["large"] = chance.randbytes(8 << 20)
        repo.maintenance()
    config = place / ".helios" / "config"
    config.write_text('[retention]\nkeep-last = 1\ngrace = "0s"\nundo = "0s"\n')
    collected = repo.gc()
    assert collected.bytes_before > 24 << 20
    assert collected.bytes_after < 10 << 20
    assert repo.verify().clean


def test_gc_reads_no_large_record(large: Repository, place: Path) -> None:
    config = place / ".helios" / "config"
    config.write_text('[retention]\nkeep-last = 1\ngrace = "0s"\nundo = "0s"\n')
    [pack] = (place / ".helios" / "l2").glob("*.pack")
    pack.rename(place / "away")
    collected = large.gc()
    # A snapshot, its tree, and of the large file a list and the chunk that was edited.
    assert collected.snapshots == 1
    assert collected.objects >= 4
    (place / "away").rename(pack)
    assert large.verify().clean
    assert len(large.read("main", "d/large")) == FILE_BYTES


@pytest.mark.usefixtures("large")
def test_a_large_record_without_a_stub_is_garbage_and_goes(place: Path) -> None:
    """What a writer leaves that dies between the flush of stubs and the deletion of records."""
    with in_l2(place) as store:
        large = [each for page in store.pages(with_large=False) for each in page.large]
        size = store.counts().disk_bytes
        store.delete_records(large)
        store._unlinked.clear()
        store.flush()
        assert store.records([key for key, *_ in large]) == [None] * len(large)
        assert store.counts().disk_bytes >= size
        store.compact()
        assert store.counts().disk_bytes < size // 10


def packs(place: Path) -> dict[str, int]:
    return {path.name: path.stat().st_size for path in (place / ".helios" / "l2").glob("*.pack")}


def test_a_large_record_that_is_damaged_is_superseded(large: Repository, place: Path) -> None:
    expected = large.read("main", "middling")
    with in_l2(place) as store:
        records = records_of(store)
        key = not_chunked(records)
        record, counts = records[key], store.counts()
        assert store.put_records([(key, record)]) == 0
        assert store.counts().disk_bytes == counts.disk_bytes
    file = holder(place, 3)
    content = bytearray(file.read_bytes())
    content[content.index(record) + 100_000] ^= 1
    file.write_bytes(content)
    with Repository.open(place, cache_bytes=0) as repo, pytest.raises(errors.CorruptObject):
        repo.read("main", "middling")
    with in_l2(place) as store:
        assert store.put_records([(key, record)]) == 0
        assert store.counts().objects == counts.objects
        assert store.counts().record_bytes == counts.record_bytes
    with Repository.open(place, cache_bytes=0) as repo:
        assert repo.read("main", "middling") == expected
        assert repo.verify().clean


@pytest.mark.usefixtures("large")
def test_what_is_left_of_a_pack_is_moved_and_only_that(place: Path) -> None:
    with in_l2(place) as store:
        before = packs(place)
        store.compact()
        assert packs(place) == before
        named = [each for page in store.pages(with_large=False) for each in page.large]
        doomed, kept = named[:5], {key: length for key, _, length in named[5:]}
        expected = dict(zip(kept, store.records(list(kept)), strict=True))
        store.delete_records(doomed)
        store.compact()
        after = packs(place)
        assert not before.keys() & after.keys()
        assert sum(after.values()) == sum(kept.values()) + 44 * len(kept)
        assert dict(zip(kept, store.records(list(kept)), strict=True)) == expected
        # What nothing names: the end that a writer has left that died, and all of a pack.
        [name] = after
        with open(place / ".helios" / "l2" / name, "ab") as pack:
            pack.write(b"1" * 1000)
        (place / ".helios" / "l2" / f"{1:016x}.pack").write_bytes(b"2" * 1000)
    with in_l2(place) as store:
        store.compact()
        assert sum(packs(place).values()) == sum(after.values())
        assert dict(zip(kept, store.records(list(kept)), strict=True)) == expected


def test_what_cannot_be_read_stays_in_its_pack(large: Repository, place: Path) -> None:
    """Compaction goes on beside damage, and makes none greater."""
    large.close()
    [name] = packs(place)
    path = place / ".helios" / "l2" / name
    whole = path.read_bytes()
    path.write_bytes(whole[: len(whole) // 2])
    with in_l2(place) as store:
        store.compact()
        assert packs(place)[name] == len(whole) // 2
    path.write_bytes(whole)
    with Repository.open(place, cache_bytes=0) as repo:
        assert repo.verify().clean
    path.rename(path.with_suffix(".away"))
    with Repository.open(place, cache_bytes=0) as repo:
        found = repo.verify()
        # Each chunk is told with the file that it is a part of.
        assert all(damage.effects for damage in found.damage)
        assert affected(found) == {"d/large", "middling"}
        with pytest.raises(errors.Corruption, match=r"\.pack: it is missing; `verify --repair`"):
            repo.read("main", "d/large")
        assert repo.read("main", "small") == b"1"
    with in_l2(place) as store:
        store.compact()
    path.with_suffix(".away").rename(path)
    with Repository.open(place, cache_bytes=0) as repo:
        assert repo.verify().clean


@pytest.mark.usefixtures("large")
def test_who_has_an_old_view_finds_what_gc_has_moved(place: Path) -> None:
    with Repository.open(place, cache_bytes=0) as reader:
        assert reader.read("main", "small") == b"1"
        with in_l2(place) as store:
            before = packs(place)
            store.delete_records([(not_chunked(records_of(store)), 0, 200_005)])
            store.compact()
            assert not before.keys() & packs(place).keys()
        assert reader.read("main", "small") == b"1"
        assert len(reader.read("main", "d/large")) == FILE_BYTES


@pytest.mark.parametrize("version", SUFFIXES)
def test_a_flipped_bit_anywhere_in_a_file_of_large_records_is_told_or_harmless(
    repository: Repository, place: Path, version: int
) -> None:
    repo = repository
    content = random.Random(6).randbytes(3 << 20)
    with repo.vst() as vst:
        vst["large"] = content
        vst["middling"] = content[:100_000]
    repo.maintenance()
    repo.close()
    file = holder(place, version)
    whole = file.read_bytes()
    assert len(whole) > 3 << 20
    chance = random.Random(7)
    # The last bytes of a table are its own: index, filter, properties, footer.
    places = [chance.randrange(len(whole)) for _ in range(30)]
    places += [len(whole) - chance.randrange(4096) - 1 for _ in range(60)]
    told = 0
    for at in places:
        damaged = bytearray(whole)
        damaged[at] ^= 1 << chance.randrange(8)
        file.write_bytes(damaged)
        with Repository.open(place, cache_bytes=0) as opened:
            found = opened.verify()
            told += not found.clean
            for path, right in (("large", content), ("middling", content[:100_000])):
                try:
                    assert opened.read("main", path) == right
                except errors.HeliosError:
                    assert not found.clean, at
    assert told > 30
    for size in (0, 100, len(whole) // 2, len(whole) - 1):
        file.write_bytes(whole[:size])
        with Repository.open(place, cache_bytes=0) as opened:
            assert not opened.verify().clean
