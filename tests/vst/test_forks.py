"""Forks go their own way; restore takes another snapshot's content."""

from __future__ import annotations

import pytest

from helios import Repository, errors


def test_a_fork_sees_what_is_written_before_it_and_nothing_after(repo: Repository) -> None:
    vst = repo.vst()
    vst["a"] = b"1"
    fork = vst.fork()
    vst["a"] = b"2"
    fork["b"] = b"3"
    assert {path: vst[path] for path in vst} == {"a": b"2"}
    assert {path: fork[path] for path in fork} == {"a": b"1", "b": b"3"}


def test_a_fork_without_a_branch_commits_and_moves_none(repo: Repository) -> None:
    with repo.vst() as vst:
        vst["a"] = b"1"
    main = repo.resolve("main")
    fork = vst.fork()
    assert fork.branch is None
    fork["a"] = b"2"
    made = fork.commit("side")
    assert made.parents == [main]
    assert repo.branches() == {"main": main}
    assert repo.read(made, "a") == b"2"


def test_a_fork_on_a_branch_makes_it_at_its_first_commit(repo: Repository) -> None:
    with repo.vst() as vst:
        vst["a"] = b"1"
    fork = vst.fork("agent/1")
    assert fork.branch == "agent/1"
    assert "agent/1" not in repo.branches()
    first = fork.commit()
    # Also without a change: the branch is what was asked for.
    assert repo.branches()["agent/1"] == first.id
    assert first.parents == [repo.resolve("main")]
    fork["a"] = b"2"
    second = fork.commit()
    assert repo.branches()["agent/1"] == second.id
    assert second.parents == [first.id]
    assert repo.read("main", "a") == b"1"


def test_a_fork_onto_an_existing_branch_is_refused(repo: Repository) -> None:
    with repo.vst() as vst:
        vst["a"] = b"1"
    with pytest.raises(errors.BranchExists, match="main"):
        vst.fork("main")
    with pytest.raises(errors.InvalidName):
        vst.fork("no good name")


def test_two_forks_onto_one_new_branch_conflict(repo: Repository) -> None:
    vst = repo.vst()
    vst["a"] = b"1"
    one, two = vst.fork("x"), vst.fork("x")
    one["a"] = b"one"
    first = one.commit()
    two["a"] = b"two"
    with pytest.raises(errors.BranchMoved) as caught:
        two.commit()
    assert (caught.value.branch, caught.value.expected) == ("x", None)
    assert caught.value.actual == first.id
    assert caught.value.snapshot is not None
    assert repo.read(caught.value.snapshot, "a") == b"two"


def test_a_fork_of_an_unborn_branch_shares_what_is_written(repo: Repository) -> None:
    vst = repo.vst()
    vst["a"] = b"1"
    made = vst.fork("other").commit()
    assert made.parents == []
    assert list(repo.branches()) == ["other"]


def test_many_forks_commit_side_by_side(repo: Repository) -> None:
    with repo.vst() as vst:
        for number in range(300):
            vst[f"d/{number}"] = b"%d" % number
    forks = [vst.fork(f"agent-{number}") for number in range(50)]
    for number, fork in enumerate(forks):
        fork[f"d/{number}"] = b"mine"
        fork.commit()
    for number in range(50):
        diff = repo.diff("main", f"agent-{number}")
        assert [change.path for change in diff.changed] == [f"d/{number}"]
        assert len(diff) == 1


def test_restore_takes_the_content_and_keeps_the_history(repo: Repository) -> None:
    vst = repo.vst()
    vst["a"] = b"1"
    first = vst.commit()
    vst["a"] = b"2"
    vst["b"] = b"new"
    second = vst.commit()
    vst["c"] = b"lost"
    vst.restore(first)
    assert {path: vst[path] for path in vst} == {"a": b"1"}
    third = vst.commit()
    assert third.parents == [second.id]
    assert third.tree_id == first.tree_id
    vst.restore(second.id)
    assert vst["b"] == b"new"


def test_restore_of_what_is_no_snapshot_changes_nothing(repo: Repository) -> None:
    vst = repo.vst()
    vst["a"] = b"1"
    for name in ("nothing", "ab" * 32):
        with pytest.raises(errors.UnknownRevision, match=name):
            vst.restore(name)
    assert vst["a"] == b"1"


def test_a_vst_over_a_snapshot_moves_no_branch(repo: Repository) -> None:
    vst = repo.vst()
    vst["a"] = b"1"
    first = vst.commit()
    vst["a"] = b"2"
    second = vst.commit()
    old = repo.vst(first)
    assert (old.branch, old.base) == (None, first.id)
    assert old["a"] == b"1"
    old["a"] = b"3"
    side = old.commit()
    assert side.parents == [first.id]
    assert repo.branches() == {"main": second.id}
