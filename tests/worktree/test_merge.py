"""Merges into the worktree, and restores that keep what a person has edited."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from helios import Repository, Worktree, errors

TEXT = "one\ntwo\nthree\nfour\nfive\n"
OURS = TEXT.replace("one", "ONE")
THEIRS = TEXT.replace("five", "FIVE")
BOTH = OURS.replace("five", "FIVE")


@pytest.fixture
def forked(repo: Repository, worktree: Worktree, place: Path) -> Repository:
    """`main` on disk, and `theirs` a commit ahead of it."""
    (place / "text").write_text(TEXT)
    (place / "gone").write_text("gone\n")
    worktree.commit("base")
    vst = repo.vst("main").fork("theirs")
    vst["text"] = THEIRS
    vst["dir/new"] = "new\n"
    vst.delete("gone")
    vst.commit("theirs")
    return repo


def listed(place: Path) -> list[str]:
    paths = (path.relative_to(place).as_posix() for path in place.rglob("*") if path.is_file())
    return sorted(path for path in paths if not path.startswith(".helios/"))


def test_a_merge_comes_to_disk(forked: Repository, worktree: Worktree, place: Path) -> None:
    (place / "text").write_text(OURS)
    worktree.commit("ours")
    head = forked.resolve("main")
    done = worktree.merge("theirs")
    assert done.merge.outcome == "merged"
    assert done.snapshot is not None
    assert done.snapshot.parents == [head, forked.resolve("theirs")]
    assert done.snapshot.message == "merge theirs into main"
    assert (done.safety, done.written, done.deleted) == (
        None,
        ["dir", "dir/new", "text"],
        ["gone"],
    )
    assert (place / "text").read_text() == BOTH
    assert listed(place) == ["dir/new", "text"]
    assert not worktree.status().diff


def test_what_is_not_committed_is_merged_too(
    forked: Repository, worktree: Worktree, place: Path
) -> None:
    (place / "text").write_text(OURS)
    done = worktree.merge("theirs", "both", author="Ada")
    assert done.safety is not None
    assert forked.read(done.safety, "text").decode() == OURS
    assert done.snapshot is not None
    assert (done.snapshot.message, done.snapshot.author) == ("both", "Ada")
    assert done.snapshot.parents == [done.safety.id, forked.resolve("theirs")]
    assert (place / "text").read_text() == BOTH


def test_fast_forward_and_up_to_date(forked: Repository, worktree: Worktree, place: Path) -> None:
    done = worktree.merge("theirs")
    assert done.merge.outcome == "fast-forward"
    assert forked.resolve("main") == forked.resolve("theirs")
    assert (place / "text").read_text() == THEIRS
    again = worktree.merge("theirs")
    assert (again.merge.outcome, again.snapshot, again.written) == ("up-to-date", None, [])


def test_a_conflict_changes_nothing(forked: Repository, worktree: Worktree, place: Path) -> None:
    (place / "text").write_text("mine\n")
    before = forked.branches()
    done = worktree.merge("theirs")
    assert [(each.path, each.reason) for each in done.merge.conflicts] == [("text", "content")]
    assert (done.snapshot, done.safety, done.written) == (None, None, [])
    assert forked.branches() == before
    assert (place / "text").read_text() == "mine\n"
    assert listed(place) == ["gone", "text"]
    assert [each.path for each in worktree.status().diff.changed] == ["text"]


def test_markers_are_resolved_by_hand(forked: Repository, worktree: Worktree, place: Path) -> None:
    (place / "text").write_text("mine\n")
    done = worktree.merge("theirs", markers=True)
    assert done.safety is not None
    assert (place / "text").read_text() == (
        f"<<<<<<< main\nmine\n=======\n{THEIRS}>>>>>>> theirs\n"
    )
    assert listed(place) == ["dir/new", "text"]
    with pytest.raises(errors.Refused, match="is not finished"):
        worktree.merge("theirs")
    (place / "text").write_text("resolved\n")
    concluded = worktree.commit("resolved").snapshot
    assert concluded.parents == [done.safety.id, forked.resolve("theirs")]
    assert worktree.merge("theirs").merge.outcome == "up-to-date"
    (place / "text").write_text("later\n")
    assert worktree.commit().snapshot.parents == [concluded.id]


def test_a_merge_by_hand_can_be_given_up(
    forked: Repository, worktree: Worktree, place: Path
) -> None:
    (place / "text").write_text("mine\n")
    done = worktree.merge("theirs", markers=True)
    assert done.safety is not None
    worktree.restore(done.safety)
    # What the files held is kept, and is no merge.
    assert forked.snapshot("main").parents == [done.safety.id]
    assert (place / "text").read_text() == "mine\n"
    assert listed(place) == ["gone", "text"]
    committed = worktree.commit().snapshot
    assert len(committed.parents) == 1
    # Nothing pretends that it was merged.
    assert worktree.merge("theirs").merge.outcome == "conflicts"


def test_a_dry_run_writes_nothing(forked: Repository, worktree: Worktree, place: Path) -> None:
    before = forked.branches()
    done = worktree.merge("theirs", dry_run=True)
    assert (done.written, done.deleted) == (["dir/new", "text"], ["gone"])
    assert forked.branches() == before
    assert listed(place) == ["gone", "text"]


def test_a_branch_that_moved_must_be_taken_over_first(
    forked: Repository, worktree: Worktree
) -> None:
    with forked.vst("main") as vst:
        vst["late"] = "late\n"
    with pytest.raises(errors.BranchMoved, match="`switch main`"):
        worktree.merge("theirs")


def test_an_unborn_branch_has_nothing_to_merge_into(worktree: Worktree, repo: Repository) -> None:
    vst = repo.vst("main").fork("theirs")
    vst["x"] = "x"
    vst.commit()
    with pytest.raises(errors.UnknownRevision, match="no snapshot yet"):
        worktree.merge("theirs")


# Restores that merge


def test_a_restore_keeps_the_edits_since(repo: Repository, worktree: Worktree, place: Path) -> None:
    (place / "text").write_text(TEXT)
    before = worktree.commit("before the agent").snapshot
    (place / "text").write_text(THEIRS)
    (place / "agent").write_text("agent\n")
    agent = worktree.commit("agent").snapshot
    (place / "text").write_text(BOTH)
    (place / "person").write_text("person\n")
    done = worktree.restore(before, merge=True)
    assert (place / "text").read_text() == OURS
    assert listed(place) == ["person", "text"]
    assert done.safety is not None
    assert done.safety.parents == [agent.id]
    assert repo.resolve("main") == done.safety.id
    worktree.restore(done.safety)
    assert (place / "text").read_text() == BOTH
    assert listed(place) == ["agent", "person", "text"]


def test_a_restore_keeps_what_was_committed_since(worktree: Worktree, place: Path) -> None:
    (place / "text").write_text(TEXT)
    before = worktree.commit("before the agent").snapshot
    (place / "text").write_text(THEIRS)
    agent = worktree.commit("agent").snapshot
    (place / "text").write_text(BOTH)
    worktree.commit("person")
    done = worktree.restore(before, merge=True, since=agent)
    assert (done.safety, done.written) == (None, ["text"])
    assert (place / "text").read_text() == OURS


def test_a_restore_that_conflicts_does_nothing(
    repo: Repository, worktree: Worktree, place: Path
) -> None:
    (place / "text").write_text(TEXT)
    before = worktree.commit().snapshot
    (place / "text").write_text("agent\n")
    agent = worktree.commit().snapshot
    (place / "text").write_text("person\n")
    done = worktree.restore(before, merge=True)
    assert [each.path for each in done.conflicts] == ["text"]
    assert (done.written, done.safety) == ([], None)
    assert (place / "text").read_text() == "person\n"
    assert repo.resolve("main") == agent.id
    for wrong in ({"since": agent}, {"merge": True, "dry_run": True}):
        with pytest.raises(errors.Usage):
            worktree.restore(before, **wrong)


def test_undo_takes_a_merge_back_in_one_step_and_redo_brings_it_again(tmp_path: Path) -> None:
    with Repository.init(tmp_path) as repo:
        (tmp_path / "file").write_text("base\n")
        base = repo.worktree.commit("base").snapshot
        with repo.vst("main").fork("other") as other:
            other["new"] = "theirs\n"
        (tmp_path / "mine").write_text("not committed\n")
        done = repo.worktree.merge("other")
        assert done.snapshot is not None
        assert (tmp_path / "new").exists()
        undone = repo.undo()
        assert repo.resolve("main") == base.id
        assert not (tmp_path / "new").exists()
        assert (tmp_path / "mine").read_text() == "not committed\n"
        assert [change.path for change in repo.worktree.status().diff.added] == ["mine"]
        assert undone.of.command.startswith("merge")
        repo.redo()
        assert repo.resolve("main") == done.snapshot.id
        assert (tmp_path / "new").read_text() == "theirs\n"
        assert not repo.worktree.status().diff


def test_a_merge_into_a_branch_that_moves_meanwhile_leaves_the_disk_as_it_was(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with Repository.init(tmp_path) as repo:
        (tmp_path / "file").write_text("base\n")
        repo.worktree.commit("base")
        with repo.vst("main").fork("other") as other:
            other["new"] = "theirs\n"
        record = Worktree.record

        def late(self: Worktree, *arguments: Any, **options: Any) -> str:
            with repo.vst("main") as vst:
                vst["agent"] = "was first\n"
            return record(self, *arguments, **options)

        monkeypatch.setattr(Worktree, "record", late)
        with pytest.raises(errors.BranchMoved):
            repo.worktree.merge("other")
        assert not (tmp_path / "new").exists()
        assert repo.read("main", "agent") == b"was first\n"
        assert (tmp_path / "file").read_text() == "base\n"


def test_gc_keeps_what_a_person_is_merging(tmp_path: Path) -> None:
    with Repository.init(tmp_path) as repo:
        (tmp_path / "file").write_bytes(b"1\n")
        repo.worktree.commit("base")
        with repo.vst("main").fork("theirs") as vst:
            vst["file"] = b"theirs\n"
        theirs = repo.resolve("theirs")
        (tmp_path / "file").write_bytes(b"ours\n")
        assert repo.worktree.merge("theirs", markers=True).merge.conflicts
        repo.delete_branch("theirs")
        rules = '[retention]\ngrace = "0s"\nundo = "0s"\nkeep-last = 1\n'
        (tmp_path / ".helios" / "config").write_text(rules)
        repo.gc()
        (tmp_path / "file").write_bytes(b"resolved\n")
        assert repo.worktree.commit("by hand").snapshot.parents[1] == theirs
        assert repo.read(theirs, "file") == b"theirs\n"
