"""`verify --repair` restores what its sources hold, loses nothing, and tells what is left."""

from __future__ import annotations

import random
import shutil
from pathlib import Path

import pytest

from helios import Repository, errors
from helios.store.rocksdb import RocksStore
from repository.test_verify import drop, flip_last, full, ids, spoil

__all__ = ["full"]


@pytest.fixture
def copy(full: Repository, place: Path, tmp_path: Path) -> Path:
    """A copy of the repository, in which everything is intact and in L2."""
    full.maintenance()
    target = tmp_path / "copy"
    shutil.copytree(place, target)
    return target


def contents(repo: Repository) -> dict[str, dict[str, bytes]]:
    """Everything that the branches hold."""
    found = {}
    for branch in repo.branches():
        for snapshot in repo.log(branch):
            vst = repo.vst(snapshot.id)
            found[snapshot.id] = {path: vst[path] for path in vst}
    return found


def test_a_file_of_the_worktree_restores_its_blob(repo: Repository, place: Path) -> None:
    small, large = random.Random(1).randbytes(2000), random.Random(2).randbytes(3 << 20)
    (place / "d").mkdir()
    (place / "d" / "small").write_bytes(small)
    (place / "large").write_bytes(large)
    (place / "link").symlink_to("d/small")
    repo.worktree.commit()
    repo.maintenance()
    with RocksStore.open(place / ".helios" / "l2", writable=False) as store:
        blobs = [k.hex() for page in store.pages() for k, r in page.records if r[0] == 1]
    assert len(blobs) > 5
    spoil(place, flip_last, *blobs)
    assert len(repo.verify().damage) >= len(blobs)
    # Found by its content, wherever the index says it is.
    found = repo.verify(repair=True)
    assert found.clean, found.damage
    with Repository.open(place, cache_bytes=0) as again:
        assert (again.read("@", "d/small"), again.read("@", "large")) == (small, large)
        assert again.read("@", "link") == b"d/small"


def test_the_index_of_a_worktree_restores_tree_nodes(repo: Repository, place: Path) -> None:
    chance = random.Random(3)
    for number in range(300):
        directory = place / "d" / str(number % 3)
        directory.mkdir(parents=True, exist_ok=True)
        (directory / f"{number}").write_bytes(chance.randbytes(30))
        (place / f"{number}").write_bytes(chance.randbytes(30))
    (place / "d" / "empty").mkdir()
    (place / "d" / "link").symlink_to("0/0")
    (place / "d" / "0" / "0").chmod(0o755)
    snapshot = repo.worktree.commit().snapshot
    repo.maintenance()
    with RocksStore.open(place / ".helios" / "l2", writable=False) as store:
        nodes = [k.hex() for page in store.pages() for k, r in page.records if r[0] == 2]
    assert len(nodes) > 6
    spoil(place, flip_last, *nodes)
    assert {damage.id for damage in repo.verify().damage} >= set(nodes)
    assert snapshot is not None
    found = repo.verify(repair=True)
    assert found.clean, found.damage
    with Repository.open(place, cache_bytes=0) as again:
        paths = set(again.vst(snapshot.id))
        assert len(paths) == 601
        diff = again.worktree.status().diff
        assert [*diff.added, *diff.changed, *diff.deleted] == []


def test_a_file_that_has_changed_restores_nothing(repo: Repository, place: Path) -> None:
    (place / "a").write_bytes(b"1" * 900)
    repo.worktree.commit()
    repo.maintenance()
    with RocksStore.open(place / ".helios" / "l2", writable=False) as store:
        [blob] = [k.hex() for page in store.pages() for k, r in page.records if r[0] == 1]
    drop(place, blob)
    (place / "a").write_bytes(b"2" * 900)
    [damage] = repo.verify(repair=True).damage
    assert (damage.kind, damage.id) == ("missing", blob)
    (place / "a").write_bytes(b"1" * 900)
    assert repo.verify(repair=True).clean


def test_another_repository_restores_whatever_it_holds(
    full: Repository, place: Path, copy: Path
) -> None:
    right = contents(full)
    full.close()
    with RocksStore.open(place / ".helios" / "l2", writable=True) as store:
        keys = [k.hex() for page in store.pages() for k, _ in page.records if len(k) == 32]
    chance = random.Random(4)
    for key in chance.sample(keys, len(keys) // 3):
        drop(place, key)
    spoil(place, flip_last, *(key for key in chance.sample(keys, 20) if has(place, key)))
    with Repository.open(place, cache_bytes=0) as repo:
        assert not repo.verify().clean
        found = repo.verify(repair=True, source=copy)
        assert found.clean, found.damage
        assert contents(repo) == right


def has(place: Path, id: str) -> bool:
    with RocksStore.open(place / ".helios" / "l2", writable=False) as store:
        return store.records([bytes.fromhex(id)]) != [None]


def test_a_record_that_the_journal_still_has_restores_that_of_l2(
    full: Repository, place: Path, tmp_path: Path
) -> None:
    kept = tmp_path / "journal"
    shutil.copytree(place / ".helios" / "journal", kept)
    full.maintenance()
    only = ids(full, "other", "deep/er/only here")
    full.close()
    # A crash came before the journal was discarded.
    shutil.rmtree(place / ".helios" / "journal")
    shutil.copytree(kept, place / ".helios" / "journal")
    spoil(place, flip_last, only)
    with Repository.open(place, cache_bytes=0) as repo:
        [damage] = repo.verify().damage
        assert (damage.id, damage.place, damage.readable) == (only, "l2", True)
        assert repo.verify(repair=True).clean
        repo.maintenance()
        assert repo.verify().clean
        assert len(repo.read("other", "deep/er/only here")) == 900


def test_a_damaged_frame_gives_back_what_of_it_is_intact(full: Repository, place: Path) -> None:
    right = contents(full)
    full.close()
    [segment] = (place / ".helios" / "journal").glob("*.journal")
    content = bytearray(segment.read_bytes())
    # The checksum of the frame that holds the first snapshot.
    content[36] ^= 1
    segment.write_bytes(content)
    with Repository.open(place, cache_bytes=0) as repo:
        found = repo.verify()
        assert {damage.kind for damage in found.damage} >= {"journal", "missing"}
        found = repo.verify(repair=True)
        assert found.clean, found.damage
        assert contents(repo) == right
    kept = list((place / ".helios" / "journal" / "lost").iterdir())
    assert [path.read_bytes()[: len(content)] for path in kept] == [bytes(content)]


@pytest.mark.parametrize("name", ["CURRENT", "*.sst"])
def test_a_damaged_database_is_moved_aside_and_built_anew(
    full: Repository, place: Path, copy: Path, name: str
) -> None:
    right = contents(full)
    full.close()
    l2 = place / ".helios" / "l2"
    largest = max(l2.glob(name), key=lambda path: path.stat().st_size)
    content = bytearray(largest.read_bytes())
    content[: len(content) // 2] = bytes(len(content) // 2)
    largest.write_bytes(content)
    with Repository.open(place, cache_bytes=0) as repo:
        assert not repo.verify().clean
        found = repo.verify(repair=True, source=copy)
        assert found.clean, found.damage
        assert contents(repo) == right
        vst = repo.vst()
        vst["after"] = b"1"
        vst.commit()
        repo.maintenance()
        assert repo.verify().clean
    # What was damaged is kept: RocksDB's file alone, or all of L2.
    kept = [*(place / ".helios").glob("l2.damaged-*/*"), *l2.glob("CURRENT.damaged-*")]
    assert content in [path.read_bytes() for path in kept]


def test_repair_leaves_what_it_cannot_restore_and_says_so(full: Repository, place: Path) -> None:
    full.maintenance()
    only = ids(full, "other", "deep/er/only here")
    spoil(place, flip_last, only)
    for _ in range(2):
        [damage] = full.verify(repair=True).damage
        assert damage.id == only
    with RocksStore.open(place / ".helios" / "l2", writable=False) as store:
        assert store.records([bytes.fromhex(only)]) != [None]


def test_repair_waits_for_no_other_writer(full: Repository, place: Path) -> None:
    full.maintenance()
    spoil(place, flip_last, ids(full, "other", "deep/er/only here"))
    with (
        RocksStore.open(place / ".helios" / "l2", writable=True),
        pytest.raises(errors.StoreBusy),
    ):
        full.verify(repair=True)
