"""Gc: what it keeps, what it frees, and that nobody beside it loses anything."""

from __future__ import annotations

import os
import random
import signal
import time
from collections.abc import Callable
from pathlib import Path

import pytest

from helios import VST, Repository, Snapshot, errors
from helios.repository.config import Retention, load
from helios.repository.gc import Gc
from repository import workers

DAY_US = 86_400_000_000
LINES = b"".join(b"line %d of the file\n" % n for n in range(60))


def configure(place: Path, text: str) -> None:
    """Drops at once what the rules do not keep."""
    rules = f'[retention]\ngrace = "0s"\nundo = "0s"\n{text}\n'
    (place / ".helios" / "config").write_text(rules)


def history(repo: Repository, count: int, branch: str = "main") -> list[Snapshot]:
    """Snapshots that each change one of ten files by a line."""
    vst = repo.vst(branch)
    made = []
    for number in range(count):
        vst[f"d/{number % 10}"] = LINES + b"%s %d\n" % (branch.encode(), number) + LINES
        made.append(vst.commit(f"{branch} {number}"))
    return made


def content(repo: Repository, snapshot: str | Snapshot) -> dict[str, bytes]:
    vst = repo.vst(snapshot)
    return {path: vst[path] for path in vst}


def all_is_readable(place: Path) -> None:
    """As a process sees it that starts now, with everything moved into L2."""
    with Repository.open(place, cache_bytes=0) as repo:
        repo.maintenance()
        assert repo.verify().damage == []
        for branch in repo.branches():
            for snapshot in repo.log(branch, 25):
                content(repo, snapshot)


def files_of(place: Path) -> dict[str, bytes]:
    found = (path for path in (place / ".helios").rglob("*") if path.is_file())
    return {str(path): path.read_bytes() for path in found if path.name != "metrics"}


def after(monkeypatch: pytest.MonkeyPatch, step: str, act: Callable[[], object]) -> None:
    """Does something when gc has done a step, once."""
    original = getattr(Gc, step)

    def stepped(self: Gc, *arguments: object, **options: object) -> object:
        result = original(self, *arguments, **options)
        monkeypatch.setattr(Gc, step, original)
        act()
        return result

    monkeypatch.setattr(Gc, step, stepped)


def before_deletion(monkeypatch: pytest.MonkeyPatch, act: Callable[[], object]) -> None:
    """Does something when gc has published what it deletes, and deleted nothing."""
    original = Gc._delete

    def deleting(self: Gc, gc: object) -> None:
        monkeypatch.setattr(Gc, "_delete", original)
        act()
        original(self, gc)  # type: ignore[arg-type]

    monkeypatch.setattr(Gc, "_delete", deleting)


# What is kept


def test_without_a_policy_only_what_nothing_reaches_goes(repo: Repository, place: Path) -> None:
    kept = history(repo, 30)
    repo.create_branch("doomed", kept[3])
    dropped = history(repo, 5, "doomed")
    repo.delete_branch("doomed")
    assert repo.gc().snapshots == 0
    configure(place, "")
    done = repo.gc()
    assert (done.snapshots, done.kept_snapshots) == (5, 30)
    assert [snapshot.id for snapshot in repo.log()] == [snapshot.id for snapshot in kept[::-1]]
    for snapshot in dropped:
        with pytest.raises(errors.UnknownRevision, match="there is no snapshot"):
            repo.resolve(snapshot.id)
    all_is_readable(place)


def test_the_last_of_each_branch_are_kept_and_history_ends_there(
    repo: Repository, place: Path
) -> None:
    made = history(repo, 50)
    expected = {snapshot.id: content(repo, snapshot) for snapshot in made}
    repo.create_branch("side", made[20])
    side = history(repo, 4, "side")
    configure(place, "keep-last = 5")
    done = repo.gc()
    kept = [*made[-5:], made[20], *side]
    assert done.kept_snapshots == len(kept)
    assert done.snapshots == 54 - len(kept)
    assert done.bytes_after < done.bytes_before
    # Behind the gap history goes on with what another branch keeps.
    shown = [*made[:-6:-1], made[20]]
    assert [snapshot.id for snapshot in repo.log("main")] == [s.id for s in shown]
    with Repository.open(place, cache_bytes=0) as again:
        for snapshot in made[-5:]:
            assert content(again, snapshot) == expected[snapshot.id]
        assert again.snapshot(made[-5]).parents == [made[-6].id]
        with pytest.raises(errors.UnknownRevision, match="gc has dropped the parent"):
            again.resolve("main~6")
        assert again.resolve("main~5") == made[20].id
        assert len(list(again.log("side"))) == 5
    assert repo.gc().snapshots == 0
    vst = repo.vst()
    vst["more"] = b"1"
    vst.commit()
    repo.gc()
    assert [s.id for s in repo.log("main")][1:] == [s.id for s in [*made[:-5:-1], made[20]]]
    all_is_readable(place)


def test_within_and_per_day_count_from_the_time_of_snapshots(repo: Repository, place: Path) -> None:
    now_us = time.time_ns() // 1000
    vst = repo.vst()
    by_age = {}
    for age in range(40, -1, -1):
        for part in range(2):
            vst["a"] = b"%d %d" % (age, part)
            made = vst.commit(time_us=now_us - age * DAY_US - (DAY_US // 4) * (1 - part))
            by_age[age, part] = made.id
    configure(place, 'keep-within = "36h"\nkeep-daily = 10')
    repo.gc()
    kept = {snapshot.id for snapshot in repo.log()}
    assert by_age[0, 1] in kept
    assert by_age[1, 1] in kept
    assert by_age[20, 1] not in kept
    days = {snapshot.time_us // DAY_US for snapshot in repo.log()}
    assert len(days) == 10
    newest_of_a_day = {}
    for (age, part), snapshot in by_age.items():
        made_us = now_us - age * DAY_US - (DAY_US // 4) * (1 - part)
        newest_of_a_day[made_us // DAY_US] = snapshot
    assert {newest_of_a_day[day] for day in days} <= kept
    all_is_readable(place)


def test_named_branches_keep_all(repo: Repository, place: Path) -> None:
    history(repo, 10)
    repo.create_branch("release/1", "main")
    history(repo, 10, "release/1")
    repo.create_branch("try", "release/1")
    history(repo, 10, "try")
    configure(place, 'keep-last = 2\nkeep-branches = ["release/*"]')
    repo.gc()
    assert len(list(repo.log("release/1"))) == 20
    # Its own goes, and behind the gap it is that of the other.
    assert len(list(repo.log("try"))) == 2 + 20
    assert len(list(repo.log("main"))) == 10
    all_is_readable(place)


def test_grace_and_undo_protect(repo: Repository, place: Path) -> None:
    history(repo, 3)
    loose = repo.vst("main").fork()
    loose["loose"] = b"1"
    young = loose.commit()
    old = loose.commit(allow_empty=True, time_us=1)
    repo.create_branch("gone", "main")
    gone = history(repo, 3, "gone")
    repo.delete_branch("gone")
    config = place / ".helios" / "config"
    config.write_text('[retention]\ngrace = "1h"\nundo = "0s"\nkeep-last = 100')
    repo.gc()
    assert repo.read(young, "loose") == b"1"
    assert content(repo, gone[0])
    with pytest.raises(errors.UnknownRevision):
        repo.resolve(old.id)
    config.write_text('[retention]\ngrace = "0s"\nundo = "1h"')
    repo.gc()
    with pytest.raises(errors.UnknownRevision):
        repo.resolve(young.id)
    # The operations that named these were older than the undo window of the gc before.
    with pytest.raises(errors.UnknownRevision):
        repo.resolve(gone[-1].id)
    repo.create_branch("gone", "main")
    again = history(repo, 3, "gone")
    repo.delete_branch("gone")
    repo.gc()
    assert content(repo, again[-1])
    assert len(list(repo.log(again[-1]))) == 6


def test_worktrees_protect_what_they_describe(repo: Repository, place: Path) -> None:
    (place / "file").write_bytes(LINES)
    first, _ = repo.worktree.commit("one"), (place / "file").write_bytes(b"2" + LINES)
    repo.worktree.commit("two")
    vst = repo.vst("main")
    vst["file"] = b"3"
    for _ in range(4):
        vst.commit(allow_empty=True)
    configure(place, "keep-last = 1")
    repo.gc()
    head = (place / ".helios" / "worktree" / "head").read_text().splitlines()[1]
    assert repo.read(head, "file") == b"2" + LINES
    with pytest.raises(errors.UnknownRevision):
        repo.resolve(str(getattr(first, "id", first)))
    all_is_readable(place)


def test_a_dry_run_changes_nothing_and_says_what_would(repo: Repository, place: Path) -> None:
    history(repo, 30)
    repo.maintenance()
    history(repo, 30)
    configure(place, "keep-last = 7")
    before = files_of(place)
    would = repo.gc(dry_run=True)
    assert files_of(place) == before
    assert (would.snapshots, would.kept_snapshots) == (53, 7)
    assert would.bytes_after < would.bytes_before
    did = repo.gc()
    assert (did.snapshots, did.objects) == (would.snapshots, would.objects)


def test_a_quota_drops_the_oldest_and_says_if_it_cannot(repo: Repository, place: Path) -> None:
    noise = random.Random(1)
    vst = repo.vst()
    made = []
    for number in range(60):
        vst["large"] = noise.randbytes(20_000)
        vst[f"small {number}"] = b"x"
        made.append(vst.commit(str(number)))
    configure(place, "")
    done = repo.gc(quota=900_000)
    assert done.fits
    assert done.bytes_after <= 900_000
    kept = [snapshot.id for snapshot in repo.log()]
    assert kept == [snapshot.id for snapshot in made[-len(kept) :]][::-1]
    assert 5 < len(kept) < 60
    all_is_readable(place)
    done = repo.gc(quota=1000)
    assert not done.fits
    assert [snapshot.id for snapshot in repo.log()] == [made[-1].id]
    all_is_readable(place)


def test_large_files_keep_their_chunks(repo: Repository, place: Path) -> None:
    noise = random.Random(2)
    large = noise.randbytes(3 << 20)
    vst = repo.vst()
    vst["large"] = large
    vst.commit()
    vst["large"] = large[: 1 << 20] + b"!" + large[1 << 20 :]
    vst.commit()
    configure(place, "keep-last = 1")
    repo.gc()
    with Repository.open(place, cache_bytes=0) as again:
        assert again.read("main", "large") == large[: 1 << 20] + b"!" + large[1 << 20 :]


def test_content_that_comes_back_after_gc_is_stored_again(repo: Repository, place: Path) -> None:
    made = history(repo, 20)
    first = content(repo, made[0])
    configure(place, "keep-last = 1")
    vst = repo.vst()
    repo.gc()
    for path, was in first.items():
        vst[path] = was
    vst.commit("as it was")
    assert content(repo, "main").items() >= first.items()
    repo.gc()
    all_is_readable(place)


def test_a_repository_in_memory_collects_too() -> None:
    repo = Repository.memory()
    history(repo, 10)
    vst = repo.vst("main")
    fork = vst.fork("side")
    fork["new"] = LINES
    made = fork.commit()
    repo.delete_branch("side")
    assert repo.gc(dry_run=True).snapshots == 1
    assert repo.gc().snapshots == 1
    with pytest.raises(errors.UnknownRevision):
        repo.resolve(made.id)
    fork["more"] = b"1"
    with pytest.raises(errors.Collected):
        fork.commit()
    vst["new"] = LINES
    vst.commit()
    assert repo.read("main", "new") == LINES
    assert len(list(repo.log())) == 11


def test_gc_refuses_where_kept_history_is_damaged(repo: Repository, place: Path) -> None:
    made = history(repo, 5)
    repo.maintenance()
    from helios.store.rocksdb import RocksStore

    with RocksStore.open(place / ".helios" / "l2", writable=True) as store:
        store.delete_records([(bytes.fromhex(made[1].id), 0, 0)])
    before = {snapshot.id for snapshot in made} - {made[1].id}
    with Repository.open(place) as again:
        with pytest.raises(errors.ObjectNotFound, match=made[1].id):
            again.gc()
        for snapshot in before:
            assert content(again, snapshot)


# Beside others


@pytest.fixture
def dropping(repo: Repository, place: Path) -> list[Snapshot]:
    """A history of which gc will keep the last snapshot."""
    made = history(repo, 30)
    configure(place, "keep-last = 1")
    return made


Start = Callable[[pytest.MonkeyPatch, Callable[[], object]], None]
MOMENTS: dict[str, Start] = {
    "roots are read": lambda patch, act: after(patch, "_look", act),
    "all is sorted": lambda patch, act: after(patch, "_sort", act),
    "the dead set is published": before_deletion,
    "all is deleted": lambda patch, act: after(patch, "_delete", act),
}


@pytest.fixture(params=sorted(MOMENTS))
def at_moment(
    request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch
) -> Callable[[Callable[[], object]], None]:
    """Has something done by another handle at a moment of the next gc."""
    start = MOMENTS[request.param]
    return lambda act: start(monkeypatch, act)


@pytest.mark.usefixtures("dropping")
def test_a_vst_of_the_branch_goes_on(
    repo: Repository,
    place: Path,
    at_moment: Callable[[Callable[[], object]], None],
) -> None:
    with Repository.open(place) as other:
        vst = other.vst("main")
        vst["d/1"]

        def commit() -> None:
            vst["d/1"] = LINES + b"changed\n"
            vst.commit("beside gc")

        at_moment(commit)
        repo.gc()
        vst["d/2"] = b"again"
        vst.commit("after gc")
        assert other.read("main", "d/1") == LINES + b"changed\n"
        assert content(other, "main").keys() == {f"d/{n}" for n in range(10)}
    assert [s.message for s in repo.log()][:2] == ["after gc", "beside gc"]
    all_is_readable(place)
    repo.gc()
    all_is_readable(place)


def test_a_vst_of_a_dropped_snapshot_is_committed_whole_or_not_at_all(
    repo: Repository,
    place: Path,
    dropping: list[Snapshot],
    at_moment: Callable[[Callable[[], object]], None],
) -> None:
    expected = content(repo, dropping[5])
    with Repository.open(place) as other:
        vst = other.vst(dropping[5]).fork("rescued")
        outcomes = []

        def commit() -> None:
            vst["new"] = b"1"
            try:
                outcomes.append(vst.commit("on what is dropped").id)
            except errors.Collected as error:
                outcomes.append(str(error))

        at_moment(commit)
        repo.gc()
        [outcome] = outcomes
        if "dropped by gc" not in outcome:
            assert content(other, "rescued") == {**expected, "new": b"1"}
            with Repository.open(place, cache_bytes=0) as again:
                again.maintenance()
                assert content(again, "rescued") == {**expected, "new": b"1"}
                assert next(s.id for s in again.log("rescued")) == outcome
        else:
            assert "rescued" not in other.branches()
    all_is_readable(place)
    repo.gc()
    all_is_readable(place)


def test_a_vst_that_was_read_whole_survives_its_base(
    repo: Repository, place: Path, dropping: list[Snapshot]
) -> None:
    """History ends behind it, and that is no damage."""
    with Repository.open(place) as other:
        vst = other.vst(dropping[5]).fork("rescued")
        for path in vst:
            vst[path] = vst[path] + b"mine"
        repo.gc()
        made = vst.commit("all in memory")
        assert made.parents == [dropping[5].id]
        assert [s.id for s in other.log("rescued")] == [made.id]
        assert all(found.endswith(b"mine") for found in content(other, "rescued").values())
    all_is_readable(place)
    repo.gc()
    assert [s.id for s in repo.log("rescued")] == [made.id]
    all_is_readable(place)


def test_a_branch_on_a_dropped_snapshot_is_whole_or_refused(
    repo: Repository,
    place: Path,
    dropping: list[Snapshot],
    at_moment: Callable[[Callable[[], object]], None],
) -> None:
    with Repository.open(place) as other:
        outcomes: list[str] = []

        def branch() -> None:
            try:
                outcomes.append(other.create_branch("late", dropping[7]))
            except errors.RevisionError as error:
                outcomes.append(str(error))

        at_moment(branch)
        repo.gc()
        assert len(outcomes) == 1
        assert ("late" in other.branches()) == (outcomes[0] == dropping[7].id)
    all_is_readable(place)


def test_dead_content_that_is_written_again_survives(
    repo: Repository,
    place: Path,
    dropping: list[Snapshot],
    at_moment: Callable[[Callable[[], object]], None],
) -> None:
    """L1 and the journal of the other handle know it; neither may save the writing."""
    dead = content(repo, dropping[3])
    with Repository.open(place) as other:
        assert content(other, dropping[3]) == dead
        vst = other.vst("main")

        def write() -> None:
            for path, was in dead.items():
                vst[path] = was
                vst[f"copy of {path}"] = was
            vst.commit("again")

        at_moment(write)
        repo.gc()
    all_is_readable(place)
    with Repository.open(place, cache_bytes=0) as again:
        found = content(again, "main")
        assert all(found[path] == found[f"copy of {path}"] == was for path, was in dead.items())


@pytest.mark.usefixtures("dropping")
def test_a_bulk_commit_and_a_worktree_commit_go_on(
    repo: Repository,
    place: Path,
    at_moment: Callable[[Callable[[], object]], None],
) -> None:
    noise = random.Random(3)
    large = {f"large/{n}": noise.randbytes(90_000) for n in range(10)}
    repo.worktree.switch("main")
    (place / "on disk").mkdir()
    for path, was in large.items():
        (place / "on disk" / path.replace("/", " ")).write_bytes(was)
    with Repository.open(place) as other:
        vst = other.vst("main").fork("bulk")

        def commit() -> None:
            for path, was in large.items():
                vst[path] = was
            vst.commit("bulk")
            assert other.worktree.commit("disk").snapshot.message == "disk"

        at_moment(commit)
        repo.gc()
        assert content(other, "bulk").items() >= large.items()
    all_is_readable(place)
    with Repository.open(place) as again:
        assert again.read("main", "on disk/large 3") == large["large/3"]
        assert not again.worktree.status().diff


@pytest.mark.usefixtures("dropping")
def test_a_reader_that_was_open_reads_on(
    repo: Repository,
    place: Path,
) -> None:
    expected = content(repo, "main")
    repo.maintenance()
    with Repository.open(place, cache_bytes=0) as reader:
        vst = reader.vst("main")
        assert vst["d/0"] == expected["d/0"]
        repo.gc()
        assert {path: vst[path] for path in vst} == expected
        assert content(reader, "main") == expected


@pytest.mark.usefixtures("dropping")
def test_two_at_once_take_turns(
    repo: Repository,
    place: Path,
) -> None:
    from helios.store.rocksdb import RocksStore

    with (
        RocksStore.open(place / ".helios" / "l2", writable=True),
        pytest.raises(errors.StoreBusy),
    ):
        repo.gc(wait_s=0)
    assert repo.gc().snapshots == 29


@pytest.mark.parametrize("seed", range(2))
def test_gc_that_is_killed_leaves_a_good_repository(
    repo: Repository, place: Path, seed: int
) -> None:
    chance = random.Random(seed)
    made = history(repo, 300)
    configure(place, "keep-last = 20")
    expected = {snapshot.id: content(repo, snapshot) for snapshot in made[-20:]}
    vst = repo.vst("main").fork("beside")
    for number in range(8):
        with workers.start("collect", place) as process:
            assert process.stdout is not None
            assert process.stdout.readline() == "begins\n"
            deadline = time.monotonic() + chance.random() * 0.25
            while time.monotonic() < deadline:
                vst["beside"] = b"%d %f" % (number, chance.random())
                vst.commit()
                time.sleep(0.002)
            process.send_signal(signal.SIGKILL)
            process.wait()
        for snapshot, was in expected.items():
            assert content(repo, snapshot) == was
        all_is_readable(place)
    repo.gc()
    assert [snapshot.id for snapshot in repo.log("main")] == [s.id for s in made[:-21:-1]]
    for snapshot, was in expected.items():
        assert content(repo, snapshot) == was
    left = os.listdir(place / ".helios" / "gc")
    assert left == []
    all_is_readable(place)


def test_commits_of_other_processes_survive_many_gcs(repo: Repository, place: Path) -> None:
    history(repo, 100)
    configure(place, "keep-last = 10")
    running = [workers.start("commit_many", place, f"agent-{n}", 300) for n in range(3)]
    while any(process.poll() is None for process in running):
        repo.gc()
    for process in running:
        process.communicate()
        assert process.returncode == 0
    repo.gc()
    with Repository.open(place, cache_bytes=0) as again:
        main = content(again, "main")
        for n in range(3):
            assert again.read(f"agent-{n}", "own") == b"299"
            assert sum(path.startswith(f"agent-{n}/") for path in main) == 300
    all_is_readable(place)


# Configuration


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("[retention", "no TOML"),
        ("\xff", "no TOML"),
        ("[retention]\nkeep-lst = 1", "there is no setting `retention.keep-lst`"),
        ("[retension]", "there is no setting `retension`"),
        ("retention = 1", "`retention` is a table, not 1"),
        ("[retention]\nkeep-last = -1", "`retention.keep-last` is a number, 0 or more, not -1"),
        ("[retention]\nkeep-last = true", "is a number"),
        ('[retention]\nkeep-within = "1 week"', "is a time such as"),
        ("[retention]\nundo = 5", "is a time such as"),
        ('[retention]\nkeep-branches = "main"', "is a list of names"),
        ('[gc]\nmemory = "much"', "is a size such as"),
    ],
)
def test_a_mistake_in_the_configuration_is_named_and_nothing_is_dropped(
    repo: Repository, place: Path, text: str, problem: str
) -> None:
    history(repo, 3)
    config = place / ".helios" / "config"
    config.write_bytes(text.encode("latin-1"))
    with pytest.raises(errors.InvalidConfig, match=str(config)) as caught:
        repo.gc()
    assert problem in str(caught.value)
    assert len(list(repo.log())) == 3


def test_the_configuration_is_read(tmp_path: Path) -> None:
    assert load(str(tmp_path)).retention == Retention()
    (tmp_path / "config").write_text(
        '[retention]\nkeep-last = 3\nkeep-within = "2w"\nkeep-hourly = 4\nkeep-daily = 5\n'
        'keep-branches = ["main"]\ngrace = "90s"\nundo = "3d"\n[gc]\nmemory = "1.5MiB"\n'
    )
    config = load(str(tmp_path))
    assert config.gc_memory_bytes == 3 << 19
    assert config.retention == Retention(
        last=3,
        within_s=14 * 86_400,
        hourly=4,
        daily=5,
        branches=("main",),
        grace_s=90,
        undo_s=3 * 86_400,
    )


def test_a_small_memory_gives_the_same(repo: Repository, place: Path) -> None:
    """A few hundred live ids at a time; the rest is in files, and looked up there."""
    made = history(repo, 200)
    vst: VST = repo.vst()
    for number in range(600):
        vst[f"many/{number}"] = b"%d" % number
    vst.commit()
    configure(place, 'keep-last = 20\n[gc]\nmemory = "12KiB"')
    expected = {snapshot.id: content(repo, snapshot) for snapshot in made[-19:]}
    spilled = []
    original = Gc._sort

    def sorting(self: Gc, *arguments: object, **options: object) -> None:
        spilled.extend(os.listdir(place / ".helios" / "gc"))
        original(self, *arguments, **options)  # type: ignore[arg-type]

    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(Gc, "_sort", sorting)
        done = repo.gc()
    assert any(name.startswith("live-") for name in spilled)
    assert (done.snapshots, done.kept_snapshots) == (181, 20)
    for snapshot, was in expected.items():
        assert content(repo, snapshot) == was
    assert os.listdir(place / ".helios" / "gc") == []
    all_is_readable(place)


def test_history_ends_where_it_will_if_gc_died_before_it_said_so(
    repo: Repository, place: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made = history(repo, 30)
    configure(place, "keep-last = 5")

    def die(*_: object) -> None:
        raise InterruptedError

    with monkeypatch.context() as patch:
        patch.setattr(Gc, "_delete", die)
        with pytest.raises(InterruptedError):
            repo.gc()
    kept = [snapshot.id for snapshot in made[:-6:-1]]
    with Repository.open(place, cache_bytes=0) as again:
        assert [snapshot.id for snapshot in again.log("main")] == kept
    assert repo.gc().snapshots == 25
    assert [snapshot.id for snapshot in repo.log("main")] == kept


def test_an_unchanged_vst_over_a_dropped_snapshot_becomes_a_new_one(
    repo: Repository, place: Path
) -> None:
    empty = repo.vst("main").commit(allow_empty=True)
    vst = repo.vst(empty)
    history(repo, 3)
    configure(place, "keep-last = 1")
    with Repository.open(place) as other:
        other.gc()
    again = vst.commit()
    assert again.id != empty.id
    assert content(repo, again) == {}
