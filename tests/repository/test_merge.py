"""Merges of snapshots, and commits that follow a branch which has moved."""

from __future__ import annotations

import pickle
from pathlib import Path

import pytest

from helios import Repository, errors
from repository import workers

TEXT = "one\ntwo\nthree\nfour\nfive\n"
COMMITS = 40


@pytest.fixture
def fork(repo: Repository) -> Repository:
    """`ours` and `theirs`, each a commit ahead of `main`; they go together."""
    with repo.vst() as vst:
        vst["text"] = TEXT
        vst["moved"] = "content\n"
    for branch, old, new in (("ours", "one", "ONE"), ("theirs", "five", "FIVE")):
        vst = repo.vst("main").fork(branch)
        vst["text"] = TEXT.replace(old, new)
        vst[branch] = "new\n"
        vst.commit(branch)
    return repo


def test_a_merge_computes_and_a_commit_moves_the_branch(fork: Repository) -> None:
    before = fork.branches()
    merge = fork.merge("ours", "theirs")
    assert (merge.outcome, merge.conflicts) == ("merged", [])
    assert fork.branches() == before
    snapshot = merge.commit("both", metadata={"why": "test"})
    assert snapshot.parents == [before["ours"], before["theirs"]]
    assert snapshot.metadata == {"why": b"test"}
    assert fork.branches() == {**before, "ours": snapshot.id}
    assert fork.read("ours", "text") == b"ONE\ntwo\nthree\nfour\nFIVE\n"
    assert list(fork.vst("ours")) == ["moved", "ours", "text", "theirs"]


def test_a_merge_of_snapshots_moves_no_branch(fork: Repository) -> None:
    before = fork.branches()
    snapshot = fork.merge(before["ours"], before["theirs"]).commit()
    assert fork.branches() == before
    assert snapshot.parents == [before["ours"], before["theirs"]]


def test_what_is_merged_already_is_not_merged_again(fork: Repository) -> None:
    merged = fork.merge("ours", "theirs").commit()
    again = fork.merge("ours", "theirs")
    assert again.outcome == "up-to-date"
    assert again.commit() == merged
    forward = fork.merge("theirs", "ours")
    assert forward.outcome == "fast-forward"
    assert forward.commit() == merged
    assert fork.branches()["theirs"] == merged.id


def test_a_merge_whose_tree_is_ours_is_a_snapshot_all_the_same(fork: Repository) -> None:
    for branch in ("ours", "theirs"):
        vst = fork.vst("main").fork(f"same-{branch}")
        vst["same"] = "same\n"
        vst.commit(branch)
    snapshot = fork.merge("same-ours", "same-theirs").commit()
    assert len(snapshot.parents) == 2
    assert fork.merge("same-ours", "same-theirs").outcome == "up-to-date"


def test_a_branch_that_moved_since_is_not_overwritten(fork: Repository) -> None:
    for branch, merge in (("ours", fork.merge("ours", "theirs")),):
        with fork.vst(branch) as vst:
            vst["late"] = "late\n"
        with pytest.raises(errors.BranchMoved):
            merge.commit()
        assert "late" in fork.vst(branch)


def test_conflicts_are_data(fork: Repository) -> None:
    for branch in ("ours", "theirs"):
        with fork.vst(branch) as vst:
            vst["text"] = f"{branch}\n"
            vst["both"] = f"{branch}\n"
    merge = fork.merge("ours", "theirs")
    assert merge.outcome == "conflicts"
    both, text = merge.conflicts
    assert (both.path, both.reason, both.base) == ("both", "add/add", None)
    assert (text.path, text.path_bytes, text.reason) == ("text", b"text", "content")
    assert text.base is not None
    assert text.ours is not None
    assert text.theirs is not None
    assert (text.base.size, text.ours.size, text.theirs.size) == (len(TEXT), 5, 7)
    assert (text.ours.path, text.ours.kind) == ("text", "file")
    with pytest.raises(errors.MergeConflict) as caught:
        merge.commit()
    assert caught.value.paths == ["both", "text"]
    again = pickle.loads(pickle.dumps(caught.value))
    assert (str(again), again.paths) == (str(caught.value), ["both", "text"])
    # No marker is anywhere, unless asked for.
    assert merge.vst()["text"] == b"ours\n"
    assert merge.vst(markers=True)["text"] == (
        b"<<<<<<< ours\nours\n=======\ntheirs\n>>>>>>> theirs\n"
    )


def test_conflicts_are_resolved_in_a_vst(fork: Repository) -> None:
    for branch in ("ours", "theirs"):
        with fork.vst(branch) as vst:
            vst["text"] = f"{branch}\n"
    vst = fork.merge("ours", "theirs").vst()
    vst["text"] = "resolved\n"
    snapshot = vst.commit("resolved")
    assert len(snapshot.parents) == 2
    assert fork.read("ours", "text") == b"resolved\n"
    assert "theirs" in fork.vst("ours")
    vst["more"] = "later\n"
    assert vst.commit().parents == [snapshot.id]


def test_trees_are_merged_by_any_base(fork: Repository) -> None:
    merge = fork.merge_trees("main", "ours", "theirs")
    snapshot = merge.commit()
    assert snapshot.parents == [fork.resolve("ours")]
    unrelated = fork.merge_trees(None, "ours", "theirs")
    assert [each.reason for each in unrelated.conflicts] == ["add/add"]


def test_names_in_any_bytes(repo: Repository) -> None:
    with repo.vst() as vst:
        vst[b"\xff\n"] = "base\n"
    for branch in ("ours", "theirs"):
        vst = repo.vst("main").fork(branch)
        vst[b"\xff\n"] = f"{branch}\n"
        vst.commit()
    [conflict] = repo.merge("ours", "theirs").conflicts
    assert conflict.path_bytes == b"\xff\n"
    with pytest.raises(errors.MergeConflict):
        repo.merge("ours", "theirs").commit()


# Commits that follow their branch


def test_retry_merges_into_a_branch_that_has_moved(fork: Repository) -> None:
    mine = fork.vst("main")
    mine["text"] = TEXT.replace("one", "ONE")
    with fork.vst("main") as other:
        other["text"] = TEXT.replace("five", "FIVE")
    head = fork.resolve("main")
    snapshot = mine.commit("mine", on_conflict="retry")
    assert snapshot.parents == [head]
    assert mine["text"] == b"ONE\ntwo\nthree\nfour\nFIVE\n"
    assert mine.base == snapshot.id == fork.resolve("main")


def test_retry_tells_of_conflicts_and_keeps_what_was_written(fork: Repository) -> None:
    mine = fork.vst("main")
    mine["text"] = "mine\n"
    with fork.vst("main") as other:
        other["text"] = "other\n"
    head = fork.resolve("main")
    with pytest.raises(errors.MergeConflict) as caught:
        mine.commit(on_conflict="retry")
    assert caught.value.paths == ["text"]
    assert caught.value.snapshot is not None
    assert fork.read(caught.value.snapshot, "text") == b"mine\n"
    assert mine["text"] == b"mine\n"
    assert fork.resolve("main") == head


def test_retry_follows_no_branch_that_is_gone_or_new(fork: Repository) -> None:
    gone = fork.vst("theirs")
    gone["x"] = "x"
    fork.delete_branch("theirs")
    with pytest.raises(errors.BranchMoved):
        gone.commit(on_conflict="retry")
    new = fork.vst("main").fork("new")
    new["x"] = "x"
    fork.create_branch("new", "ours")
    with pytest.raises(errors.BranchMoved):
        new.commit(on_conflict="retry")
    with pytest.raises(ValueError, match="'fail' or 'retry'"):
        new.commit(on_conflict="merge")  # type: ignore[arg-type]


def test_processes_that_retry_all_get_through(repo: Repository, place: Path) -> None:
    with repo.vst() as vst:
        vst["base"] = "1"
    names = [f"worker-{number}" for number in range(4)]
    started = [workers.start("commit_retrying", place, name, COMMITS) for name in names]
    for process in started:
        with process:
            process.communicate(timeout=120)
        assert process.returncode == 0
    expected = {f"{name}/{number}" for name in names for number in range(COMMITS)}
    assert set(repo.vst()) == {"base", *expected}
    assert sum(1 for _ in repo.log("main")) == len(expected) + 1
