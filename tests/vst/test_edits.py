"""Writing, deleting, renaming: what becomes of files and of the directories around them."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from helios import VST, Repository, errors


@pytest.fixture
def vst(repo: Repository) -> VST:
    vst = repo.vst()
    vst["file"] = b"1"
    vst["d/one"] = b"2"
    vst["d/deep/two"] = b"3"
    return vst


def test_kinds_are_told(vst: VST) -> None:
    vst.write("run", b"#!/bin/sh\n", executable=True)
    vst.write("link", b"d/one", symlink=True)
    vst.mkdir("empty")
    kinds = [vst.kind(path) for path in ("file", "run", "link", "d", "empty", "missing")]
    assert kinds == ["file", "executable", "symlink", "directory", "directory", None]
    # A symlink is not followed.
    assert vst["link"] == b"d/one"
    assert vst.kind("link/x") is None


def test_kinds_survive_a_commit(repo: Repository, vst: VST) -> None:
    vst.write("run", b"", executable=True)
    vst.write("link", b"/nowhere", symlink=True)
    vst.mkdir("empty/inner")
    vst.commit()
    again = repo.vst()
    assert [again.kind(path) for path in ("run", "link", "empty/inner")] == [
        "executable",
        "symlink",
        "directory",
    ]
    assert again.list("empty") == ["inner"]
    assert again.walk("empty") == []


def test_an_overwrite_takes_the_new_kind(vst: VST) -> None:
    vst.write("file", b"1", executable=True)
    assert vst.kind("file") == "executable"
    vst["file"] = b"1"
    assert vst.kind("file") == "file"


def test_a_symlink_cannot_be_executable(vst: VST) -> None:
    with pytest.raises(ValueError, match="symlink"):
        vst.write("x", b"y", executable=True, symlink=True)


def test_mkdir_makes_parents_and_is_repeatable(vst: VST) -> None:
    vst.mkdir("a/b/c")
    vst.mkdir("a/b/c")
    vst.mkdir("d")
    assert vst.list("a/b") == ["c"]
    assert vst.list("d") == ["deep", "one"]
    assert "a/b/c" in vst
    assert len(vst) == 3


@pytest.mark.parametrize("path", ["file", "file/below", "d/one/x"])
def test_mkdir_in_the_place_of_a_file_is_refused(vst: VST, path: str) -> None:
    with pytest.raises(errors.PathNotADirectory):
        vst.mkdir(path)


def test_a_file_cannot_be_written_over_a_directory(vst: VST) -> None:
    with pytest.raises(errors.PathIsADirectory):
        vst["d"] = b"x"
    with pytest.raises(IsADirectoryError):
        _ = vst["d/deep"]


def test_nothing_can_be_written_below_a_file(vst: VST) -> None:
    with pytest.raises(errors.PathNotADirectory):
        vst["file/x"] = b"x"
    with pytest.raises(errors.PathNotFound):
        _ = vst["file/x"]
    assert vst["file"] == b"1"


def test_deleting_the_last_file_takes_the_empty_directories_with_it(vst: VST) -> None:
    vst.delete("d/deep/two")
    assert "d/deep" not in vst
    assert vst.list("d") == ["one"]
    vst.delete("d/one")
    assert vst.list() == ["file"]


def test_deleting_a_directory_takes_all_below(vst: VST) -> None:
    vst.delete("d")
    assert list(vst) == ["file"]
    with pytest.raises(errors.PathNotFound):
        vst.delete("d")


def test_a_file_is_renamed_with_its_kind(vst: VST) -> None:
    vst.write("run", b"x", executable=True)
    vst.rename("run", "new/place/run2")
    assert vst.kind("new/place/run2") == "executable"
    assert "run" not in vst


def test_a_rename_onto_a_file_replaces_it(vst: VST) -> None:
    vst.rename("d/one", "file")
    assert vst["file"] == b"2"
    assert list(vst) == ["d/deep/two", "file"]


def test_a_directory_is_renamed_with_all_below(vst: VST) -> None:
    vst.rename("d", "e/f")
    assert list(vst) == ["e/f/deep/two", "e/f/one", "file"]
    assert "d" not in vst


def test_a_renamed_directory_keeps_edits_that_are_not_committed(repo: Repository, vst: VST) -> None:
    vst.commit()
    vst["d/deep/two"] = b"edited"
    vst.rename("d/deep", "moved")
    vst.commit()
    assert repo.read("main", "moved/two") == b"edited"


def test_a_rename_to_itself_changes_nothing(vst: VST) -> None:
    vst.rename("d", "d")
    vst.rename("file", "file")
    assert list(vst) == ["d/deep/two", "d/one", "file"]


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("missing", "x", errors.PathNotFound),
        ("d", "d/deep/d", errors.InvalidPath),
        ("file", "file/x", errors.InvalidPath),
        ("file", "d", errors.PathIsADirectory),
        ("d/deep", "d", errors.PathIsADirectory),
        ("d", "file", errors.PathNotADirectory),
        ("d", "file/x", errors.PathNotADirectory),
        ("d/one", "file/x", errors.PathNotADirectory),
    ],
)
def test_a_rename_that_cannot_be_leaves_everything(
    vst: VST, old: str, new: str, kind: type[Exception]
) -> None:
    with pytest.raises(kind):
        vst.rename(old, new)
    assert {path: vst[path] for path in vst} == {"d/deep/two": b"3", "d/one": b"2", "file": b"1"}


@pytest.mark.parametrize(
    "call", [lambda vst: vst.list("file"), lambda vst: vst.walk("d/one")], ids=["list", "walk"]
)
def test_a_file_cannot_be_listed(vst: VST, call: Callable[[VST], object]) -> None:
    with pytest.raises(errors.PathNotADirectory):
        call(vst)


@pytest.mark.parametrize(
    "call", [lambda vst: vst.list("no"), lambda vst: vst.walk("no/no")], ids=["list", "walk"]
)
def test_what_is_not_there_cannot_be_listed(vst: VST, call: Callable[[VST], object]) -> None:
    with pytest.raises(errors.PathNotFound):
        call(vst)


def test_walk_is_in_path_order_and_can_begin_below(vst: VST) -> None:
    vst["d.txt"] = b""
    vst["d-x/y"] = b""
    assert vst.walk() == ["d/deep/two", "d/one", "d-x/y", "d.txt", "file"] or vst.walk() == sorted(
        vst.walk(), key=lambda path: path.split("/")
    )
    assert vst.walk("d") == ["d/deep/two", "d/one"]


def test_large_content_is_kept_whole(repo: Repository, vst: VST) -> None:
    import random

    content = random.Random(1).randbytes(3 << 20)
    vst["large"] = content
    vst["empty"] = b""
    vst.commit()
    edited = content[: 1 << 20] + b"inserted" + content[1 << 20 :]
    vst["large"] = edited
    stats = vst.commit().stats
    assert stats is not None
    # Only the chunks around the edit are new.
    assert stats.journal_bytes < 2 << 20
    assert repo.read("main", "large") == edited
    assert repo.read("main~1", "large") == content
    assert repo.read("main", "empty") == b""


def test_text_with_a_lone_surrogate_is_refused_as_such(repo: Repository) -> None:
    vst = repo.vst()
    vst["a"] = b"1"
    lone = "caf\udce9"
    for call in (
        lambda: vst.commit(lone),
        lambda: vst.commit(author=lone),
        lambda: vst.commit(metadata={lone: b""}),
        lambda: vst.commit(metadata={"key": lone}),
        lambda: vst.write("b", lone),
        lambda: repo.create_branch(lone, vst.commit()),
        lambda: Repository.memory(author=lone),
    ):
        with pytest.raises(errors.InvalidText, match=r"'caf\\udce9' is not text"):
            call()
    assert issubclass(errors.InvalidText, ValueError)


def test_a_block_that_writes_nothing_makes_no_branch() -> None:
    with Repository.memory() as repo:
        with repo.vst():
            pass
        assert repo.branches() == {}
        with repo.vst() as vst:
            vst.mkdir("empty")
        assert list(repo.branches()) == ["main"]
