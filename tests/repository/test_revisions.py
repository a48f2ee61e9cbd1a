"""Branches, and all the ways to name a snapshot."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from helios import Repository, errors


@pytest.fixture(params=["memory", "disk", "moved to L2"])
def repo(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Repository]:
    """Three commits on `main`; each wrote its number."""
    memory = request.param == "memory"
    with Repository.memory() if memory else Repository.init(tmp_path) as made:
        vst = made.vst()
        for number in range(3):
            vst["number"] = b"%d" % number
            vst.commit(f"{number}")
        if request.param == "moved to L2":
            made.maintenance()
        yield made


def test_a_snapshot_is_named_by_id_prefix_branch_and_steps_back(repo: Repository) -> None:
    third, second, first = repo.log("main")
    for name, snapshot in {
        "main": third,
        "@": third,
        third.id: third,
        third.id.upper(): third,
        third.id[:4]: third,
        third.id[:63].upper(): third,
        "main~": second,
        "main~1": second,
        "@~2": first,
        "main~~": first,
        "main~1~1": first,
        f"{third.id[:10]}~2": first,
        "main~0": third,
    }.items():
        assert repo.resolve(name) == snapshot.id, name
        assert repo.snapshot(name) == snapshot
        assert repo.vst(name)["number"] == snapshot.message.encode()
        assert next(repo.log(name)) == snapshot
        assert not repo.diff(name, snapshot)
    assert repo.resolve(second) == second.id


@pytest.mark.parametrize(
    "name",
    [
        "",
        "nothing",
        "abc",
        "0000000",
        "ab" * 32,
        "AB" * 32,
        "ab" * 32 + "~1",
        "main~3",
        "main~x",
        "main~-1",
        "main~1x",
        "main~" + "9" * 5000,
        "~1",
        "main ",
        "-main",
        "main/",
        "\udcff",
        "a\0b",
        "main~\u0663",
    ],
)
def test_a_name_of_nothing_is_an_unknown_revision(repo: Repository, name: str) -> None:
    for call in (repo.resolve, repo.snapshot, repo.vst, lambda n: next(repo.log(n))):
        with pytest.raises(errors.UnknownRevision) as caught:
            call(name)
        assert isinstance(caught.value, LookupError)
        assert len(str(caught.value)) < 200


def test_an_id_of_something_else_is_an_unknown_revision(repo: Repository) -> None:
    snapshot = repo.snapshot("main")
    with pytest.raises(errors.UnknownRevision, match="is a tree, not a snapshot"):
        repo.snapshot(snapshot.tree_id)
    with pytest.raises(errors.UnknownRevision):
        repo.snapshot(snapshot.tree_id[:10])


@pytest.mark.parametrize("revision", [3, None, b"main"])
def test_another_type_is_a_type_error(repo: Repository, revision: object) -> None:
    with pytest.raises(TypeError, match="a revision is a str or a Snapshot"):
        repo.resolve(revision)  # type: ignore[arg-type]
    with pytest.raises(TypeError):
        repo.vst(revision)  # type: ignore[arg-type]


def test_an_ambiguous_prefix_names_what_it_fits() -> None:
    with Repository.memory() as repo:
        vst = repo.vst()
        seen: dict[str, str] = {}
        for number in range(5000):
            made = vst.commit(allow_empty=True, time_us=number).id
            other = seen.setdefault(made[:4], made)
            if other != made:
                break
        else:
            pytest.fail("5000 ids without two that share 4 digits")
        common = next(n for n in range(4, 64) if made[: n + 1] != other[: n + 1])
        for _ in range(2):
            with pytest.raises(errors.AmbiguousRevision, match="2 snapshots") as caught:
                repo.resolve(made[:4])
            assert made[:12] in str(caught.value)
            assert other[:12] in str(caught.value)
            assert repo.resolve(made[: common + 1]) == made
            assert repo.resolve(other[: common + 1]) == other
            # One of the two, or both, in L2 and in the journal makes no difference.
            repo.maintenance()


def test_a_branch_whose_name_reads_as_a_prefix_is_the_branch(repo: Repository) -> None:
    third, _, first = repo.log("main")
    name = third.id[:6]
    repo.create_branch(name, first)
    assert repo.resolve(name) == first.id


def test_an_unborn_branch_has_no_snapshot() -> None:
    with Repository.memory() as repo:
        for name in ("main", "@", "@~1"):
            with pytest.raises(errors.UnknownRevision):
                repo.snapshot(name)
        assert list(repo.vst()) == []
        with pytest.raises(errors.UnknownRevision):
            repo.vst("other")
        with pytest.raises(errors.UnknownRevision):
            repo.create_branch("x")


def test_branches_are_made_listed_and_deleted(repo: Repository) -> None:
    third, second, _ = repo.log("main")
    assert repo.create_branch("feature/x") == third.id
    assert repo.create_branch("old", "main~1") == second.id
    assert repo.branches() == {"feature/x": third.id, "main": third.id, "old": second.id}
    with pytest.raises(errors.BranchExists):
        repo.create_branch("old")
    assert repo.delete_branch("old") == second.id
    assert "old" not in repo.branches()
    with pytest.raises(errors.UnknownRevision):
        repo.delete_branch("old")
    assert repo.snapshot(second.id) == second
    repo.maintenance()
    assert sorted(repo.branches()) == ["feature/x", "main"]
    with pytest.raises(errors.UnknownRevision):
        repo.vst("old")
    assert repo.create_branch("old", second) == second.id


def test_the_branch_of_the_worktree_cannot_be_deleted(tmp_path: Path) -> None:
    with Repository.init(tmp_path) as repo, repo.vst() as vst:
        vst["a"] = b"1"
    with Repository.open(tmp_path) as repo:
        with pytest.raises(errors.Refused, match="switch"):
            repo.delete_branch("main")
        assert "main" in repo.branches()


@pytest.mark.parametrize(
    "name", ["", "a b", "a~1", "a..b", "@", "-x", "x.lock", ".x", "x/", "/x", "f" * 64, "x" * 256]
)
def test_a_bad_name_is_no_branch(repo: Repository, name: str) -> None:
    with pytest.raises(errors.InvalidName, match="invalid branch name"):
        repo.create_branch(name)
    assert list(repo.branches()) == ["main"]


def test_the_log_is_newest_first_each_once_and_can_be_cut(repo: Repository) -> None:
    assert [snapshot.message for snapshot in repo.log()] == ["2", "1", "0"]
    assert [snapshot.message for snapshot in repo.log("main~1")] == ["1", "0"]
    assert [snapshot.message for snapshot in repo.log(limit=2)] == ["2", "1"]
    assert list(repo.log(limit=0)) == []


def test_the_log_follows_parents_also_when_clocks_are_wrong() -> None:
    with Repository.memory() as repo:
        vst = repo.vst()
        for number, time_us in enumerate([500, 100, 300, 300, -7]):
            vst.commit(f"{number}", allow_empty=True, time_us=time_us)
        assert [snapshot.message for snapshot in repo.log()] == ["4", "3", "2", "1", "0"]


def test_a_conflict_names_both_snapshots_and_keeps_the_losers(repo: Repository) -> None:
    base = repo.resolve("main")
    winner, loser = repo.vst(), repo.vst()
    winner["a"] = b"winner"
    loser["a"] = b"loser"
    first = winner.commit()
    kept = []
    for _ in range(2):
        with pytest.raises(errors.BranchMoved, match="your snapshot") as caught:
            loser.commit("mine")
        error = caught.value
        assert (error.branch, error.expected, error.actual) == ("main", base, first.id)
        assert error.snapshot is not None
        kept.append(repo.snapshot(error.snapshot))
        assert (kept[-1].message, kept[-1].parents) == ("mine", [base])
        assert repo.read(kept[-1], "a") == b"loser"
    assert repo.resolve("main") == first.id
    repo.maintenance()
    assert repo.read(kept[0], "a") == b"loser"
    assert repo.create_branch("mine", kept[0]) == kept[0].id


def test_a_branch_that_was_deleted_or_made_meanwhile_is_a_conflict(repo: Repository) -> None:
    repo.create_branch("x")
    vst = repo.vst("x")
    repo.delete_branch("x")
    vst["a"] = b"1"
    with pytest.raises(errors.BranchMoved) as caught:
        vst.commit()
    assert caught.value.actual is None
    fork = vst.fork("y")
    repo.create_branch("y", "main~1")
    with pytest.raises(errors.BranchMoved) as caught:
        fork.commit()
    assert (caught.value.expected, caught.value.actual) == (None, repo.resolve("main~1"))
