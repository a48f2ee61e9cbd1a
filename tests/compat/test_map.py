"""The map of a pack: what it weighs, and that what it leaves out is found again."""

from __future__ import annotations

import tarfile
from pathlib import Path

import pytest

from compat import small_objects
from compat.git_client import Git, needs_git
from helios import Repository
from helios._core import GitIngest, GitMap
from helios.git import import_repository, to_git
from helios.store.git.derived import Derived

pytestmark = needs_git

COMMITS = 1_500


@pytest.fixture
def small(tmp_path: Path, home: Path) -> Git:
    small_objects.make(tmp_path / "small.git", COMMITS)
    return Git(tmp_path / "small.git", home)


@pytest.fixture
def imported(small: Git, tmp_path: Path) -> Path:
    import_repository(small.directory, tmp_path / "imported", mirror=True)
    return tmp_path / "imported"


def tree_of(repository: Repository, revision: str) -> dict[str, bytes]:
    return {
        entry.path: repository.read(revision, entry.path)
        for entry in repository.entries(revision, recursive=True)
        if entry.kind == "file"
    }


def derived_of(repository: Repository) -> Derived:
    assert repository.derived is not None
    return repository.derived


def require_equal(repository: Repository, git: Git, revision: str, commit: str) -> None:
    ours = tree_of(repository, revision)
    lines = git.run("ls-tree", "-r", "--format=%(objectname) %(path)", commit).splitlines()
    theirs = {path: oid for oid, _, path in (line.partition(" ") for line in lines)}
    assert ours.keys() == theirs.keys()
    for path in list(ours)[::20]:
        assert ours[path] == (git.run("cat-file", "blob", theirs[path]) + "\n").encode()


def test_what_an_import_takes_is_within_a_quarter_of_the_packs(small: Git, imported: Path) -> None:
    taken = sum(path.lstat().st_size for path in imported.rglob("*") if path.is_file())
    assert taken < 1.25 * small_objects.packs_bytes(small.directory)


def test_ids_that_the_map_has_no_more_than_the_beginning_of(small: Git, imported: Path) -> None:
    with Repository.open(imported) as repository:
        log = list(repository.log("main"))
        assert len(log) == COMMITS
        commits = small.run("rev-list", "main").splitlines()
        assert [snapshot.metadata["git-commit"].decode() for snapshot in log] == commits
        begun = [row for row in derived_of(repository).find(commits) if row is not None]
        assert [row[5] for row in begun] == [snapshot.id for snapshot in log]
        for at in (0, 100, COMMITS - 1):
            require_equal(repository, small, log[at].id, commits[at])
        assert repository.resolve(log[7].id[:10]) == log[7].id
        assert repository.verify().clean
    with Repository.open(imported) as repository:
        trees = small.run("rev-parse", *(f"{commit}^{{tree}}" for commit in commits)).splitlines()
        rows = derived_of(repository).map.find(trees)
        assert any(row is not None and len(row[5]) < 64 for row in rows)
        found = [row[5] for row in derived_of(repository).find(trees) if row is not None]
        assert len(found) == COMMITS
        assert all(len(each) == 64 for each in found)


def test_what_comes_later_leads_to_what_the_map_has_the_beginning_of(
    small: Git, imported: Path
) -> None:
    # A tree that is there already, below a new commit and below a new tree.
    back = small.run("commit-tree", "-m", "back", "-p", "main~3", "main~200^{tree}")
    small.run("update-ref", "refs/heads/back", back)
    listing = f"040000 tree {small.run('rev-parse', 'main~300^{tree}')}\told\n"
    below = small.run("mktree", feed=listing)
    small.run("update-ref", "refs/heads/below", small.run("commit-tree", "-m", "b", below))
    import_repository(small.directory, imported)
    with Repository.open(imported) as repository:
        require_equal(repository, small, "back", "back")
        require_equal(repository, small, "below", "below")
        assert list(next(repository.log("back")).parents) == [repository.resolve("main~3")]
        assert repository.verify().clean


def test_a_view_that_was_repacked_is_taken_in_again(small: Git, imported: Path) -> None:
    with Repository.open(imported) as repository:
        before = [snapshot.id for snapshot in repository.log("main")]
    view = Git(imported / "git", small.home)
    view.run("update-ref", "refs/notes/x", view.run("commit-tree", "-m", "n", "main^{tree}"))
    packs = set((imported / "git" / "objects" / "pack").glob("*.idx"))
    # Differences that name what they differ from by its id, of which a clone has none.
    view.run("-c", "repack.useDeltaBaseOffset=false", "repack", "-adfq")
    assert packs.isdisjoint((imported / "git" / "objects" / "pack").glob("*.idx"))
    with Repository.open(imported) as repository:
        assert [snapshot.id for snapshot in repository.log("main")] == before
        require_equal(repository, small, "main~250", "main~250")
        assert repository.verify().clean
        empty = GitMap(str(imported / "nothing"), str(imported / "nothing"), 20)
        ingest = GitIngest(empty)
        assert ingest.list_packs(str(imported / "git" / "objects"))
        lines = view.run("cat-file", "--batch-all-objects", "--batch-check").splitlines()
        for kind, name in enumerate(("blob", "tree", "commit"), 1):
            listed = ingest.wanted(kind, reversed=False).decode().split()
            assert sorted(listed) == [line.split()[0] for line in lines if f" {name} " in line]


def test_a_view_of_version_1_of_the_map_is_read_and_goes_on(tmp_path: Path, home: Path) -> None:
    """44 commits of small objects were imported; on top is a snapshot that was written to git."""
    with tarfile.open(Path(__file__).parents[1] / "data" / "git-view-1.tar.gz") as archive:
        archive.extractall(tmp_path, filter="data")
    place = tmp_path / "git-view"
    assert {path.suffix for path in (place / "git" / "helios" / "map").iterdir()} == {
        ".map",
        ".rows",
    }
    native = "45acac163b31b1de9eccff2ac305b0fee7aa91a6ff363c478689296f47039e95"
    with Repository.open(place) as repository:
        log = [snapshot.id for snapshot in repository.log("main")]
        assert len(log) == 45
        assert log[0] == native
        assert log[1] == "ccc9181ee9eaddc0bcb2ed8702823f60c4e935aa41663a4ba89284cee6c1ecb5"
        assert log[44] == "ccb76580ff22f83020358f01ad435711c4ce7511afb09eb6fad5947a80a031e6"
        assert to_git(repository, native) == "0dd4246d0ca90181a5f38342a3b7146e250b0cab"
        for at in (1, 20, 44):
            require_equal(repository, Git(place / "git", home), log[at], f"0dd4246d~{at}")
        with repository.vst("main") as vst:
            vst["later"] = b"later\n"
        written = to_git(repository, "main")
        assert Git(place / "git", home).run("rev-parse", f"{written}~1").startswith("0dd4246d")
        assert repository.verify().clean
