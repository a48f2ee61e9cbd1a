"""A snapshot in a fresh directory: byte for byte, chosen parts, and never a byte outside of it."""

from __future__ import annotations

import os
import random
from pathlib import Path

import pytest

from helios import Repository, errors
from worktree import disk_tree
from worktree.disk_tree import File, Link


@pytest.fixture
def tree(repo: Repository) -> disk_tree.Tree:
    vst = repo.vst()
    vst["a.py"] = b"a\n"
    vst["src/b.py"] = b"b\n"
    vst["src/b.txt"] = b"text\n"
    vst.write("src/run", b"#!/bin/sh\n", executable=True)
    vst.write("link", b"src/nowhere", symlink=True)
    vst.mkdir("empty")
    vst.commit()
    return {
        b"a.py": File(b"a\n"),
        b"src": {
            b"b.py": File(b"b\n"),
            b"b.txt": File(b"text\n"),
            b"run": File(b"#!/bin/sh\n", True),
        },
        b"link": Link(b"src/nowhere"),
        b"empty": {},
    }


def test_everything_is_written(repo: Repository, tree: disk_tree.Tree, tmp_path: Path) -> None:
    out = tmp_path / "deep" / "out"
    done = repo.materialize("main", out)
    assert disk_tree.read(out) == tree
    assert (done.snapshot, done.out, done.files) == (repo.resolve("main"), str(out), 5)
    assert done.bytes == 2 + 2 + 5 + 10 + 11
    assert done.warnings == []
    (tmp_path / "there already").mkdir()
    repo.materialize("main~0", os.fsencode(tmp_path / "there already"))
    assert disk_tree.read(tmp_path / "there already") == tree


@pytest.mark.parametrize(
    ("options", "expected"),
    [
        ({"include": ["*.py"]}, {b"a.py", b"src/b.py"}),
        ({"include": ["src/"], "exclude": ["*.txt"]}, {b"src/b.py", b"src/run"}),
        ({"exclude": ["/src"]}, {b"a.py", b"link"}),
        ({"paths": ["src/run", b"link"]}, {b"src/run", b"link"}),
        ({"paths": ["src"], "include": ["b.*"]}, {b"src/b.py", b"src/b.txt"}),
        ({"paths": []}, set()),
        ({"exclude": ["*"]}, set()),
    ],
)
def test_parts_are_chosen(
    repo: Repository,
    tree: disk_tree.Tree,
    tmp_path: Path,
    options: dict[str, list[str]],
    expected: set[bytes],
) -> None:
    done = repo.materialize("main", tmp_path / "out", **options)
    found = disk_tree.flat(disk_tree.read(tmp_path / "out"))
    assert found.keys() == expected
    assert found == {path: disk_tree.flat(tree)[path] for path in expected}
    assert done.files == len(expected)


def test_a_path_that_is_not_there_is_an_error_and_nothing_is_written(
    repo: Repository, tree: disk_tree.Tree, tmp_path: Path
) -> None:
    assert tree
    with pytest.raises(errors.PathNotFound, match="nothing"):
        repo.materialize("main", tmp_path / "out", paths=["nothing"])
    assert not (tmp_path / "out").exists()


def test_a_directory_that_holds_something_is_refused(
    repo: Repository, tree: disk_tree.Tree, tmp_path: Path
) -> None:
    assert tree
    (tmp_path / "out").mkdir()
    (tmp_path / "out" / "mine").write_bytes(b"1")
    (tmp_path / "file").write_bytes(b"1")
    for target in ("out", "file"):
        with pytest.raises(errors.TargetNotEmpty) as caught:
            repo.materialize("main", tmp_path / target)
        assert isinstance(caught.value, FileExistsError)
    assert disk_tree.read(tmp_path / "out") == {b"mine": File(b"1")}


@pytest.mark.parametrize("target", ["file/below", "x" * 300, "loop"])
def test_a_place_that_cannot_be_is_an_error(
    repo: Repository, tree: disk_tree.Tree, tmp_path: Path, target: str
) -> None:
    assert tree
    (tmp_path / "file").write_bytes(b"1")
    (tmp_path / "loop").symlink_to("loop")
    with pytest.raises(errors.HeliosError, match=target):
        repo.materialize("main", tmp_path / target)
    assert (tmp_path / "file").read_bytes() == b"1"


def test_a_hostile_tree_writes_nothing_outside(
    repo: Repository, tmp_path: Path, canary: Path
) -> None:
    vst = repo.vst()
    hostile = [
        ".git/hooks/post-checkout",
        ".git",
        ".helios/journal/lock",
        "sub/.git/config",
        "sub/.GiT/config",
        "git~1/config",
        ".git /config",
        ".git\u200c/config",
        "sub/.Helios",
    ]
    for path in hostile:
        try:
            vst[path] = b"hostile"
        except errors.PathError:
            # `.git` as a file beside `.git` as a directory.
            continue
    vst.write("a", os.fsencode(canary), symlink=True)
    vst.write("b/up", b"../../canary/file", symlink=True)
    vst["a.txt"] = b"beside"
    with pytest.raises(errors.PathNotADirectory):
        vst["a/through"] = b"x"
    vst.commit()
    done = repo.materialize("main", tmp_path / "out")
    assert disk_tree.flat(disk_tree.read_all(os.fsencode(tmp_path / "out"))) == {
        b"a": Link(os.fsencode(canary)),
        b"a.txt": File(b"beside"),
        b"b/up": Link(b"../../canary/file"),
    }
    assert len(done.warnings) >= len(hostile) - 1
    assert done.files == 3


@pytest.mark.parametrize("target", [b"", b"with\0nul", b"x" * 5000])
def test_a_symlink_that_no_disk_takes_is_passed_over(
    repo: Repository, tmp_path: Path, target: bytes
) -> None:
    with repo.vst() as vst:
        vst.write("link", target, symlink=True)
        vst["a"] = b"1"
    done = repo.materialize("main", tmp_path / "out")
    assert [warning.path for warning in done.warnings] == ["link"]
    assert (done.files, done.failed) == (1, 1)
    assert disk_tree.read(tmp_path / "out") == {b"a": File(b"1")}


def test_names_and_paths_too_long_are_passed_over(repo: Repository, tmp_path: Path) -> None:
    deep, long = "/".join(["d" * 99] * 100), "x" * 256
    with repo.vst() as vst:
        vst[deep] = b"deep"
        vst[long] = b"long"
        vst[f"{long}d/below"] = b"below"
        vst["a"] = b"1"
        vst["z/file"] = b"2"
    done = repo.materialize("main", tmp_path / "out")
    assert done.files == 2
    assert done.failed == len(done.warnings)
    reasons = dict(done.warnings)
    assert {deep, long, f"{long}d", f"{long}d/below"} <= set(reasons)
    assert "too long" in reasons[long]
    assert (tmp_path / "out" / "z" / "file").read_bytes() == b"2"


def test_large_files_are_written_from_their_pieces(repo: Repository, tmp_path: Path) -> None:
    content = random.Random(9).randbytes(6 << 20)
    vst = repo.vst()
    vst.write("large", content, executable=True)
    vst.commit()
    middle = content[: 3 << 20] + b"!" + content[3 << 20 :]
    vst["large"] = middle
    vst.commit()
    repo.maintenance()
    for revision, expected in (("main~1", File(content, True)), ("main", File(middle))):
        repo.materialize(revision, tmp_path / revision)
        assert disk_tree.read(tmp_path / revision) == {b"large": expected}


def test_names_of_any_bytes_are_written(repo: Repository, tmp_path: Path) -> None:
    names = [bytes([byte]) for byte in range(1, 256) if byte not in b"/."]
    with repo.vst() as vst:
        for name in names:
            vst[b"d" + name + b"/" + name] = name
    repo.materialize("main", tmp_path / "out")
    assert disk_tree.flat(disk_tree.read(tmp_path / "out")) == {
        b"d" + name + b"/" + name: File(name) for name in names
    }
