"""`verify` follows the operation log: it finds what cannot be, and says what it affects.

It finds nothing where operations were moved, collected, undone, or lost with what is known to be
lost."""

from __future__ import annotations

import time
from collections.abc import Callable
from contextlib import ExitStack
from pathlib import Path

import pytest

from helios import Operation, Repository, errors
from helios._core import Engine
from helios.repository.verify import Damage, Verified
from helios.store.rocksdb import RocksStore
from repository import workers

Encoded = tuple[tuple[int, int], bytes]

COMMITS = 6
WORKERS = 4
STEPS = 150


@pytest.fixture
def filled(repo: Repository) -> Repository:
    """`main` with commits of a VST and a tag, all in L2, where tests can reach them."""
    vst = repo.vst()
    for number in range(COMMITS):
        vst["count"] = b"%d" % number
        vst.commit(str(number))
    repo.create_tag("v1")
    repo.maintenance()
    return repo


class L2:
    """What lies in L2, to be changed behind everybody's back. A context manager."""

    def __init__(self, place: Path) -> None:
        self._store = RocksStore.open(place / ".helios" / "l2", writable=True)

    def __enter__(self) -> RocksStore:
        return self._store

    def __exit__(self, *raised: object) -> None:
        self._store.close()


def moved(place: Path) -> list[Encoded]:
    """Operations as L2 has them, oldest first."""
    with RocksStore.open(place / ".helios" / "l2", writable=False) as store:
        return list(store.operations())[::-1]


def log(repo: Repository) -> list[Operation]:
    """Operations, oldest first."""
    return list(repo.operations())[::-1]


def found(repo: Repository) -> list[Damage]:
    """The damage; all of it is of the log."""
    damage = repo.verify().damage
    assert {each.kind for each in damage} <= {"operation"}
    return damage


def refs(damage: Damage) -> list[str]:
    return [effect.reference for effect in damage.effects]


def test_a_lost_operation_is_named_by_those_around_it(filled: Repository, place: Path) -> None:
    operations, encoded = log(filled), moved(place)
    with L2(place) as store:
        store.delete_operations([encoded[3][0]])
    [damage] = found(filled)
    assert operations[2].id[:12] in damage.reason
    assert operations[4].id[:12] in damage.reason
    assert refs(damage) == ["heads/main"]
    assert damage.effects[0].branch == "main"
    # Nothing has what it said; what else there is can be worked with.
    assert filled.verify(repair=True).damage == [damage]
    vst = filled.vst()
    vst["count"] = b"after"
    vst.commit()
    assert found(filled) == [damage]
    filled.undo()
    for _ in range(3):
        filled.undo()
    with pytest.raises(errors.BranchMoved):
        filled.undo()


def test_the_beginning_of_the_log_may_be_gone(filled: Repository, place: Path) -> None:
    encoded = moved(place)
    with L2(place) as store:
        store.delete_operations([position for position, _ in encoded[:4]])
    assert filled.verify().clean


def set_reference(place: Path, name: str, value: str | None) -> None:
    with L2(place) as store:
        store.put_references({name.encode(): None if value is None else bytes.fromhex(value)})


def test_a_ref_that_is_gone_is_put_back_where_the_log_left_it(
    filled: Repository, place: Path
) -> None:
    main = filled.branch("main")
    assert main is not None
    for name in ("heads/main", "tags/v1"):
        set_reference(place, name, None)
    with Repository.open(place) as repo:
        damages = found(repo)
        assert [refs(damage) for damage in damages] == [["heads/main"], ["tags/v1"]]
        assert all("is not there" in damage.reason for damage in damages)
        assert all(main[:12] in damage.reason for damage in damages)
        done = repo.verify(repair=True)
        assert done.clean, done.damage
        assert any("heads/main was put at" in note for note in done.notes)
        assert (repo.branch("main"), repo.tags()) == (main, {"v1": main})
        assert next(repo.operations()).verb == "repair"
        # Undo goes on where it would have.
        assert repo.undo().of.command == "tag v1"
        assert repo.undo().of.changes[0].new == main
        repo.maintenance()
        assert repo.verify().clean


def test_a_ref_that_names_nothing_is_put_back(filled: Repository, place: Path) -> None:
    main = filled.branch("main")
    set_reference(place, "heads/main", "ab" * 32)
    with Repository.open(place) as repo:
        assert {damage.kind for damage in repo.verify().damage} == {"operation", "missing"}
        assert repo.verify(repair=True).clean
        assert repo.branch("main") == main
        assert repo.verify().clean


@pytest.mark.parametrize("deleted", [False, True], ids=["moved", "deleted"])
def test_a_ref_that_names_a_snapshot_stays(filled: Repository, place: Path, deleted: bool) -> None:
    """An operation may be lost as well as a ref be wrong: repair moves nothing then."""
    older = filled.resolve("main~2")
    if deleted:
        filled.create_branch("side", older)
        filled.delete_branch("side")
        filled.maintenance()
    name = "side" if deleted else "main"
    set_reference(place, f"heads/{name}", older)
    with Repository.open(place) as repo:
        [damage] = found(repo)
        assert refs(damage) == [f"heads/{name}"]
        done = repo.verify(repair=True)
        assert done.clean, done.damage
        assert any(f"heads/{name} stays at {older[:12]}" in note for note in done.notes)
        assert repo.branch(name) == older
        repair = next(repo.operations())
        assert (repair.verb, repair.of) == ("repair", None)
        with pytest.raises(errors.Refused, match="made refs and log agree"):
            repo.undo(repair.id)
        with repo.vst(name) as vst:
            vst["goes"] = b"on"
        assert repo.verify().clean


def edit_and_restore(repo: Repository, place: Path) -> None:
    """The file `a` is 1, then 2, and 1 again by a restore."""
    (place / "a").write_text("1")
    first = repo.worktree.commit().snapshot
    (place / "a").write_text("2")
    repo.worktree.commit()
    repo.restore(first)


def test_what_the_disk_held_can_be_put_right_too(repo: Repository, place: Path) -> None:
    edit_and_restore(repo, place)
    repo.maintenance()
    set_reference(place, "worktrees/main", None)
    with Repository.open(place) as again:
        [damage] = found(again)
        assert refs(damage) == ["worktrees/main"]
        assert again.verify(repair=True).clean
        (place / "a").write_text("3")
        again.worktree.commit()
        again.undo()
        again.undo()
        assert (place / "a").read_text() == "2", "the restore is undone, and not the repair"
        assert again.verify().clean


def test_going_back_passes_over_a_repair(filled: Repository, place: Path) -> None:
    target = log(filled)[2]
    older = filled.resolve("main~2")
    set_reference(place, "heads/main", older)
    with Repository.open(place) as repo:
        assert repo.verify(repair=True).clean
        repo.restore_operation(target.id)
        assert repo.branch("main") == target.changes[0].new
        assert repo.verify().clean


def later(position: tuple[int, int], by: int) -> tuple[int, int]:
    return position[0], position[1] + by


@pytest.mark.parametrize(
    ("move", "reason"),
    [
        (lambda at: later(at, 1), "twice"),
        (lambda at: (at[0], 7), "no room"),
        (lambda at: (at[0] + 1000, at[1]), "does not go that far"),
    ],
    ids=["a second time", "in the header", "behind the end"],
)
def test_an_operation_where_none_can_be(
    filled: Repository,
    place: Path,
    move: Callable[[tuple[int, int]], tuple[int, int]],
    reason: str,
) -> None:
    position, encoded = moved(place)[3]
    with L2(place) as store:
        store.put_operations([(move(position), encoded)])
    reasons = [damage.reason for damage in found(filled)]
    assert any(reason in each for each in reasons), reasons
    assert all("heads/main" in each for each in reasons)


def test_an_operation_that_overlaps_the_next(filled: Repository, place: Path) -> None:
    (position, encoded), (following, _) = moved(place)[3:5]
    with L2(place) as store:
        store.delete_operations([position])
        store.put_operations([(later(following, -10), encoded)])
    [damage] = found(filled)
    assert "no room" in damage.reason
    assert damage.place == "l2"


def test_operations_out_of_order_break_the_row(filled: Repository, place: Path) -> None:
    (first, one), (second, two) = moved(place)[2:4]
    with L2(place) as store:
        store.put_operations([(first, two), (second, one)])
    damages = found(filled)
    assert len(damages) == 3
    assert {tuple(refs(damage)) for damage in damages} == {("heads/main",)}


def test_what_of_the_journal_is_in_l2_already_must_be_the_same(
    repo: Repository, place: Path
) -> None:
    """Maintenance that died has left operations in both."""
    vst = repo.vst()
    for number in range(3):
        vst["count"] = b"%d" % number
        vst.commit()
    kept = {path: path.read_bytes() for path in (place / ".helios" / "journal").glob("*.journal")}
    repo.maintenance()
    encoded = moved(place)
    repo.close()
    for path in (place / ".helios" / "journal").glob("*.journal"):
        path.unlink()
    for path, content in kept.items():
        path.write_bytes(content)
    with Repository.open(place) as again:
        assert again.verify().clean
        with L2(place) as store:
            store.put_operations([(encoded[0][0], encoded[1][1])])
        [damage] = found(again)
        assert "the journal has another there" in damage.reason


def test_an_operation_that_does_not_decode_is_told_once(filled: Repository, place: Path) -> None:
    position, encoded = moved(place)[3]
    with L2(place) as store:
        store.put_operations([(position, encoded[:-1])])
    [damage] = found(filled)
    assert f"segment {position[0]}, byte {position[1]}" in damage.reason
    assert (damage.kind, damage.place) == ("operation", "l2")


def test_the_last_operation_may_be_the_one_that_does_not_decode(
    filled: Repository, place: Path
) -> None:
    position, encoded = moved(place)[-1]
    with L2(place) as store:
        store.put_operations([(position, encoded[:-1])])
    assert len(found(filled)) == 1


def test_operations_that_went_with_a_damaged_frame_are_a_note(
    repo: Repository, place: Path
) -> None:
    vst = repo.vst()
    ends = []
    [segment] = (place / ".helios" / "journal").glob("*.journal")
    for number in range(5):
        vst["count"] = b"%d" % number
        vst.commit()
        ends.append(segment.stat().st_size)
    repo.close()
    content = bytearray(segment.read_bytes())
    content[ends[1] + 4] ^= 1  # a checksum
    segment.write_bytes(content)
    with Repository.open(place) as again:
        told = again.verify()
        assert "operation" not in {damage.kind for damage in told.damage}
        assert any("operations were lost" in note for note in told.notes)
        repaired = again.verify(repair=True)
        assert repaired.clean, repaired.damage
        assert any("operations were lost" in note for note in repaired.notes)


def lose_snapshot(place: Path, id: str) -> None:
    from repository.test_verify import drop

    drop(place, id)


def test_a_snapshot_that_only_undo_needs_is_missed(repo: Repository, place: Path) -> None:
    edit_and_restore(repo, place)
    (place / "a").write_text("not committed")
    undone = repo.undo()
    assert undone.safety is not None
    repo.maintenance()
    lose_snapshot(place, undone.safety.id)
    [damage] = repo.verify().damage
    assert (damage.kind, damage.id) == ("missing", undone.safety.id)
    assert [(effect.reference, effect.branch) for effect in damage.effects] == [
        (f"operations/{undone.operation}", None)
    ]
    # Gc would keep it no longer, so nobody misses it.
    (place / ".helios" / "config").write_text('[retention]\nundo = "0s"\n')
    assert repo.verify().clean


def with_time(encoded: bytes, time_us: int) -> bytes:
    return time_us.to_bytes(8, "little", signed=True) + encoded[8:]


def set_ages(place: Path, ages_s: dict[int, float]) -> None:
    """Gives operations, by their numbers in the log, an age."""
    with L2(place) as store:
        encoded = list(store.operations())[::-1]
        now_us, _, _, _ = Engine.decode_operation(encoded[-1][1])
        for number, age_s in ages_s.items():
            position, operation = encoded[number]
            time_us = int(now_us - 1_000_000 * age_s)
            store.put_operations([(position, with_time(operation, time_us))])


@pytest.mark.parametrize(
    ("ages_s", "kept"),
    [
        ({0: 1e6, 1: 1e6, 2: 1e6}, COMMITS - 2),
        ({2: 1e6, 3: 1e6}, COMMITS + 1),
        ({0: 1e6, 1: -1e6, 2: 1e6}, COMMITS - 2),
        ({0: 1e6, 1: -1e6}, COMMITS),
    ],
    ids=["oldest", "clock was behind", "ahead, and old", "ahead, and young"],
)
def test_gc_cuts_the_log_at_its_oldest_end_alone(
    filled: Repository, place: Path, ages_s: dict[int, float], kept: int
) -> None:
    set_ages(place, ages_s)
    (place / ".helios" / "config").write_text(
        '[retention]\ngrace = "0s"\nundo = "1d"\nkeep-last = 1\n'
    )
    before = log(filled)
    filled.gc()
    assert log(filled) == before[len(before) - kept :]
    assert filled.verify().clean


def test_a_repository_in_memory_has_a_log_too() -> None:
    with Repository.memory() as repo:
        with repo.vst() as vst:
            vst["a"] = b"1"
        repo.create_tag("v1")
        repo.undo()
        repo.maintenance()
        repo.delete_branch("main")
        assert repo.verify().clean
        repo.gc()
        assert repo.verify().clean


@pytest.mark.slow
@pytest.mark.parametrize("undo", ["1s", "7d"], ids=["cut again and again", "kept whole"])
def test_nothing_is_found_beside_many_who_do_everything(
    repo: Repository, place: Path, tmp_path: Path, undo: str
) -> None:
    """Commits, undo, redo, tags, branches, merges, worktrees, maintenance and gc, in processes of
    their own; whoever looks meanwhile and afterwards finds the log whole."""
    (place / "file").write_text("base\n")
    repo.worktree.commit("base")
    first = next(repo.operations())
    rules = f'[retention]\nundo = "{undo}"\ngrace = "1s"\n'
    (place / ".helios" / "config").write_text(rules)
    with ExitStack() as stack:
        running = [
            stack.enter_context(workers.start("do_everything", place, tmp_path, seed, STEPS))
            for seed in range(WORKERS)
        ]
        looked = 0
        while any(process.poll() is None for process in running):
            assert_whole(repo.verify())
            looked += 1
        assert [process.returncode for process in running] == [0] * WORKERS
    assert looked > 2
    assert_whole(repo.verify())
    repo.maintenance()
    assert_whole(repo.verify())
    # The workers' own may all have come too soon, or have waited for another in vain.
    time.sleep(1)
    repo.gc()
    assert_whole(repo.verify())
    assert (log(repo)[:1] == [first]) == (undo == "7d")
    (place / ".helios" / "config").write_text('[retention]\nundo = "0s"\ngrace = "0s"\n')
    repo.gc()
    assert list(repo.operations()) == []
    assert_whole(repo.verify())


def assert_whole(found: Verified) -> None:
    # A worktree that is added while another undoes the branch that is made for it has none.
    assert [damage for damage in found.damage if damage.kind != "worktree"] == []
    assert not any("operations were lost" in note for note in found.notes)
