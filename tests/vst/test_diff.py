"""What a diff lists: added, changed, deleted, renamed, with sizes, kinds and text."""

from __future__ import annotations

import pytest

from helios import Diff, Repository, errors


@pytest.fixture
def diff(repo: Repository) -> Diff:
    vst = repo.vst()
    vst["same"] = b"same"
    vst["edited"] = b"one\ntwo\nthree\n"
    vst["gone"] = b"gone\n"
    vst["old/name"] = b"it moves\n"
    vst["kind"] = b"#!/bin/sh\n"
    before = vst.commit()
    vst["edited"] = b"one\n2\nthree\n"
    vst["added"] = b"new\n"
    del vst["gone"]
    vst.rename("old/name", "new/name")
    vst.write("kind", b"#!/bin/sh\n", executable=True)
    return repo.diff(before, vst.commit())


def test_each_path_is_in_one_list(diff: Diff) -> None:
    assert [change.path for change in diff.added] == ["added"]
    assert [change.path for change in diff.changed] == ["edited", "kind"]
    assert [change.path for change in diff.deleted] == ["gone"]
    assert [(rename.old_path, rename.path) for rename in diff.renamed] == [("old/name", "new/name")]
    assert diff.renamed[0].size == 9
    assert len(diff) == 5
    assert diff


def test_sides_have_ids_sizes_and_kinds(diff: Diff) -> None:
    [added], [edited, kind], [gone] = diff.added, diff.changed, diff.deleted
    assert (added.old_id, added.old_size, added.old_kind) == (None, None, None)
    assert (added.new_size, added.new_kind) == (4, "file")
    assert (edited.old_size, edited.new_size) == (14, 12)
    assert edited.old_id != edited.new_id
    assert kind.old_id == kind.new_id
    assert (kind.old_kind, kind.new_kind) == ("file", "executable")
    assert (gone.new_id, gone.new_size, gone.new_kind) == (None, None, None)


def test_text_is_a_unified_diff(diff: Diff) -> None:
    edited = diff.changed[0]
    assert diff.text(edited) == (
        b"--- a/edited\n+++ b/edited\n@@ -1,3 +1,3 @@\n one\n-two\n+2\n three\n"
    )
    assert diff.text(diff.added[0]) == b"--- /dev/null\n+++ b/added\n@@ -0,0 +1 @@\n+new\n"
    assert diff.text(diff.deleted[0]) == b"--- a/gone\n+++ /dev/null\n@@ -1 +0,0 @@\n-gone\n"


def test_binary_content_has_no_text(repo: Repository) -> None:
    vst = repo.vst()
    vst["a"] = b"\0binary"
    diff = repo.vst().diff()
    assert not diff
    assert len(diff) == 0
    vst.commit()
    vst["a"] = b"text"
    diff = repo.diff("main", vst.fork().commit())
    assert diff.text(diff.changed[0]) is None


def test_what_is_not_committed_yet_has_text_too(repo: Repository) -> None:
    with repo.vst() as vst:
        vst["a"] = b"before\n"
    vst["a"] = b"after\n"
    vst["b"] = b"new\n"
    diff = vst.diff()
    vst["a"] = b"later still\n"
    assert diff.text(diff.changed[0]) == b"--- a/a\n+++ b/a\n@@ -1 +1 @@\n-before\n+after\n"
    assert diff.text(diff.added[0]) == b"--- /dev/null\n+++ b/b\n@@ -0,0 +1 @@\n+new\n"


def test_a_vst_is_compared_with_its_base_or_any_snapshot(repo: Repository) -> None:
    vst = repo.vst()
    assert not vst.diff()
    vst["a"] = b"1"
    assert [change.path for change in vst.diff().added] == ["a"]
    first = vst.commit()
    assert not vst.diff()
    vst["b"] = b"2"
    second = vst.commit()
    assert not vst.diff(second)
    assert [change.path for change in vst.diff(first.id).added] == ["b"]
    vst["b"] = b"2"
    assert not vst.diff()
    vst.rename("a", "c")
    assert [(rename.old_path, rename.path) for rename in vst.diff().renamed] == [("a", "c")]
    assert [(rename.old_path, rename.path) for rename in vst.diff("main").renamed] == [("a", "c")]
    with pytest.raises(errors.UnknownRevision):
        vst.diff("nothing")


def test_a_file_that_becomes_a_directory_is_deleted_and_added(repo: Repository) -> None:
    with repo.vst() as vst:
        vst["a"] = b"file"
    before = repo.resolve("main")
    del vst["a"]
    vst["a/b"] = b"other"
    diff = repo.diff(before, vst.commit())
    assert [change.path for change in diff.deleted] == ["a"]
    assert [change.path for change in diff.added] == ["a/b"]
    back = repo.diff("main", before)
    assert [change.path for change in back.deleted] == ["a/b"]
    assert [change.path for change in back.added] == ["a"]


def test_empty_directories_come_and_go(repo: Repository) -> None:
    with repo.vst() as vst:
        vst["a"] = b"1"
    before = repo.resolve("main")
    vst.mkdir("empty")
    diff = repo.diff(before, vst.commit())
    assert [(change.path, change.new_kind) for change in diff.added] == [("empty", "directory")]


def test_equal_trees_do_not_differ_however_large(repo: Repository) -> None:
    vst = repo.vst()
    for number in range(2000):
        vst[f"{number % 20}/{number}"] = b"%d" % number
    one = vst.commit()
    vst["7/7"] = b"changed"
    two = vst.commit()
    diff = repo.diff(one, two)
    assert [change.path for change in diff.changed] == ["7/7"]
    assert not repo.diff(two, two)
    everything = repo.diff(one, commit_of_nothing(repo))
    assert len(everything.deleted) == 2000


def commit_of_nothing(repo: Repository) -> str:
    vst = repo.vst("main").fork()
    for name in vst.list():
        vst.delete(name)
    return vst.commit().id
