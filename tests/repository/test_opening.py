"""Making, finding and opening repositories, and the ones that cannot be."""

from __future__ import annotations

import os
import pickle
import tarfile
from pathlib import Path
from typing import Literal

import pytest

from helios import Repository, errors
from repository import workers


def test_init_makes_the_directory_and_an_unborn_branch(place: Path) -> None:
    with Repository.init(place / "deep") as repo:
        assert repo.root == str(place / "deep")
        assert repo.directory == str(place / "deep" / ".helios")
        assert repo.writable
        assert repo.branches() == {}
        assert repo.worktree.branch == "main"


def test_init_where_there_is_one_opens_it(place: Path) -> None:
    with Repository.init(place) as repo, repo.vst() as vst:
        vst["a"] = b"1"
    with Repository.init(place) as again:
        assert again.read("main", "a") == b"1"


@pytest.mark.parametrize("kind", [str, os.fsencode, Path])
def test_places_are_str_bytes_or_pathlike(place: Path, kind: type) -> None:
    given = kind(str(place))
    Repository.init(given).close()
    Repository.open(given).close()
    Repository.discover(given).close()


def test_a_place_whose_name_is_not_utf_8_can_be_used(tmp_path: Path) -> None:
    place = os.fsencode(tmp_path) + b"/\xff\n"
    with Repository.init(place) as repo:
        Path(os.fsdecode(place), "f").write_bytes(b"1")
        made = repo.worktree.commit().snapshot
        assert repo.maintenance().objects > 0
    with Repository.open(place) as repo:
        assert repo.stats()["journal"]["objects"] == 0
        assert repo.read(made, "f") == b"1"


@pytest.mark.parametrize("root", ["/", "~"])
def test_the_home_directory_and_the_root_are_refused(root: str) -> None:
    import pwd

    home = pwd.getpwuid(os.getuid()).pw_dir
    with pytest.raises(errors.Refused, match="force"):
        Repository.init(home if root == "~" else root)


def test_the_root_by_another_name_is_refused_too(tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to("/")
    for name in ("link", "link/usr/.."):
        with pytest.raises(errors.Refused):
            Repository.init(tmp_path / name)


def test_discover_looks_upwards(repo: Repository, place: Path) -> None:
    (place / "a" / "b").mkdir(parents=True)
    for start in (place, place / "a" / "b"):
        with Repository.discover(start) as found:
            assert found.root == repo.root
    with Repository.init(place / "a") as inner, Repository.discover(place / "a" / "b") as found:
        assert found.root == inner.root


def test_where_there_is_none_it_is_said_how_to_make_one(tmp_path: Path) -> None:
    for call in (Repository.open, Repository.discover):
        with pytest.raises(errors.NotARepository, match="helios-cli init") as caught:
            call(tmp_path / "nothing" / "here")
        assert isinstance(caught.value, FileNotFoundError)


@pytest.mark.parametrize("call", [Repository.init, Repository.open, Repository.discover])
def test_a_nul_byte_in_a_place_is_an_invalid_path(call: object) -> None:
    with pytest.raises(errors.InvalidPath, match="NUL"):
        call("a\0b")  # type: ignore[operator]


def test_a_file_in_the_place_of_the_directory_is_a_storage_error(tmp_path: Path) -> None:
    (tmp_path / "file").write_bytes(b"")
    with pytest.raises(errors.StorageError):
        Repository.init(tmp_path / "file")
    (tmp_path / ".helios").write_bytes(b"")
    with pytest.raises(errors.StorageError):
        Repository.init(tmp_path)
    assert sorted(os.listdir(tmp_path)) == [".helios", "file"]


def test_processes_that_init_at_once_make_one_repository(place: Path) -> None:
    started = [workers.start("init_at_once", place) for _ in range(4)]
    for process in started:
        assert process.stdout is not None
        assert process.stdout.readline() == "ready\n"
    ids = []
    for process in started:
        with process:
            ids.append(process.communicate("go\n", timeout=60)[0].strip())
        assert process.returncode == 0
    with Repository.open(place) as repo:
        assert sorted(repo.branches().values()) == sorted(ids)
    assert os.listdir(place) == [".helios"]


def test_a_repository_in_memory_has_no_worktree() -> None:
    with Repository.memory(author="Ada") as repo:
        assert (repo.root, repo.directory) == (None, None)
        assert repo.writable
        with pytest.raises(errors.Refused, match="vst"):
            _ = repo.worktree
        with repo.vst() as vst:
            vst["a"] = b"1"
        assert repo.snapshot().author == "Ada"
        repo.maintenance()
        assert repo.read("main", "a") == b"1"


def test_repositories_in_memory_share_nothing() -> None:
    one, two = Repository.memory(), Repository.memory()
    with one.vst() as vst:
        vst["a"] = b"1"
    assert two.branches() == {}


def test_an_unknown_durability_is_a_value_error(place: Path) -> None:
    with pytest.raises(ValueError, match="durability"):
        Repository.init(place, durability="none")  # type: ignore[arg-type]


@pytest.mark.parametrize("durability", ["process", "disk"])
def test_every_durability_keeps_commits(
    place: Path, durability: Literal["process", "disk"]
) -> None:
    with Repository.init(place, durability=durability) as repo:
        vst = repo.vst()
        for number in range(20):
            vst["a"] = b"%d" % number * 50_000
            vst.commit()
    both: tuple[Literal["process"], Literal["disk"]] = ("process", "disk")
    for other in both:
        with Repository.open(place, durability=other) as repo:
            assert [len(repo.read(s, "a")) for s in repo.log("main")][-1] == 50_000
            vst = repo.vst()
            vst["b"] = other
            vst.commit()
            assert sum(1 for _ in repo.log("main")) >= 21


def test_a_journal_that_cannot_be_locked_is_read_only(repo: Repository, place: Path) -> None:
    with repo.vst() as vst:
        vst["a"] = b"1"
    (place / "file").write_bytes(b"other")
    lock = place / ".helios" / "journal" / "lock"
    lock.unlink()
    lock.mkdir()
    with Repository.open(place) as reader:
        assert not reader.writable
        assert reader.read("main", "a") == b"1"
        assert [change.path for change in reader.worktree.status().diff.added] == ["file"]
        assert reader.stats()["journal"]["objects"] == 3
        vst = reader.vst()
        vst["a"] = b"2"
        for call in (
            vst.commit,
            lambda: reader.create_branch("x"),
            reader.worktree.commit,
            lambda: reader.restore("main"),
            reader.maintenance,
        ):
            with pytest.raises(errors.ReadOnlyRepository) as caught:
                call()
            assert isinstance(caught.value, PermissionError)
    assert (place / "file").read_bytes() == b"other"


def test_what_is_in_l2_is_read_where_nothing_may_be_written(repo: Repository, place: Path) -> None:
    if os.geteuid() == 0:
        pytest.skip("root may write everywhere; for it, the store's tests see that nothing is")
    with repo.vst() as vst:
        vst["a"] = b"1" * 1000
    repo.maintenance()
    with repo.vst() as vst:
        vst["b"] = b"2"
    paths = [place, *place.rglob("*")]
    modes = [path.stat().st_mode for path in paths]
    for path, mode in zip(paths, modes, strict=True):
        path.chmod(mode & ~0o222)
    try:
        with Repository.open(place) as reader:
            assert not reader.writable
            assert reader.read("main", "a") == b"1" * 1000
            assert reader.read("main", "b") == b"2"
    finally:
        for path, mode in zip(paths, modes, strict=True):
            path.chmod(mode)


def test_a_repository_of_version_1_is_read_and_written_and_collected(place: Path) -> None:
    """It was made by a Helios that wrote version 1; its first gc makes it one of today's."""
    place.mkdir()
    with tarfile.open(Path(__file__).parents[1] / "data" / "version-1.tar.gz") as archive:
        archive.extractall(place, filter="data")
    version = place / ".helios" / "format"
    with Repository.open(place) as repo:
        assert [snapshot.message for snapshot in repo.log("main")] == [
            "commit 2",
            "commit 1",
            "commit 0",
        ]
        assert repo.read("main~2", "a") == b"line\n" * 40 + b"0\n"
        with repo.vst() as vst:
            vst["c"] = b"new"
        assert version.read_bytes() == b"helios 1\n"
        config = place / ".helios" / "config"
        config.write_text('[retention]\nkeep-last = 2\ngrace = "0s"\nundo = "0s"\n')
        assert repo.gc().kept_snapshots == 2
        assert version.read_bytes() == b"helios 3\n"
        assert repo.read("main~1", "d/b") == b"2"


@pytest.mark.parametrize("version", [4, 99999])
def test_a_newer_format_is_refused(repo: Repository, place: Path, version: int) -> None:
    assert repo.directory is not None
    (place / ".helios" / "format").write_text(f"helios {version}\n")
    for call in (Repository.open, Repository.init, Repository.discover):
        with pytest.raises(errors.FormatTooNew, match="upgrade"):
            call(place)


def test_a_journal_of_a_newer_format_is_refused(repo: Repository, place: Path) -> None:
    with repo.vst() as vst:
        vst["a"] = b"1"
    [segment] = (place / ".helios" / "journal").glob("*.journal")
    content = bytearray(segment.read_bytes())
    content[8] = 2
    segment.write_bytes(content)
    with pytest.raises(errors.FormatTooNew, match="upgrade"):
        Repository.open(place)


def test_a_closed_repository_says_so(repo: Repository) -> None:
    with repo.vst() as vst:
        vst["a"] = b"1"
    repo.maintenance()
    repo.close()
    repo.close()
    with pytest.raises(errors.StorageError, match="closed"):
        repo.resolve("abcd")


def test_errors_survive_pickling(repo: Repository) -> None:
    one, two = repo.vst(), repo.vst()
    one["a"] = b"1"
    two["a"] = b"2"
    one.commit()
    with pytest.raises(errors.BranchMoved) as caught:
        two.commit()
    again = pickle.loads(pickle.dumps(caught.value))
    assert (again.snapshot, str(again)) == (caught.value.snapshot, str(caught.value))
