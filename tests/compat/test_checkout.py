"""A Helios repository beside a git checkout: `init --git`, `git commit`, `git status`."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from compat.git_client import Git, needs_git
from helios import Repository
from helios.errors import Refused, Usage
from helios.git import checkout

pytestmark = needs_git


@pytest.fixture
def project(tmp_path: Path, home: Path, monkeypatch: pytest.MonkeyPatch) -> Git:
    """A git checkout with ignored files and something staged."""
    git = Git(tmp_path / "project", home).init()
    git.commit("a", "one\n")
    git.commit(".gitignore", "*.log\nbuild/\n")
    (git.directory / "build").mkdir()
    (git.directory / "build/out").write_text("built\n")
    (git.directory / "x.log").write_text("log\n")
    for name, value in git.environment().items():
        if name.startswith("GIT_") or name == "HOME":
            monkeypatch.setenv(name, value)
    return git


@pytest.fixture
def beside(project: Git) -> Repository:
    repository = Repository.init(project.directory, author="Eve <eve@example.org>")
    checkout.init(repository)
    return repository


def state(git: Git) -> dict[str, bytes]:
    """All files of git's own directory."""
    directory = git.directory / ".git"
    return {str(path): path.read_bytes() for path in directory.rglob("*") if path.is_file()}


def test_git_and_the_files_stay_as_they_are(project: Git) -> None:
    (project.directory / "staged").write_text("staged\n")
    project.run("add", "staged")
    (project.directory / "a").write_text("edited\n")
    said = project.run("status", "--porcelain")
    before = state(project)
    with Repository.init(project.directory) as repository:
        checkout.init(repository)
        repository.worktree.commit("snapshot")
        repository.restore("main")
    assert state(project) == before
    assert project.run("status", "--porcelain") == said
    assert (project.directory / "build/out").read_text() == "built\n"


def test_a_directory_without_git_is_refused(tmp_path: Path, home: Path) -> None:
    Git(tmp_path / "outer", home).init()
    inner = tmp_path / "outer" / "inner"
    inner.mkdir()
    with Repository.init(inner) as repository, pytest.raises(Refused, match="not the root"):
        checkout.init(repository)


def test_a_snapshot_becomes_one_commit(project: Git, beside: Repository) -> None:
    head = project.id("HEAD")
    with beside as repository:
        for number in range(3):
            (project.directory / "a").write_text(f"{number}\n")
            (project.directory / f"new-{number}").write_text("new\n")
            repository.worktree.commit(f"step {number}")
        done = checkout.commit(repository, "@", "all three\n\nin one")
    assert done.created
    assert not done.index_kept
    assert done.branch == "refs/heads/main"
    assert project.id("HEAD") == done.commit
    assert project.id("HEAD~1") == head
    assert project.run("log", "-1", "--format=%B%an") == "all three\n\nin one\nAda"
    assert project.run("status", "--porcelain") == ""
    assert project.run("show", "HEAD:a") == "2"
    project.run("fsck", "--strict")


def test_an_older_snapshot_leaves_the_disk_as_it_is(project: Git, beside: Repository) -> None:
    with beside as repository:
        (project.directory / "a").write_text("older\n")
        repository.worktree.commit("older")
        (project.directory / "a").write_text("newer\n")
        repository.worktree.commit("newer")
        checkout.commit(repository, "main~1")
    assert project.run("show", "HEAD:a") == "older"
    assert project.run("log", "-1", "--format=%s") == "older"
    assert (project.directory / "a").read_text() == "newer\n"
    assert project.run("status", "--porcelain") == "M a"


def test_the_checkout_needs_nothing_of_helios(project: Git, beside: Repository) -> None:
    with beside as repository:
        (project.directory / "a").write_text("two\n")
        repository.worktree.commit("two")
        checkout.commit(repository, "@")
    os.rename(project.directory / ".helios", project.directory.parent / "gone")
    project.run("fsck", "--full", "--strict")
    assert project.run("show", "HEAD:a") == "two"


def test_helios_needs_nothing_of_the_checkout(project: Git, beside: Repository) -> None:
    with beside as repository:
        repository.worktree.commit("one")
        checkout.commit(repository, "@", "one", allow_empty=True)
        os.rename(project.directory / ".git", project.directory.parent / "gone")
        assert repository.verify().clean
        assert repository.read("main", "a") == b"one\n"


def test_nothing_new_is_no_commit(project: Git, beside: Repository) -> None:
    head = project.id("HEAD")
    with beside as repository:
        repository.worktree.commit("same")
        done = checkout.commit(repository, "@")
        assert (done.created, done.commit) == (False, head)
        assert project.id("HEAD") == head
        assert checkout.commit(repository, "@", allow_empty=True).created
    assert project.id("HEAD~1") == head


def test_what_git_tracks_and_helios_leaves_out_stays(
    project: Git, beside: Repository, tmp_path: Path
) -> None:
    inner = project.at(tmp_path / "inner").init()
    inner.commit("file", "inner\n")
    project.run("add", "--force", "x.log")
    settings = project.at(project.directory)
    settings.settings = ["-c", "protocol.file.allow=always"]
    settings.run("submodule", "--quiet", "add", str(inner.directory), "sub")
    project.run("commit", "--quiet", "-m", "a log and a submodule")
    (project.directory / ".heliosignore").write_text("secret\n")
    (project.directory / "secret").write_text("tracked\n")
    project.run("add", ".")
    project.run("commit", "--quiet", "-m", "more")
    before = project.run("ls-tree", "-r", "HEAD")
    with beside as repository:
        (project.directory / "b").write_text("b\n")
        repository.worktree.commit("b")
        checkout.commit(repository, "@")
    after = project.run("ls-tree", "-r", "HEAD").splitlines()
    assert [line for line in after if not line.endswith("\tb")] == before.splitlines()
    assert project.run("status", "--porcelain") == ""


def test_what_else_is_staged_stays_staged(project: Git, beside: Repository) -> None:
    with beside as repository:
        (project.directory / "a").write_text("two\n")
        repository.worktree.commit("two")
        (project.directory / "other").write_text("other\n")
        project.run("add", "other")
        assert not checkout.commit(repository, "@").index_kept
        assert project.run("diff", "--cached", "--name-only") == "other"
        # The same path, staged with another content: the index is left alone.
        (project.directory / "a").write_text("three\n")
        repository.worktree.commit("three")
        (project.directory / "a").write_text("staged\n")
        project.run("add", "a")
        assert checkout.commit(repository, "main").index_kept
    assert project.run("show", ":a") == "staged"
    assert project.run("show", "HEAD:a") == "three"


def test_an_unborn_branch_gets_its_first_commit(tmp_path: Path, project: Git) -> None:
    git = project.at(tmp_path / "unborn").init()
    with Repository.init(git.directory) as repository:
        checkout.init(repository)
        (git.directory / "a").write_text("a\n")
        repository.worktree.commit("first")
        done = checkout.commit(repository, "@")
    assert git.run("rev-list", "HEAD") == done.commit
    assert git.run("status", "--porcelain") == ""


def test_a_detached_head_moves_alone(project: Git, beside: Repository) -> None:
    main = project.id("main")
    project.run("checkout", "--quiet", "--detach")
    with beside as repository:
        (project.directory / "a").write_text("two\n")
        repository.worktree.commit("two")
        done = checkout.commit(repository, "@")
    assert done.branch is None
    assert project.id("HEAD") == done.commit
    assert project.id("main") == main


def test_sha256_checkouts(tmp_path: Path, project: Git) -> None:
    git = project.at(tmp_path / "long").init("--object-format=sha256")
    with Repository.init(git.directory) as repository:
        checkout.init(repository)
        (git.directory / "a").write_text("a\n")
        repository.worktree.commit("first")
        assert len(checkout.commit(repository, "@").commit) == 64


def test_a_commit_needs_a_message(project: Git, beside: Repository) -> None:
    head = project.id("HEAD")
    with beside as repository:
        (project.directory / "a").write_text("two\n")
        repository.worktree.commit()
        with pytest.raises(Usage, match="-m"):
            checkout.commit(repository, "@")
    assert project.id("HEAD") == head
