"""Import and export: every byte of every object, and what Helios makes of it."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from compat.git_client import Git, needs_git
from compat.odd_objects import OddRepository, objects, references
from helios import Repository, errors
from helios.git import export_repository, from_git, import_repository, to_git

pytestmark = needs_git


@pytest.fixture(params=["sha1", "sha256"])
def odd(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    return OddRepository(tmp_path / "odd.git", request.param).directory


@pytest.fixture
def mirror(odd: Path, tmp_path: Path) -> Repository:
    import_repository(odd, tmp_path / "mirror", mirror=True)
    return Repository.open(tmp_path / "mirror")


def test_every_object_and_ref_comes_back(odd: Path, mirror: Repository, tmp_path: Path) -> None:
    export_repository(mirror, tmp_path / "exported.git")
    assert references(tmp_path / "exported.git") == references(odd)
    assert objects(tmp_path / "exported.git") == objects(odd)


def test_everything_odd_can_be_read_in_helios(mirror: Repository) -> None:
    with mirror:
        branches = mirror.branches()
        assert len(branches) > 40
        for name in branches:
            for entry in mirror.entries(f"heads/{name}", recursive=True):
                if entry.kind not in {"directory", "submodule"}:
                    assert len(mirror.read(f"heads/{name}", os.fsencode(entry.path))) == entry.size
        assert [entry.path for entry in mirror.entries("odd/dots")] == []
        assert [entry.path for entry in mirror.entries("odd/slash")] == []
        assert mirror.entry("odd/twice", "x").kind == "file"
        assert len(mirror.entries("odd/wide")) == 1000
        assert mirror.verify().clean
        assert next(mirror.log("odd/no-author")).author == ""


def test_a_mirror_follows_its_source(odd: Path, mirror: Repository, tmp_path: Path) -> None:
    mirror.close()
    git = Git(odd, tmp_path)
    git.run("update-ref", "-d", "refs/heads/odd/wide")
    git.run("update-ref", "refs/heads/new", "refs/heads/odd/deep")
    done = import_repository(odd, tmp_path / "mirror")
    assert [name for name, _, _ in done.taken.changes] == ["heads/odd/wide", "heads/new"]
    with Repository.open(tmp_path / "mirror") as repository:
        assert repository.branch("odd/wide") is None
        export_repository(repository, tmp_path / "exported.git")
        repository.undo(done.taken.operation)
        assert repository.branch("odd/wide") is not None
        assert export_repository(repository, tmp_path / "exported.git").moved == 2
    assert b"refs/heads/odd/wide" in references(tmp_path / "exported.git")


def test_the_files_of_an_import_are_those_of_a_checkout(source: Git, tmp_path: Path) -> None:
    done = import_repository(source.directory, tmp_path / "in")
    assert (done.branch, done.warnings) == ("main", [])
    for name in source.run("ls-files").splitlines():
        assert (tmp_path / "in" / name).read_bytes() == (source.directory / name).read_bytes()
    with Repository.open(tmp_path / "in") as repository:
        assert not repository.worktree.status().diff
        listed = [snapshot.metadata["git-commit"].decode() for snapshot in repository.log()]
        assert set(listed) == set(source.run("rev-list", "main").splitlines())
        assert to_git(repository, "main") == source.id("main")
        assert from_git(repository, "topic") == repository.branch("topic")
        assert set(repository.tags()) == {"light", "v1"}


def grown(root: Path) -> Repository:
    """A repository that was born in Helios, with what git has no notion of."""
    repository = Repository.init(root)
    with repository.vst("main") as vst:
        for number in range(300):
            vst[f"wide/{number}"] = f"{number}\n" * 20
        vst.write("run", "#!/bin/sh\n", executable=True)
        vst.write("link", "run", symlink=True)
        vst["wide.txt"] = vst["wide-a"] = "sorted otherwise by git\n"
        vst.mkdir("void/void")
        vst[".git/config"] = "left out"
    for number in range(60):
        vst = repository.vst("main")
        vst[f"wide/{number}"] = f"changed {number}\n" + f"{number}\n" * 20
        vst.commit(f"edit {number}", author="Ada <ada@example.org>")
    return repository


@pytest.mark.parametrize("object_format", ["sha1", "sha256"])
def test_what_was_born_in_helios_is_sound_in_git(tmp_path: Path, object_format: str) -> None:
    from helios.git import view

    with grown(tmp_path / "in") as repository:
        view.of_or_make(repository, object_format)
        export_repository(repository, tmp_path / "out.git")
        git = Git(tmp_path / "out.git", tmp_path)
        assert git.ask("fsck", "--strict", "--full").err == ""
        oid = git.id("main")
        assert to_git(repository, "main") == oid
        assert from_git(repository, oid) == repository.branch("main")
        assert git.run("rev-list", "--count", "main") == "61"
        listed = git.run("ls-tree", "-r", "--name-only", "main").splitlines()
        ours = [entry.path for entry in repository.entries("main", recursive=True)]
        assert sorted(listed) == sorted(
            path for path in ours if path.split("/")[0] not in {".git", "void", "wide"}
        ) + sorted(path for path in ours if path.startswith("wide/"))
        # What changes later is one more pack, and the same commits below it.
        vst = repository.vst("main")
        vst["more"] = "more\n"
        vst.commit("more")
        assert export_repository(repository, tmp_path / "out.git").moved == 1
        assert git.id("main~1") == oid
        assert git.ask("fsck", "--strict", "--full").err == ""


def test_gc_and_verify_beside_what_is_derived(source: Git, tmp_path: Path) -> None:
    import_repository(source.directory, tmp_path / "in")
    with Repository.open(tmp_path / "in") as repository:
        before = repository.branch("main")
        vst = repository.vst("main")
        vst["src/a.py"] = vst["src/a.py"] + b"a = 3\n"
        native = vst.commit("a native one")
        assert repository.gc().snapshots == 0
        assert repository.verify().clean
        export_repository(repository, tmp_path / "out.git")
        repository.gc()
        repository.maintenance()
        assert repository.verify().clean
    with Repository.open(tmp_path / "in") as repository:
        assert repository.snapshot("main").parents == [before]
        assert repository.read("main", "src/a.py") == b"a = 2\na = 3\n"
        assert repository.snapshot(native.id[:12]).id == native.id
        assert repository.resolve(str(before)[:12]) == before


def test_damage_beside_the_store_is_told(source: Git, tmp_path: Path) -> None:
    import_repository(source.directory, tmp_path / "in")
    segment = next((tmp_path / "in/.helios/git/helios/map").glob("*.map"))
    content = bytearray(segment.read_bytes())
    content[100] ^= 1
    segment.chmod(0o644)
    segment.write_bytes(content)
    with Repository.open(tmp_path / "in") as repository:
        assert not repository.verify().clean
    segment.write_bytes(content[:-1])
    with (
        Repository.open(tmp_path / "in") as repository,
        pytest.raises(errors.Corruption, match=r"\.map"),
    ):
        repository.read("main", "README")


def test_without_git_the_rest_works(source: Git, tmp_path: Path) -> None:
    import_repository(source.directory, tmp_path / "in")
    Repository.init(tmp_path / "plain").close()
    scripts = Path(sys.executable).parent

    def run(directory: str, *arguments: str) -> subprocess.CompletedProcess[str]:
        return subprocess.run(
            [str(scripts / "helios-cli"), "-C", str(tmp_path / directory), *arguments],
            env={"PATH": "/nonexistent", "HOME": str(tmp_path / "home")},
            capture_output=True,
            text=True,
            check=False,
        )

    (tmp_path / "plain/file").write_text("x")
    assert run("plain", "commit", "-m", "x").returncode == 0
    assert run("plain", "log").returncode == 0
    assert run("plain", "verify").returncode == 0
    for directory, arguments in {
        "in": ["log"],
        "plain": ["git", "export", "../out.git"],
        ".": ["git", "import", str(source.directory), "again"],
    }.items():
        done = run(directory, *arguments)
        assert (done.returncode, "git is not installed" in done.stderr) == (11, True), done.stderr
    assert not (tmp_path / "again").exists()


def test_an_import_that_fails_leaves_nothing(tmp_path: Path, source: Git) -> None:
    with pytest.raises(errors.GitFailed, match="clone"):
        import_repository(tmp_path / "nowhere", tmp_path / "in")
    assert not (tmp_path / "in").exists()
    (tmp_path / "in").mkdir()
    (tmp_path / "in/mine").write_text("kept")
    with pytest.raises(errors.TargetNotEmpty):
        import_repository(source.directory, tmp_path / "in")
    with Repository.init(tmp_path / "native") as repository, pytest.raises(errors.TargetNotEmpty):
        export_repository(repository, tmp_path / "in")
    assert os.listdir(tmp_path / "in") == ["mine"]


def test_an_empty_repository_moves_both_ways(tmp_path: Path) -> None:
    empty = Git(tmp_path / "empty", tmp_path).init("--bare", "-b", "trunk")
    import_repository(empty.directory, tmp_path / "in", mirror=True)
    with Repository.open(tmp_path / "in") as repository:
        assert (repository.root, repository.head) == (None, "trunk")
        export_repository(repository, tmp_path / "out.git")
    assert references(tmp_path / "out.git") == references(empty.directory)


def test_a_blob_longer_than_any_stored_in_one_piece_is_read(tmp_path: Path, source: Git) -> None:
    (source.directory / "large").write_bytes(bytes(65 << 20) + b"end")
    source.run("add", "large")
    source.run("commit", "--quiet", "--message", "large")
    done = import_repository(source.directory, tmp_path / "in")
    assert done.warnings == []
    assert (tmp_path / "in/large").stat().st_size == (65 << 20) + 3
    with Repository.open(tmp_path / "in") as repository:
        assert repository.read("main", "large").endswith(b"\0end")
        (tmp_path / "in/large").write_bytes(b"\1" + bytes(65 << 20))
        repository.worktree.commit("changed")
        git = Git(tmp_path / "out.git", tmp_path)
        export_repository(repository, git.directory)
        assert git.run("cat-file", "-s", "main:large") == str((65 << 20) + 1)
