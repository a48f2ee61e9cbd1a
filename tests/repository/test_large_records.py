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
from rocksdict import Options, Rdict

from helios import Repository, errors
from helios.repository.verify import Verified
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


@pytest.fixture
def large(repo: Repository, place: Path) -> Iterator[Repository]:
    """Two versions of a file of several segments, and one that is large but not chunked, in L2."""
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
        chunks = {c[:ID_LEN] for each in lists_of(records).values() for c in chunks_of(each)}
        [key] = [k for k, r in records.items() if len(r) > 64 << 10 and k not in chunks]
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


def test_bytes_that_are_changed_on_disk_are_told_and_repaired(
    large: Repository, place: Path, tmp_path: Path
) -> None:
    shutil.copytree(place, tmp_path / "copy")
    expected = large.read("main", "d/large")
    large.close()
    tables = sorted((place / ".helios" / "l2").glob("*.sst"), key=lambda path: path.stat().st_size)
    content = bytearray(tables[-1].read_bytes())
    for at in range(1000, len(content) - 100_000, len(content) // 5):
        content[at] ^= 1
    tables[-1].write_bytes(content)
    with Repository.open(place, cache_bytes=0) as repo:
        found = repo.verify()
        assert len(found.damage) > 3
        assert "d/large" in affected(found)
        with pytest.raises(errors.Corruption):
            repo.read("main", "d/large")
        assert repo.verify(repair=True, source=tmp_path / "copy").clean
        assert repo.read("main", "d/large") == expected
    # What RocksDB cannot merge does not stay where it would have to.
    assert list((place / ".helios").glob("l2.damaged-*"))
    with in_l2(place) as store:
        store.compact()
    with Repository.open(place) as repo:
        assert repo.verify().clean


@pytest.mark.parametrize("failing", ["once", "for good"])
def test_a_table_that_the_disk_does_not_give_is_told(
    large: Repository, place: Path, strace: str, tmp_path: Path, failing: str
) -> None:
    """Reads fail in each thread, behind those that open the table. What can be read when it is
    looked at again is no damage."""
    large.close()
    tables = sorted((place / ".helios" / "l2").glob("*.sst"), key=lambda path: path.stat().st_size)
    log = tmp_path / "log"
    verify = [sys.executable, "-m", "helios.cli", "-C", str(place), "verify", "--json"]
    traced = [strace, "-f", "-qq", "-o", str(log), "-P", str(tables[-1]), "-e", "trace=pread64"]
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
    for is_large in (True, False):
        chunk = chunks[sizes.index(is_large, 5)]
        with in_l2(place) as store:
            store.replace_records([(chunk, flip_last(records[chunk]))])
        assert {damage.id for damage in repo.verify().damage} == {chunk.hex(), key.hex()}
        with in_l2(place) as store:
            store.replace_records([(chunk, records[chunk])])


def test_a_table_whose_index_is_lost_gives_its_records_back(large: Repository, place: Path) -> None:
    expected = large.read("main", "d/large")
    large.close()
    with in_l2(place) as store:
        records = records_of(store)
    keys = {key for key, record in records.items() if len(record) > 64 << 10}
    # A search of the bytes of a table needs nothing else of it.
    l2 = place / ".helios" / "l2"
    aside = place / ".helios" / "l2.damaged-1"
    aside.mkdir()
    for number, table in enumerate(l2.glob("*.sst")):
        shutil.copy(table, aside / f"{number}.sst")
    with in_l2(place) as store:
        store.delete_records([(key, 0, len(records[key])) for key in keys])
    with Repository.open(place, cache_bytes=0) as repo:
        assert not repo.verify().clean
        assert repo.verify(repair=True).clean
        assert repo.read("main", "d/large") == expected


def test_records_of_an_l2_without_the_family_are_read_moved_and_verified(
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
            assert sum(length for page in pages for _, length in page.large) > 2 << 20
            named = {key for page in pages for key, _ in page.large}
            among = [r for p in pages for k, r in p.records if k not in named and len(r) > 64 << 10]
            assert sum(map(len, among)) > 2 << 20
        config = place / ".helios" / "config"
        config.write_text('[retention]\nkeep-last = 1\ngrace = "0s"\nundo = "0s"\n')
        old.gc()
        assert (old.read("main", "old"), old.read("main", "new")) == (content, content[::-1])
        assert old.verify().clean


def test_maintenance_of_version_1_makes_it_version_2(place: Path) -> None:
    place.mkdir()
    with tarfile.open(Path(__file__).parents[1] / "data" / "version-1.tar.gz") as archive:
        archive.extractall(place, filter="data")
    with Repository.open(place) as repo:
        repo.maintenance()
        assert (place / ".helios" / "format").read_bytes() == b"helios 2\n"
        assert repo.verify().clean


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


@pytest.mark.usefixtures("large")
def test_a_large_record_without_a_stub_is_garbage_and_goes(place: Path) -> None:
    """What a writer leaves that dies between the flush of stubs and the deletion of records."""
    with in_l2(place) as store:
        large = [each for page in store.pages(with_large=False) for each in page.large]
        size = store.counts().disk_bytes
        store.delete_records([(key, 0, length) for key, length in large])
        store._unlinked.clear()
        store.flush()
        assert store.records([key for key, _ in large]) == [None] * len(large)
        assert store.counts().disk_bytes >= size
        store.compact()
        assert store.counts().disk_bytes < size // 10


def test_a_flipped_bit_anywhere_in_a_table_of_large_records_is_told_or_harmless(
    repo: Repository, place: Path
) -> None:
    content = random.Random(6).randbytes(3 << 20)
    with repo.vst() as vst:
        vst["large"] = content
        vst["middling"] = content[:100_000]
    repo.maintenance()
    repo.close()
    table = max((place / ".helios" / "l2").glob("*.sst"), key=lambda path: path.stat().st_size)
    whole = table.read_bytes()
    assert len(whole) > 3 << 20
    chance = random.Random(7)
    # The last bytes are the table's own: index, filter, properties, footer.
    places = [chance.randrange(len(whole)) for _ in range(30)]
    places += [len(whole) - chance.randrange(4096) - 1 for _ in range(60)]
    told = 0
    for at in places:
        damaged = bytearray(whole)
        damaged[at] ^= 1 << chance.randrange(8)
        table.write_bytes(damaged)
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
        table.write_bytes(whole[:size])
        with Repository.open(place, cache_bytes=0) as opened:
            assert not opened.verify().clean
