"""`verify` finds damage wherever it is, says what it affects, and finds nothing where none is."""

from __future__ import annotations

import random
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from rocksdict import WriteBatch

from helios import Repository, errors
from helios.repository.verify import Verified
from helios.store.rocksdb import RocksStore

LARGE = random.Random(2).randbytes(3 << 20)


@pytest.fixture
def full(repo: Repository) -> Repository:
    """Two branches: `main` with edits of one file and a large one, `other` with a file more."""
    chance = random.Random(1)
    vst = repo.vst()
    lines = [b"line %d" % number for number in range(200)]
    for number in range(40):
        lines[number] = b"edited %d" % number
        vst["src/lines"] = b"\n".join(lines)
        vst[f"src/{number}"] = chance.randbytes(700)
        if number == 5:
            vst["large"] = LARGE
        vst.commit(str(number))
    other = repo.vst().fork("other")
    other["deep/er/only here"] = chance.randbytes(900)
    other.commit("other")
    return repo


def ids(repo: Repository, revision: str, path: str) -> str:
    """The id of a file's content."""
    [change] = repo.diff(repo.vst().base or "", revision).added
    assert change.path == path
    assert change.new_id is not None
    return change.new_id


def spoil(place: Path, change: Callable[[bytes], bytes], *spoiled: str) -> None:
    """Puts other bytes in the place of L2's records, as RocksDB sees no damage."""
    with RocksStore.open(place / ".helios" / "l2", writable=True) as store:
        keys = [bytes.fromhex(each) for each in spoiled]
        for key, record in zip(keys, store.records(keys), strict=True):
            assert record is not None
            store.replace_records([(key, change(record))])


def drop(place: Path, id: str) -> None:
    """Deletes a record of L2."""
    with RocksStore.open(place / ".helios" / "l2", writable=True) as store:
        batch = WriteBatch(raw_mode=True)
        batch.delete(bytes.fromhex(id), store._writable().handles[0])
        store._write(batch)


def flip_last(record: bytes) -> bytes:
    return record[:-1] + bytes([record[-1] ^ 1])


@pytest.mark.parametrize("moved", [False, True], ids=["in the journal", "in L2"])
def test_nothing_is_found_where_nothing_is_damaged(full: Repository, moved: bool) -> None:
    if moved:
        full.maintenance()
    found = full.verify()
    assert (found.clean, found.damage, found.notes) == (True, [], [])
    assert found.objects == found.records > 160
    assert found.bytes > 3 << 20


def test_a_repository_in_memory_can_be_verified() -> None:
    with Repository.memory() as repo:
        repo.vst()["a"] = b"1"
        vst = repo.vst()
        vst["a"] = b"1"
        vst.commit()
        assert repo.verify().clean
        repo.maintenance()
        assert repo.verify().objects == 3


def test_a_spoilt_record_is_named_with_branch_and_path(full: Repository, place: Path) -> None:
    full.maintenance()
    only = ids(full, "other", "deep/er/only here")
    spoil(place, flip_last, only)
    found = full.verify()
    [damage] = found.damage
    assert (damage.kind, damage.place, damage.id) == ("corrupt", "l2", only)
    assert not damage.readable
    [effect] = damage.effects
    assert (effect.branch, effect.path, effect.snapshots) == ("other", "deep/er/only here", 1)
    assert effect.snapshot == full.resolve("other")
    assert full.read("main", "src/1")


def test_what_is_stored_with_the_help_of_damage_is_told_too(full: Repository, place: Path) -> None:
    full.maintenance()
    with RocksStore.open(place / ".helios" / "l2", writable=True) as store:
        records = dict(entry for page in store.pages() for entry in page.records)
    bases = {record[5:37]: key for key, record in records.items() if record[1:3] == b"\2\2"}
    base = next(iter(bases))
    assert base in records
    spoil(place, lambda record: record[:6] + b"\xff" + record[7:], base.hex())
    found = full.verify()
    told = {damage.id: damage for damage in found.damage}
    assert base.hex() in told
    assert len(told) > 1
    for damage in told.values():
        assert damage.effects, damage
        assert damage.id == base.hex() or damage.cause in told


def test_a_missing_object_is_told_with_what_refers_to_it(full: Repository, place: Path) -> None:
    full.maintenance()
    only = ids(full, "other", "deep/er/only here")
    drop(place, only)
    [damage] = full.verify().damage
    assert (damage.kind, damage.id) == ("missing", only)
    assert [effect.path for effect in damage.effects] == ["deep/er/only here"]


def test_unreachable_damage_is_said_to_be_so(full: Repository, place: Path) -> None:
    only = ids(full, "other", "deep/er/only here")
    full.maintenance()
    full.delete_branch("other")
    spoil(place, flip_last, only)
    # Undo may still need it; without that, nobody does.
    deleted = next(full.operations()).id
    [damage] = full.verify().damage
    assert [effect.reference for effect in damage.effects] == [f"operations/{deleted}"]
    (place / ".helios" / "config").write_text('[retention]\nundo = "0s"\n')
    [damage] = full.verify().damage
    assert (damage.id, damage.effects) == (only, [])


def test_a_flipped_bit_of_a_frame_is_found(full: Repository, place: Path) -> None:
    [segment] = (place / ".helios" / "journal").glob("*.journal")
    content = bytearray(segment.read_bytes())
    content[len(content) // 3] ^= 4
    segment.write_bytes(content)
    found = full.verify()
    assert "journal" in {damage.kind for damage in found.damage}


def test_a_torn_tail_is_a_note_and_no_damage(full: Repository, place: Path) -> None:
    [segment] = (place / ".helios" / "journal").glob("*.journal")
    with segment.open("ab") as file:
        file.write(segment.read_bytes()[32:150])
    found = full.verify()
    assert found.clean
    [note] = found.notes
    assert "no whole frame" in note
    vst = full.vst()
    vst["new"] = b"1"
    vst.commit()
    found = full.verify()
    assert found.clean
    assert "journal/lost" in found.notes[0]


def test_damaged_state_of_the_worktree_is_found(repo: Repository, place: Path) -> None:
    (place / "a").write_bytes(b"1")
    repo.worktree.commit()
    head = place / ".helios" / "worktree" / "head"
    for content in ("no good name\n", "main\nxyz\n", "main\n" + "ab" * 32 + "\n"):
        head.write_text(content)
        [damage] = repo.verify().damage
        assert damage.kind in ("worktree", "missing")
    head.write_bytes(b"\xff")
    [damage] = repo.verify().damage
    assert damage.kind == "worktree"


def test_an_l2_that_does_not_open_is_one_damage(full: Repository, place: Path) -> None:
    full.maintenance()
    vst = full.vst()
    vst["after"] = b"1"
    vst.commit()
    full.close()
    (place / ".helios" / "l2" / "CURRENT").write_bytes(b"nonsense\n")
    with Repository.open(place) as again:
        found = again.verify()
    assert [damage.kind for damage in found.damage].count("l2") == 1
    assert "--repair" in found.damage[0].reason


def test_history_that_was_ended_on_purpose_is_no_damage(repo: Repository, place: Path) -> None:
    vst = repo.vst()
    vst["a"] = b"1"
    first = vst.commit()
    vst["a"] = b"2"
    vst.commit()
    repo.maintenance()
    drop(place, first.id)
    [damage] = repo.verify().damage
    assert (damage.kind, damage.id) == ("missing", first.id)
    with RocksStore.open(place / ".helios" / "l2", writable=True) as store:
        store.put_references({b"dropped/" + first.id.encode(): bytes.fromhex(first.id)})
    assert repo.verify().clean


def test_what_moves_to_l2_meanwhile_is_no_damage(full: Repository, place: Path) -> None:
    stop = threading.Event()

    def write() -> None:
        with Repository.open(place) as own:
            vst = own.vst().fork("busy")
            number = 0
            while not stop.is_set():
                vst["busy"] = b"%d" % number * 300
                vst.commit()
                number += 1
                if number % 20 == 0:
                    own.maintenance()

    writer = threading.Thread(target=write)
    writer.start()
    try:
        for _ in range(12):
            found: Verified = full.verify()
            assert found.clean, found.damage
    finally:
        stop.set()
        writer.join()


def test_a_source_needs_a_repair(full: Repository) -> None:
    with pytest.raises(errors.Usage):
        full.verify(source="elsewhere")


def test_a_note_of_synced_bytes_that_is_ahead_of_the_journal_is_damage(
    full: Repository, place: Path
) -> None:
    synced = place / ".helios" / "journal" / "synced"
    synced.write_bytes((1 << 40 | 1).to_bytes(8, "big") + bytes(8))
    [damage] = full.verify().damage
    assert damage.place == "journal/synced"
    assert full.verify(repair=True).clean
