"""The watch: what it captures, what it leaves alone, and how it ends. No test depends on how long
anything takes; a limit is there only so that a failure ends."""

from __future__ import annotations

import itertools
import os
import shutil
import threading
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from helios import Repository, Worktree, errors
from helios.repository.watch import Watch

LIMIT_S = 120


@pytest.fixture
def watch(worktree: Worktree) -> Iterator[Watch]:
    """A watch whose first snapshot was taken."""
    with worktree.watch(settle_s=0.05, wait_s_max=1) as watch:
        limit = threading.Timer(LIMIT_S, watch.stop)
        limit.start()
        next(watch)
        yield watch
        limit.cancel()


def until(watch: Watch, holds: Callable[[], bool]) -> int:
    """Takes snapshots until something holds; how many."""
    for count in itertools.count(1):
        assert next(watch, None) is not None, "the watch ended first"
        if holds():
            return count
    raise AssertionError


def paths(repo: Repository, branch: str = "watch/main") -> set[str]:
    return set(repo.vst(branch))


def test_the_first_snapshot_is_what_is_there(
    repo: Repository, worktree: Worktree, place: Path
) -> None:
    (place / "a").write_text("a\n")
    committed = worktree.commit("first").snapshot
    with worktree.watch() as watch:
        done = next(watch)
        assert done.snapshot == committed
        assert done.snapshot.stats is None
        assert repo.branches() == {"main": committed.id, "watch/main": committed.id}
    (place / "a").write_text("edited\n")
    with worktree.watch() as watch:
        done = next(watch)
        assert done.snapshot.parents == [committed.id]
        assert done.snapshot.stats is not None


def test_an_unborn_branch_is_watched(repo: Repository, watch: Watch, place: Path) -> None:
    (place / "a").write_text("a\n")
    assert until(watch, lambda: paths(repo) == {"a"}) == 1
    assert repo.worktree.status().head is None


def test_edits_deletes_and_renames_are_captured_and_the_worktree_is_left_alone(
    repo: Repository, worktree: Worktree, place: Path
) -> None:
    (place / "dir/sub").mkdir(parents=True)
    (place / "dir/sub/a").write_text("a\n")
    (place / "b").write_text("b\n")
    first = worktree.commit("first").snapshot
    with worktree.watch(settle_s=0.05) as watch:
        next(watch)
        (place / "dir/sub/a").write_text("edited\n")
        until(watch, lambda: repo.read("watch/main", "dir/sub/a") == b"edited\n")
        (place / "b").unlink()
        until(watch, lambda: paths(repo) == {"dir/sub/a"})
        (place / "dir").rename(place / "moved")
        until(watch, lambda: paths(repo) == {"moved/sub/a"})
        (place / "moved/sub/new").write_text("seen under the new name\n")
        until(watch, lambda: paths(repo) == {"moved/sub/a", "moved/sub/new"})
        (place / "moved/sub/new").chmod(0o755)
        until(watch, lambda: repo.vst("watch/main").kind("moved/sub/new") == "executable")
        shutil.rmtree(place / "moved")
        until(watch, lambda: paths(repo) == set())
        status = worktree.status()
        assert (status.branch, status.base, status.head) == ("main", first.id, first.id)
        assert [change.path for change in status.diff.deleted] == ["b", "dir/sub/a"]
    done = worktree.commit("by hand").snapshot
    assert done.parents == [first.id]


def test_a_burst_of_10000_files_in_new_directories_is_captured_whole(
    repo: Repository, watch: Watch, place: Path
) -> None:
    def burst() -> None:
        for number in range(10_000):
            directory = place / f"d{number % 7}" / f"e{number % 11}"
            directory.mkdir(parents=True, exist_ok=True)
            (directory / str(number)).write_text(str(number))

    burst()
    until(watch, lambda: len(repo.vst("watch/main")) == 10_000)
    shutil.rmtree(place / "d3")
    remaining = sum(number % 7 != 3 for number in range(10_000))
    until(watch, lambda: len(repo.vst("watch/main")) == remaining)


def test_a_burst_while_the_watch_looks_is_captured_to_its_end(
    repo: Repository, watch: Watch, place: Path
) -> None:
    def write() -> None:
        for number in range(2_000):
            directory = place / "x" / str(number // 50)
            directory.mkdir(parents=True, exist_ok=True)
            (directory / str(number)).write_text("1")

    writer = threading.Thread(target=write)
    writer.start()
    until(watch, lambda: "x" in repo.vst("watch/main") and len(repo.vst("watch/main")) == 2_000)
    writer.join()


def test_ignored_files_and_commits_wake_nobody(
    repo: Repository, worktree: Worktree, place: Path
) -> None:
    (place / ".gitignore").write_text("*.log\nout/\n")
    worktree.commit("first")
    with worktree.watch(settle_s=0.05) as watch:
        next(watch)
        (place / "a.log").write_text("ignored")
        (place / "out").mkdir()
        (place / "out/x").write_text("ignored")
        repo.create_branch("other")
        worktree.commit("nothing new")
        (place / "seen").write_text("seen")
        until(watch, lambda: "seen" in paths(repo))
        assert paths(repo) == {".gitignore", "seen"}
        watch.stop()
        assert list(watch) == []
        messages = [each.message for each in repo.log("watch/main")]
        assert messages == ["watch", "first"]


def test_a_tracked_file_that_is_ignored_now_is_watched(
    repo: Repository, worktree: Worktree, place: Path
) -> None:
    (place / "kept.log").write_text("1")
    worktree.commit("first")
    (place / ".gitignore").write_text("*.log\n")
    worktree.commit("second")
    with worktree.watch(settle_s=0.05) as watch:
        assert next(watch).snapshot.stats is None
        (place / "kept.log").write_text("22")
        until(watch, lambda: repo.read("watch/main", "kept.log") == b"22")


def test_the_branch_follows_the_worktrees(
    repo: Repository, worktree: Worktree, place: Path
) -> None:
    (place / "a").write_text("1\n")
    worktree.commit("first")
    with worktree.watch(settle_s=0.05) as watch:
        next(watch)
        (place / "a").write_text("2\n")
        # Commits what is there to main, and brings `other` to disk.
        worktree.switch("other", create=True)
        (place / "a").write_text("3\n")
        until(watch, lambda: "watch/other" in repo.branches())
        assert repo.read("watch/other", "a") == b"3\n"
        assert watch.branch == "watch/other"
        worktree.restore("main~1")
        until(watch, lambda: repo.read("watch/other", "a") == b"1\n")
        assert repo.read("other", "a") == b"3\n"


def test_a_chosen_branch_is_used_and_one_that_moves_is_followed(
    repo: Repository, worktree: Worktree, place: Path
) -> None:
    (place / "a").write_text("1\n")
    with worktree.watch("log", settle_s=0.05) as watch:
        next(watch)
        with repo.vst("log") as vst:
            vst["theirs"] = "theirs\n"
        theirs = repo.branches()["log"]
        (place / "a").write_text("2\n")
        done = next(watch).snapshot
        assert done.parents == [theirs]
        assert paths(repo, "log") == {"a"}
    with pytest.raises(errors.InvalidName):
        worktree.watch("a b")


def test_a_last_look_is_taken_when_the_watch_is_stopped(
    repo: Repository, worktree: Worktree, place: Path
) -> None:
    with worktree.watch(settle_s=100, wait_s_max=1000) as watch:
        next(watch)
        (place / "a").write_text("a\n")
        watch.stop()
        watch.stop()
        assert len(list(watch)) == 1
        assert paths(repo) == {"a"}
        with pytest.raises(StopIteration):
            next(watch)


def test_a_second_watch_is_refused_and_the_next_one_is_not(worktree: Worktree) -> None:
    with worktree.watch() as watch:
        with pytest.raises(errors.Refused, match=str(os.getpid())):
            worktree.watch()
        next(watch)
    with worktree.watch() as watch:
        next(watch)
        watch.close()
        watch.close()
        watch.stop()
        assert list(watch) == []


def test_each_worktree_has_a_watch_of_its_own(
    repo: Repository, worktree: Worktree, place: Path, tmp_path: Path
) -> None:
    (place / "a").write_text("a\n")
    worktree.commit("first")
    repo.add_worktree(tmp_path / "agent", "attempt")
    with (
        Repository.open(tmp_path / "agent") as linked,
        worktree.watch(settle_s=0.05) as main,
        linked.worktree.watch(settle_s=0.05) as other,
    ):
        next(main)
        next(other)
        (tmp_path / "agent/b").write_text("b\n")
        until(other, lambda: paths(repo, "watch/attempt") == {"a", "b"})
        assert paths(repo) == {"a"}
        repo.remove_worktree(tmp_path / "agent")
        with pytest.raises(errors.NotARepository):
            list(other)
        assert os.listdir(f"{repo.directory}/worktrees") == ["turn"]


def test_a_worktree_that_is_gone_ends_the_watch_and_is_not_made_again(
    worktree: Worktree, place: Path
) -> None:
    with worktree.watch(settle_s=0.05) as watch:
        next(watch)
        shutil.rmtree(place)
        with pytest.raises(errors.NotARepository):
            list(watch)
    assert not place.exists()


def test_without_reports_of_the_system_the_watch_looks_by_itself(
    repo: Repository,
    worktree: Worktree,
    place: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr("helios.repository.watch.POLL_S", 0.05)
    (place / "dir").mkdir()
    with worktree.watch(settle_s=0.05) as watch:
        next(watch)
        assert not watch.polls

        class Exhausted:
            def __getattr__(self, name: str) -> object:
                return getattr(core, name)

            def cover(self, *_: object) -> bool:
                raise errors.StorageError("no space left on device", errno=28)

        core = watch._core
        monkeypatch.setattr(watch, "_core", Exhausted())
        (place / "dir/a").write_text("a\n")
        until(watch, lambda: paths(repo) == {"dir/a"})
        assert watch.polls is not None
        assert "max_user_watches" in watch.polls
        (place / "dir/b").write_text("b\n")
        until(watch, lambda: paths(repo) == {"dir/a", "dir/b"})


@pytest.mark.parametrize(("settle_s", "wait_s_max"), [(-1, 1), (1, 0), (float("nan"), 1)])
def test_times_that_cannot_be_are_refused(
    worktree: Worktree, settle_s: float, wait_s_max: float
) -> None:
    with pytest.raises(errors.Usage):
        worktree.watch(settle_s=settle_s, wait_s_max=wait_s_max)


def test_strange_names_are_watched(repo: Repository, watch: Watch, place: Path) -> None:
    directory = os.fsencode(place) + b"/\xff dir"
    os.mkdir(directory)
    with open(directory + b"/new\nline \xe9", "wb") as file:
        file.write(b"1")
    until(watch, lambda: len(repo.vst("watch/main")) == 1)
    with open(directory + b"/second", "wb") as file:
        file.write(b"2")
    until(watch, lambda: len(repo.vst("watch/main")) == 2)
