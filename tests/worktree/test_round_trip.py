"""Random trees through commit, restore and materialize come back byte for byte, of every kind."""

from __future__ import annotations

import itertools
import shutil
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from helios import Repository, Snapshot
from worktree import disk_tree
from worktree.disk_tree import File, Link, Node, Tree


@contextmanager
def work_in_new_place() -> Iterator[tuple[Path, Repository]]:
    place = Path(tempfile.mkdtemp(prefix="helios-worktree-"))
    try:
        with Repository.init(place / "work") as repo:
            yield place / "work", repo
    finally:
        shutil.rmtree(place)


def commit(repo: Repository) -> Snapshot:
    done = repo.worktree.commit()
    assert done.warnings == []
    assert not repo.worktree.status().diff
    return done.snapshot


def restore(repo: Repository, place: Path, snapshot: Snapshot, tree: Tree) -> None:
    planned = repo.restore(snapshot, dry_run=True)
    done = repo.restore(snapshot)
    assert disk_tree.read(place) == tree
    assert done.warnings == []
    assert sorted(done.written) == sorted(planned.written)
    assert sorted(done.deleted) == sorted(planned.deleted)
    assert not repo.worktree.diff(snapshot)


@settings(max_examples=60, deadline=None)
@given(st.lists(disk_tree.TREES, min_size=2, max_size=4), st.booleans())
def test_any_tree_is_restored_from_any_other(trees: list[Tree], moved: bool) -> None:
    with work_in_new_place() as (place, repo):
        snapshots = []
        for tree in trees:
            disk_tree.make(place, tree)
            assert disk_tree.read(place) == tree
            snapshots.append(commit(repo))
            assert content_of(repo, snapshots[-1]) == disk_tree.flat(tree)
        if moved:
            repo.maintenance()
        for snapshot, tree in zip(snapshots, trees, strict=True):
            restore(repo, place, snapshot, tree)
        for snapshot, tree in zip(snapshots, trees, strict=True):
            out = place.parent / "out"
            done = repo.materialize(snapshot, out)
            assert disk_tree.read(out) == tree
            assert done.files == len(disk_tree.flat(tree))
            shutil.rmtree(out)


def content_of(repo: Repository, snapshot: Snapshot) -> dict[bytes, File | Link]:
    import os

    vst = repo.vst(snapshot)
    found: dict[bytes, File | Link] = {}
    for path in vst:
        kind = vst.kind(path)
        content = vst[path]
        found[os.fsencode(path)] = (
            Link(content) if kind == "symlink" else File(content, kind == "executable")
        )
    return found


@settings(max_examples=40, deadline=None)
@given(disk_tree.TREES, disk_tree.TREES)
def test_a_restore_keeps_what_was_on_disk_as_the_safety_snapshot(first: Tree, second: Tree) -> None:
    with work_in_new_place() as (place, repo):
        disk_tree.make(place, first)
        before = commit(repo)
        disk_tree.make(place, second)
        done = repo.restore(before)
        assert disk_tree.read(place) == first
        assert (done.safety is None) == (first == second)
        if done.safety is not None:
            restore(repo, place, done.safety, second)


@settings(max_examples=30, deadline=None)
@given(disk_tree.TREES, disk_tree.TREES, st.data())
def test_restoring_one_path_touches_nothing_else(
    first: Tree, second: Tree, data: st.DataObject
) -> None:
    with work_in_new_place() as (place, repo):
        disk_tree.make(place, first)
        before = commit(repo)
        disk_tree.make(place, second)
        paths = sorted(disk_tree.flat(first))
        if not paths:
            return
        path = data.draw(st.sampled_from(paths))
        repo.restore(before, paths=[path])
        wanted, others = disk_tree.flat(first)[path], disk_tree.flat(second)
        after = disk_tree.flat(disk_tree.read(place))
        assert after.pop(path) == wanted
        # A file in the place of a directory above had to go, and a directory in the file's place.
        others.pop(path, None)
        parts = path.split(b"/")
        above = {b"/".join(parts[:end]) for end in range(1, len(parts))}
        others = {p: n for p, n in others.items() if p not in above}
        others = {p: n for p, n in others.items() if not p.startswith(path + b"/")}
        assert after == others


KINDS: dict[str, Node | None] = {
    "nothing": None,
    "file": File(b"content"),
    "other file": File(b"CONTENT"),
    "executable": File(b"content", True),
    "large file": File(b"large" * 300_000),
    "symlink": Link(b"target"),
    "dangling symlink": Link(b"/nowhere/\xff"),
    "empty directory": {},
    "directory": {b"file": File(b"inner"), b"sub": {b"link": Link(b"..")}},
    "other directory": {b"sub": File(b"a file now"), b"new": {b"deep": {b"er": File(b"")}}},
}


@pytest.mark.parametrize("name", [b"x", b"deep/down/x"], ids=["at the top", "deep"])
def test_every_kind_becomes_every_other_and_comes_back(
    repo: Repository, place: Path, name: bytes
) -> None:
    snapshots: dict[str, tuple[Snapshot, Tree]] = {}
    for kind, node in KINDS.items():
        inner: Tree = {b"beside": File(b"1")} | ({} if node is None else {b"x": node})
        tree: Tree = inner if name == b"x" else {b"deep": {b"down": inner}}
        disk_tree.make(place, tree)
        snapshots[kind] = (commit(repo), tree)
    for old, new in itertools.permutations(KINDS, 2):
        for kind in (old, new):
            snapshot, tree = snapshots[kind]
            restore(repo, place, snapshot, tree)


def test_many_quick_edits_of_one_size_are_all_seen(repo: Repository, place: Path) -> None:
    """Stat data alone cannot tell them apart: the clock of the file system is too coarse."""
    file = place / "f"
    file.write_bytes(b"0000")
    for number in range(150):
        with file.open("r+b") as writing:
            writing.write(b"%04d" % number)
        made = repo.worktree.commit().snapshot
        assert repo.read(made, "f") == b"%04d" % number
