"""Restore and switch: nothing on disk is lost, nothing ignored touched, the root never left."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from helios import Repository, Snapshot, Worktree, errors
from worktree import disk_tree
from worktree.disk_tree import File, Link


@pytest.fixture
def first(worktree: Worktree, place: Path) -> Snapshot:
    """A snapshot of a few files, with more on disk since."""
    disk_tree.make(
        place,
        {
            b".gitignore": File(b"*.o\nbuild/\n"),
            b"a": File(b"1"),
            b"src": {b"x.py": File(b"x = 1\n"), b"deep": {b"y.py": File(b"y = 1\n")}},
        },
    )
    return worktree.commit("first").snapshot


def test_a_restore_can_be_undone(repo: Repository, place: Path, first: Snapshot) -> None:
    (place / "a").write_bytes(b"edited")
    (place / "new").write_bytes(b"new")
    before = disk_tree.read(place)
    done = repo.restore(first)
    assert (done.written, done.deleted) == (["a"], ["new"])
    assert done.safety is not None
    assert done.safety.message.startswith("before restore")
    assert done.safety.parents == [first.id]
    repo.restore(done.safety)
    assert disk_tree.read(place) == before


def test_without_a_change_there_is_no_safety_snapshot(repo: Repository, first: Snapshot) -> None:
    done = repo.restore(first)
    assert (done.safety, done.written, done.deleted) == (None, [], [])


def test_a_dry_run_writes_nothing_at_all(repo: Repository, place: Path, first: Snapshot) -> None:
    (place / "a").write_bytes(b"edited")
    (place / "new").write_bytes(b"new")
    before = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    journal = repo.stats()["journal"]
    plan = repo.restore(first, dry_run=True)
    assert (plan.written, plan.deleted, plan.safety) == (["a"], ["new"], None)
    after = {path: path.read_bytes() for path in place.rglob("*") if path.is_file()}
    assert after.keys() == before.keys()
    assert {p for p in after if after[p] != before[p]} <= {place / ".helios" / "metrics"}
    assert repo.stats()["journal"] == journal


def test_only_the_given_paths_are_restored(repo: Repository, place: Path, first: Snapshot) -> None:
    for name in ("a", "src/x.py", "src/deep/y.py"):
        (place / name).write_bytes(b"edited")
    (place / "src" / "new").write_bytes(b"new")
    done = repo.restore(first, paths=["src/deep", place / "a"])
    assert sorted(done.written) == ["a", "src/deep/y.py"]
    assert (place / "src" / "x.py").read_bytes() == b"edited"
    done = repo.restore(first, paths=[b"./src/"])
    assert (done.written, done.deleted) == (["src/x.py"], ["src/new"])


def test_a_path_whose_directory_is_gone_is_restored(
    repo: Repository, place: Path, first: Snapshot
) -> None:
    disk_tree.remove(os.fsencode(place / "src"))
    repo.restore(first, paths=["src/deep/y.py"])
    assert disk_tree.read(place)[b"src"] == {b"deep": {b"y.py": File(b"y = 1\n")}}


def test_a_path_whose_directory_became_a_file_is_restored(
    repo: Repository, place: Path, first: Snapshot
) -> None:
    disk_tree.remove(os.fsencode(place / "src"))
    (place / "src").write_bytes(b"a file")
    done = repo.restore(first, paths=["src/x.py"])
    assert disk_tree.read(place)[b"src"] == {b"x.py": File(b"x = 1\n")}
    assert done.safety is not None
    assert repo.read(done.safety, "src") == b"a file"


@pytest.mark.parametrize("path", ["../outside", "/etc/passwd", "src/../../x", ".."])
def test_a_path_outside_is_refused(repo: Repository, first: Snapshot, path: str) -> None:
    with pytest.raises(errors.InvalidPath, match="outside"):
        repo.restore(first, paths=[path])


def test_a_path_that_is_nowhere_is_an_error(repo: Repository, first: Snapshot) -> None:
    with pytest.raises(errors.PathNotFound):
        repo.restore(first, paths=["src/nothing"])
    with pytest.raises(errors.UnknownRevision):
        repo.restore("nothing")


def test_ignored_files_are_not_touched(
    repo: Repository, worktree: Worktree, place: Path, first: Snapshot
) -> None:
    (place / "x.o").write_bytes(b"ignored")
    (place / "build").mkdir()
    (place / "build" / "out").write_bytes(b"ignored")
    (place / "new").mkdir()
    (place / "new" / "y.o").write_bytes(b"ignored")
    (place / "new" / "tracked").write_bytes(b"1")
    worktree.commit()
    repo.restore(first)
    assert (place / "x.o").read_bytes() == b"ignored"
    assert (place / "build" / "out").read_bytes() == b"ignored"
    # Its directory stays for it.
    assert [path.name for path in (place / "new").iterdir()] == ["y.o"]
    assert not worktree.diff(first).deleted


def test_an_ignored_file_in_the_way_is_left_with_a_warning(
    repo: Repository, worktree: Worktree, place: Path, first: Snapshot
) -> None:
    assert first.id
    (place / ".gitignore").unlink()
    (place / "x.o").write_bytes(b"tracked")
    (place / "build").mkdir()
    (place / "build" / "out").write_bytes(b"tracked")
    with_both = worktree.commit().snapshot
    repo.restore(first)
    assert not (place / "x.o").exists()
    (place / "x.o").write_bytes(b"mine")
    (place / "build").write_bytes(b"a file where a directory was")
    (place / ".git" / "info").mkdir(parents=True)
    (place / ".git" / "info" / "exclude").write_text("x.o\nbuild\n")
    done = repo.restore(with_both)
    assert (place / "x.o").read_bytes() == b"mine"
    assert (place / "build").read_bytes() == b"a file where a directory was"
    assert {warning.path for warning in done.warnings} >= {"x.o", "build"}
    assert all(warning.reason for warning in done.warnings)


def test_a_directory_with_ignored_files_in_the_place_of_a_file_is_left_with_a_warning(
    repo: Repository, worktree: Worktree, place: Path, first: Snapshot
) -> None:
    (place / "a").unlink()
    (place / "a").mkdir()
    (place / "a" / "x.o").write_bytes(b"ignored")
    (place / "a" / "tracked").write_bytes(b"1")
    (place / "src" / "x.py").write_bytes(b"edited")
    worktree.commit()
    done = repo.restore(first)
    assert [warning.path for warning in done.warnings] == ["a"]
    assert (place / "a" / "x.o").read_bytes() == b"ignored"
    assert (place / "src" / "x.py").read_bytes() == b"x = 1\n"


def test_nothing_is_written_through_a_symlink(
    repo: Repository, worktree: Worktree, place: Path, first: Snapshot, canary: Path
) -> None:
    assert first.id
    disk_tree.remove(os.fsencode(place / "src"))
    (place / "src").symlink_to(canary)
    (place / "a").unlink()
    (place / "a").symlink_to(canary / "file")
    linked = worktree.commit().snapshot
    repo.restore(first)
    assert disk_tree.read(place)[b"a"] == File(b"1")
    repo.restore(linked)
    assert disk_tree.read(place)[b"src"] == Link(os.fsencode(canary))
    (place / ".git" / "info").mkdir(parents=True)
    (place / ".git" / "info" / "exclude").write_text("src\n")
    with repo.vst(first).fork() as vst:
        vst["src/written"] = b"through"
    done = repo.restore(vst.base or "")
    assert not (canary / "written").exists()
    assert done.snapshot.id == vst.base


def test_names_that_stand_for_version_control_are_not_written(
    repo: Repository, place: Path, canary: Path
) -> None:
    (place / ".git").mkdir()
    (place / ".git" / "config").write_bytes(b"mine")
    journal = sorted((place / ".helios" / "journal").iterdir())
    vst = repo.vst().fork()
    for path in (".git/config", ".git/hooks/x", ".GIT/x", ".helios/journal/lock", "a/.git/x"):
        vst[path] = b"hostile"
    vst.write("out", os.fsencode(canary), symlink=True)
    vst["good"] = b"1"
    done = repo.restore(vst.commit())
    assert (place / "good").read_bytes() == b"1"
    assert (place / ".git" / "config").read_bytes() == b"mine"
    assert not (place / ".git" / "hooks").exists()
    assert sorted((place / ".helios" / "journal").iterdir()) == journal
    assert {".git", ".helios"} <= {warning.path.split("/")[0] for warning in done.warnings}


def test_the_branch_stays_and_the_next_commit_records_the_result(
    repo: Repository, worktree: Worktree, place: Path, first: Snapshot
) -> None:
    (place / "a").write_bytes(b"2")
    second = worktree.commit().snapshot
    repo.restore(first)
    assert repo.resolve("main") == second.id
    third = worktree.commit().snapshot
    assert (third.parents, third.tree_id) == ([second.id], first.tree_id)


def test_switch_brings_the_disk_to_the_other_branch_and_back(
    repo: Repository, worktree: Worktree, place: Path, first: Snapshot
) -> None:
    assert worktree.switch("other", create=True).snapshot == first
    assert worktree.branch == "other"
    (place / "a").write_bytes(b"other")
    (place / "only here").write_bytes(b"1")
    switched = worktree.switch("main")
    assert switched.safety is not None
    assert repo.resolve("other") == switched.safety.id
    assert (place / "a").read_bytes() == b"1"
    assert not (place / "only here").exists()
    assert not worktree.status().diff
    back = worktree.switch("other")
    assert (back.safety, sorted(back.written)) == (None, ["a", "only here"])
    assert (place / "a").read_bytes() == b"other"
    with Repository.open(place) as again:
        assert again.worktree.branch == "other"
        assert again.resolve("@") == switched.safety.id


def test_switch_to_the_branch_that_is_followed_keeps_the_edits(
    worktree: Worktree, place: Path, first: Snapshot
) -> None:
    assert first.id
    (place / "a").write_bytes(b"edited")
    worktree.switch("main")
    assert (place / "a").read_bytes() == b"edited"


def test_switch_to_what_cannot_be_leaves_the_branch_and_the_disk(
    worktree: Worktree, place: Path, first: Snapshot
) -> None:
    assert first.id
    (place / "a").write_bytes(b"edited")
    with pytest.raises(errors.UnknownRevision, match="switch -c"):
        worktree.switch("nothing")
    with pytest.raises(errors.BranchExists):
        worktree.switch("main", create=True)
    with pytest.raises(errors.InvalidName):
        worktree.switch("no good", create=True)
    assert worktree.branch == "main"
    assert (place / "a").read_bytes() == b"edited"


def test_an_unborn_branch_can_be_left_for_a_new_one(
    repo: Repository, worktree: Worktree, place: Path
) -> None:
    assert worktree.switch("first", create=True).snapshot is None or repo.branches()
    (place / "a").write_bytes(b"1")
    worktree.commit()
    assert "first" in repo.branches()


def test_a_path_too_long_for_the_disk_is_a_clear_error_and_loses_nothing(
    repo: Repository, worktree: Worktree, place: Path, first: Snapshot
) -> None:
    vst = repo.vst(first)
    vst["/".join(["d" * 99] * 100)] = b"deep"
    too_long = vst.commit()
    (place / "a").write_bytes(b"edited")
    with pytest.raises(errors.StorageError, match="too long"):
        repo.restore(too_long)
    assert repo.read("main", "a") == b"edited"
    repo.restore(first)
    assert not worktree.diff(first)
