"""Merges of branches whose common history gc has dropped, in part or whole."""

from __future__ import annotations

from pathlib import Path

import pytest

from helios import Repository, errors

POLICY = '[retention]\nkeep-last = 2\ngrace = "0s"\nundo = "0s"\n'


def edits(repo: Repository, branch: str, path: str, count: int) -> None:
    """Snapshots on a branch, each with another content of the file."""
    for number in range(count):
        with repo.vst(branch) as vst:
            vst[path] = f"{branch} {number}"


def test_branches_are_merged_past_what_was_dropped_between_them(
    repo: Repository, place: Path
) -> None:
    with repo.vst() as vst:
        vst["ours"] = vst["theirs"] = vst["both"] = "at first"
    repo.create_branch("kept", "main")
    edits(repo, "main", "both", 3)
    repo.create_branch("side", "main")
    edits(repo, "main", "ours", 6)
    edits(repo, "side", "theirs", 6)
    (place / ".helios/config").write_text(POLICY)
    assert repo.gc().snapshots == 11
    merge = repo.merge("main", "side")
    # The base is an older one than it was: what both had changed since, they have changed alike.
    assert not merge.conflicts
    merged = merge.commit("merged")
    expected = {"ours": b"main 5", "theirs": b"side 5", "both": b"main 2"}
    assert {path: repo.read(merged.id, path) for path in repo.vst(merged)} == expected
    assert repo.merge("main", "kept").outcome == "up-to-date"


def test_branches_whose_common_history_was_dropped_are_merged_as_strangers(
    repo: Repository, place: Path
) -> None:
    with repo.vst() as vst:
        vst["edited"] = vst["same"] = "at first"
    repo.create_branch("side", "main")
    edits(repo, "main", "edited", 4)
    edits(repo, "side", "theirs", 4)
    (place / ".helios/config").write_text(POLICY)
    repo.gc()
    merge = repo.merge("main", "side")
    assert [(each.path, each.reason) for each in merge.conflicts] == [("edited", "add/add")]
    assert merge.vst()["theirs"] == b"side 3"


def test_a_commit_that_follows_its_branch_says_that_its_base_was_dropped(
    repo: Repository, place: Path
) -> None:
    edits(repo, "main", "theirs", 3)
    late = repo.vst()
    late["mine"] = b"1"
    edits(repo, "main", "theirs", 6)
    (place / ".helios/config").write_text(POLICY)
    with Repository.open(place) as other:
        assert other.gc().snapshots == 7
        edits(other, "main", "theirs", 3)
        # By then nothing tells any more what the first one has deleted.
        assert other.gc().snapshots == 3
    with pytest.raises(errors.Collected, match=str(late.base)):
        late.commit(on_conflict="retry")
    assert late["mine"] == b"1"
    assert repo.verify().clean
