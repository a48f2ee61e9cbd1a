"""A VST as a mapping of paths to content, and as a context manager."""

from __future__ import annotations

import os
from pathlib import PurePosixPath

import pytest

from helios import VST, Repository, errors


def test_items_are_set_read_and_deleted(repo: Repository) -> None:
    vst = repo.vst()
    vst["src/a.py"] = b"a = 1\n"
    vst["b"] = "text becomes UTF-8: \N{SNOWMAN}"
    assert vst["src/a.py"] == b"a = 1\n"
    assert vst["b"] == "text becomes UTF-8: \N{SNOWMAN}".encode()
    assert list(vst) == ["b", "src/a.py"]
    assert len(vst) == 2
    assert "src/a.py" in vst
    del vst["b"]
    assert "b" not in vst
    assert list(vst) == ["src/a.py"]


def test_a_missing_item_is_a_key_error_and_a_file_not_found_error(repo: Repository) -> None:
    vst = repo.vst()
    for builtin in (KeyError, FileNotFoundError, errors.PathNotFound):
        with pytest.raises(builtin):
            vst["missing"]
        with pytest.raises(builtin):
            del vst["missing"]


def test_a_vst_without_files_is_true_and_has_length_zero(repo: Repository) -> None:
    vst = repo.vst()
    assert bool(vst) is True
    assert (len(vst), list(vst)) == (0, [])


@pytest.mark.parametrize("content", [b"x", bytearray(b"x"), memoryview(b"xyz")[:1], "x"])
def test_content_is_anything_with_bytes_in_it(repo: Repository, content: bytes) -> None:
    vst = repo.vst()
    vst["a"] = content
    assert vst["a"] == b"x"


def test_content_is_copied(repo: Repository) -> None:
    content = bytearray(b"before")
    vst = repo.vst()
    vst["a"] = content
    content[:] = b"after!"
    assert vst["a"] == b"before"


@pytest.mark.parametrize("content", [3, None, ["x"]])
def test_other_content_is_a_type_error(repo: Repository, content: object) -> None:
    with pytest.raises(TypeError, match="content is bytes or str"):
        repo.vst()["a"] = content  # type: ignore[assignment]


def test_a_vst_is_dirty_between_a_write_and_the_commit(repo: Repository) -> None:
    vst = repo.vst()
    states = [vst.dirty]
    vst["a"] = b"1"
    states.append(vst.dirty)
    vst.commit()
    states.append(vst.dirty)
    assert states == [False, True, False]


def test_the_context_manager_commits_on_success(repo: Repository) -> None:
    with repo.vst() as vst:
        vst["a"] = b"1"
    assert vst.base == repo.resolve("main")
    assert repo.read("main", "a") == b"1"


def edit_and_fail(vst: VST) -> None:
    with vst:
        vst["a"] = b"2"
        vst["b"] = b"new"
        raise ZeroDivisionError


def test_the_context_manager_discards_on_an_exception(repo: Repository) -> None:
    with repo.vst() as vst:
        vst["a"] = b"1"
    first = repo.resolve("main")
    with pytest.raises(ZeroDivisionError):
        edit_and_fail(vst)
    assert repo.resolve("main") == first
    assert {path: vst[path] for path in vst} == {"a": b"1"}
    assert not vst.dirty


def test_an_exception_before_the_first_commit_leaves_nothing(repo: Repository) -> None:
    vst = repo.vst()
    with pytest.raises(ZeroDivisionError):
        edit_and_fail(vst)
    assert list(vst) == []
    assert repo.branches() == {}


def test_commit_without_a_change_gives_the_last_snapshot_back(repo: Repository) -> None:
    vst = repo.vst()
    vst["a"] = b"1"
    first = vst.commit("one")
    assert first.stats is not None
    again = vst.commit("two")
    assert again == first
    assert again.stats is None
    vst["a"] = b"2"
    vst["a"] = b"1"
    assert vst.commit("three") == first
    empty = vst.commit("four", allow_empty=True)
    assert (empty.tree_id, empty.parents) == (first.tree_id, [first.id])


def test_a_snapshot_says_who_when_and_why(repo: Repository) -> None:
    vst = repo.vst()
    vst["a"] = b"1"
    made = vst.commit(
        "why \N{SNOWMAN}",
        author="Ada <ada@example.org>",
        metadata={"text": "x", "raw": b"\xff"},
        time_us=1_700_000_000_000_001,
    )
    for snapshot in (made, repo.snapshot(made), repo.snapshot(made.id), repo.snapshot("main")):
        assert str(snapshot) == snapshot.id == made.id
        assert len(snapshot.id) == 64
        assert snapshot.message == "why \N{SNOWMAN}"
        assert snapshot.author == "Ada <ada@example.org>"
        assert snapshot.metadata == {"text": b"x", "raw": b"\xff"}
        assert snapshot.time_us == 1_700_000_000_000_001
        assert snapshot.time == pytest.approx(1_700_000_000.000001)
        assert snapshot == made
        assert hash(snapshot) == hash(made)


def test_the_same_commit_elsewhere_has_the_same_id() -> None:
    def make() -> str:
        vst = Repository.memory().vst()
        vst["a/b"] = b"1"
        return vst.commit("m", author="x", time_us=7).id

    assert make() == make()


def test_commit_stats_count_objects_and_bytes(repo: Repository) -> None:
    vst = repo.vst()
    vst["a"] = b"x" * 1000
    vst["d/b"] = b"y" * 1000
    stats = vst.commit().stats
    assert stats is not None
    # Two blobs, two nodes, the snapshot.
    assert stats.new_objects == 5
    assert stats.new_bytes > 2000
    assert stats.journal_bytes > 2000
    assert stats.elapsed_us > 0


@pytest.mark.parametrize(
    "path", ["d/f", b"d/f", PurePosixPath("d/f"), pytest.param(os.fsencode("d/f"), id="fsencoded")]
)
def test_paths_are_str_bytes_or_pathlike(repo: Repository, path: str) -> None:
    vst = repo.vst()
    vst[path] = b"1"
    assert vst["d/f"] == b"1"
    assert path in vst
    vst.rename(path, "moved")
    vst.delete(b"moved")
    assert len(vst) == 0


def test_names_that_are_not_utf_8_go_in_and_out_as_os_fsdecode_has_them(repo: Repository) -> None:
    raw = b"d\xff/\xfe\n name"
    with repo.vst() as vst:
        vst[raw] = b"1"
    vst = repo.vst()
    assert list(vst) == [os.fsdecode(raw)]
    assert vst[os.fsdecode(raw)] == b"1"
    assert vst.list(b"d\xff") == ["\udcfe\n name"]
    [change] = repo.diff("main", vst_without(repo, raw)).deleted
    assert change.path_bytes == raw
    assert change.path == os.fsdecode(raw)


def vst_without(repo: Repository, path: bytes) -> str:
    vst = repo.vst("main").fork()
    del vst[path]
    return vst.commit().id


@pytest.mark.parametrize(
    "path", ["", "/", "/a", "a/", "a//b", ".", "..", "a/../b", "a/./b", "a\0b", "a/.."]
)
def test_what_is_no_path_is_refused(repo: Repository, path: str) -> None:
    vst = repo.vst()
    vst["good"] = b"1"
    for call in (
        lambda: vst.write(path, b"x"),
        lambda: vst.delete(path),
        lambda: vst.mkdir(path),
        lambda: vst.rename("good", path),
        lambda: vst.exists(path),
        lambda: vst.read(path),
    ):
        with pytest.raises(errors.InvalidPath, match="invalid path"):
            call()
    assert list(vst) == ["good"]


def test_another_type_is_no_path(repo: Repository) -> None:
    with pytest.raises(TypeError, match="a path is str, bytes or os"):
        repo.vst().write(3, b"x")  # type: ignore[arg-type]


def test_a_path_of_ten_thousand_characters_is_kept(repo: Repository) -> None:
    deep = "/".join(["d" * 99] * 100)
    with repo.vst() as vst:
        vst[deep] = b"deep"
        vst["d" * 10_000] = b"long"
    assert list(repo.vst()) == [deep, "d" * 10_000]
    assert repo.read("main", deep) == b"deep"


def test_a_vst_thousands_of_directories_deep_can_be_walked_compared_and_deleted(
    repo: Repository,
) -> None:
    deep = "/".join(["d"] * 5000)
    with repo.vst() as vst:
        vst[deep] = b"deep"
    assert vst.walk() == [deep]
    fork = vst.fork()
    fork.delete("d")
    assert [change.path for change in fork.diff().deleted] == [deep]
    assert len(fork) == 0
